"""JSON lines, or one JSON array, to parquet: each key a column of text; what is no object is kept aside.

Lines that a Python program printed (`{'id': '1', 'title': u"It's"}`), as some public sets have them, are read as well.
"""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import duckdb

from flows.connection import literal, quoted
from flows.sources.delimited import LONGEST_LINE
from flows.sources.export_files import ExportFile, opened


def read_json(connection: duckdb.DuckDBPyConnection, files: list[ExportFile], target: Path, most: str = "") -> str:
    """Write all files as one parquet file and return the SQL that reads it, or '' when there is no object in them.

    `most` is an SQL limit for each file, or none.

    Lines that could not be read go into the table `unread`, which must be there.
    """
    readable = [_as_json(file, f"{target.with_suffix('')}-{place}.jsonl", most) for place, file in enumerate(files)]
    connection.execute(
        f"create or replace temp table lines as {' union all '.join(_lines(file, most) for file in readable)}"
    )
    connection.execute("delete from lines where line is null or trim(line) = ''")
    connection.execute(
        "insert into unread select file, number, line, 'not a JSON object' as problem, "
        "null::varchar as header, null::varchar as delimiter from lines "
        "where not json_valid(line) or json_type(line) <> 'OBJECT'"
    )
    good = "select line from lines where json_valid(line) and json_type(line) = 'OBJECT'"
    keys = connection.execute(f"select distinct unnest(json_keys(line)) as key from ({good}) order by key").fetchall()
    parts = ", ".join(f"json_extract_string(line, {literal(_pointer(key))}) as {quoted(key)}" for (key,) in keys)
    if keys:
        connection.execute(f"copy (select {parts} from ({good})) to {literal(str(target))} (format parquet)")
    connection.execute("drop table lines")
    return f"select * from read_parquet({literal(str(target))})" if keys else ""


def _as_json(file: ExportFile, target: str, most: str) -> ExportFile:
    """The file itself; one of Python dicts as a copy in JSON."""
    with opened(file.path) as stream:
        if not _is_python(stream.readline(LONGEST_LINE).decode("utf-8-sig", errors="replace")):
            return file
    wanted = int(most.removeprefix("limit ")) if most else None
    with Path(target).open("w", encoding="utf-8") as copy:
        for number, line in enumerate(_decoded(file)):
            if wanted is not None and number >= wanted:
                break
            copy.write(_in_json(line) + "\n")
    return ExportFile(file.name, target)


def _decoded(file: ExportFile) -> Iterator[str]:
    with opened(file.path) as stream:
        for line in stream:
            yield line.decode("utf-8-sig", errors="replace").rstrip("\r\n")


def _is_python(line: str) -> bool:
    return line.lstrip()[:1] == "{" and not _valid(line) and _in_json(line) != line


def _valid(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _in_json(line: str) -> str:
    """A Python dict as JSON; any other line as it is, so that it is told by its own text."""
    try:
        value = ast.literal_eval(line.strip())
        return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else line
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return line


def _lines(file: ExportFile, most: str) -> str:
    """One file's objects as (file, number, line): a line each, or an element each of one array."""
    if _is_array(file):
        listed = (
            f"select json as line from read_json_objects({literal(file.path)}, format = 'array', "
            f"maximum_object_size = {LONGEST_LINE})"
        )
    else:
        listed = (
            f"select line from read_csv({literal(file.path)}, header = false, columns = {{'line': 'VARCHAR'}}, "
            f"delim = '\\x1f', quote = '', escape = '', auto_detect = false, max_line_size = {LONGEST_LINE})"
        )
    return (
        f"(select {literal(file.name)} as file, row_number() over () as number, "
        f"cast(line as varchar) as line from ({listed} {most}))"
    )


def _is_array(file: ExportFile) -> bool:
    with opened(file.path) as stream:
        return stream.read(1024).decode("utf-8-sig", errors="replace").lstrip()[:1] == "["


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")
