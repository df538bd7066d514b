"""Raw files to DuckDB relations: CSV and JSON lines are read once into parquet, as text; parquet stays where it is.

Text is not guessed at: a value is turned into a number or a time where the contract or the mapping says so, and what
cannot be turned is told row by row. A line that cannot be split into columns is kept aside, never dropped.
"""

import csv
import glob
import gzip
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import duckdb

from flows.connection import literal, quoted
from flows.sources.mapping import Mapping, Reading
from flows.sources.mapping_keys import ExportRejected, MappingError

_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
#: Prefix of the hidden column that keeps the text of a column named in `numbers`.
TEXT_OF = "_text_of_"
#: Longest line of a CSV or JSON lines file, in bytes.
_LONGEST_LINE = 16 * 1024 * 1024


@dataclass(frozen=True)
class Raw:
    """Raw rows as a DuckDB view; the file of lines that could not be read; columns that some file lacks, by name.

    `empty` means JSON lines without one object: there are no columns, and there is no view.
    """

    view: str
    unread: str | None
    unread_rows: int
    lacking: dict[str, str]
    empty: bool = False


def files_of(mapping: Mapping, reading: Reading, path: Path | None) -> list[str]:
    """The files to read: the mapping's, or those that the command line named (a file, a glob or a folder).

    Raises MappingError when none is named, ExportRejected when none is there.
    """
    if path is not None and not path.is_dir():
        pattern = str(path)
    elif reading.files is None and path is None:
        raise MappingError(mapping.file, f"{reading.label}.files", "files here, or --path on the command line", "none")
    else:
        pattern = str((path or mapping.folder) / (reading.files or "*"))
    found = sorted(name for name in glob.glob(pattern, recursive=True) if Path(name).is_file())
    if not found and not mapping.may_be_empty:
        raise ExportRejected(
            f"{mapping.source}: no file matches {pattern}, which {mapping.file} names for {reading.label}. "
            "Put the export there, or name it with --path."
        )
    return found


def open_raw(
    connection: duckdb.DuckDBPyConnection, reading: Reading, files: list[str], view: str, scratch: Path
) -> Raw:
    """Make the files one view of raw rows, null words as nulls and `numbers` as numbers.

    Raises ExportRejected, naming the file, when one cannot be read whole (half a parquet file, a torn archive).
    """
    kind = reading.format or _format_of(files[0])
    unread = scratch / f"{view}-unread.parquet"
    for file in files:
        if file.endswith(".gz"):
            _require_whole(file)
    try:
        if kind == "parquet":
            source, lost, parts = _parquet(connection, files), 0, files
        elif kind == "csv":
            source, lost, parts = _csv(connection, files, scratch / f"{view}.parquet", unread)
        else:
            source, lost = _json_lines(connection, files, scratch / f"{view}.parquet", unread)
            parts = []
        lacking = _lacking(connection, dict(zip(files, parts, strict=False)))
    except duckdb.Error as error:
        raise ExportRejected(_unreadable(connection, files, kind, error)) from error
    if not source:
        return Raw(view, str(unread) if lost else None, lost, {}, empty=True)
    columns = connection.execute(f"describe {source}").fetchall()
    _require_numbers(reading, files, [column[0] for column in columns])
    selected = ", ".join(_cleaned(name, dtype, reading) for name, dtype, *_ in columns)
    connection.execute(f"create or replace view {quoted(view)} as select {selected} from ({source})")
    return Raw(view, str(unread) if lost else None, lost, lacking)


def _format_of(file: str) -> str:
    path = Path(file)
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if suffix.lower() not in _SUFFIXES:
        raise ExportRejected(
            f"{file}: its name does not say how to read it. Set format to csv, jsonl or parquet in the mapping."
        )
    return _SUFFIXES[suffix.lower()]


def _cleaned(name: str, dtype: str, reading: Reading) -> str:
    column = quoted(name)
    if dtype == "VARCHAR" and reading.nulls:
        words = ", ".join(literal(word) for word in reading.nulls)
        column = f"case when {quoted(name)} in ({words}) then null else {quoted(name)} end"
    if name in reading.numbers and dtype == "VARCHAR":
        return f"try_cast({column} as double) as {quoted(name)}, {column} as {quoted(TEXT_OF + name)}"
    return f"{column} as {quoted(name)}"


def _require_numbers(reading: Reading, files: list[str], columns: list[str]) -> None:
    for name in reading.numbers:
        if name not in columns:
            raise ExportRejected(
                f"{files[0]} lacks the column {name!r}, which the mapping names in {reading.label}.numbers. "
                f"Nothing was written. The export's columns are: {', '.join(columns)}."
            )


def _parquet(connection: duckdb.DuckDBPyConnection, files: list[str]) -> str:
    source = f"select * from read_parquet({_listed(files)}, union_by_name = true)"
    connection.execute(f"describe {source}").fetchall()
    return source


def _csv(
    connection: duckdb.DuckDBPyConnection, files: list[str], target: Path, unread: Path
) -> tuple[str, int, list[str]]:
    connection.execute(
        "create or replace temp table unread (file varchar, number bigint, line varchar, "
        "problem varchar, header varchar, delimiter varchar)"
    )
    parts = []
    for position, file in enumerate(files):
        header, delimiter = _header(file)
        columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in header)
        part = f"{target.with_suffix('')}-{position}.parquet"
        connection.execute(
            f"copy (select * from read_csv({literal(file)}, header = true, auto_detect = false, "
            "quote = '\"', escape = '\"', "
            f"columns = {{{columns}}}, delim = {literal(delimiter)}, max_line_size = {_LONGEST_LINE}, "
            f"store_rejects = true)) to {literal(part)} (format parquet)"
        )
        connection.execute(
            "insert into unread select ?, line, any_value(csv_line), any_value(error_message), ?, ? "
            "from reject_errors group by line",
            [file, json.dumps(header), delimiter],
        )
        connection.execute("drop table reject_errors")
        connection.execute("drop table reject_scans")
        parts.append(part)
    return (
        f"select * from read_parquet({_listed(parts)}, union_by_name = true)",
        _keep_unread(connection, unread),
        parts,
    )


def _lacking(connection: duckdb.DuckDBPyConnection, parts: dict[str, str]) -> dict[str, str]:
    """Columns that one of several files lacks, and the first such file."""
    if len(parts) < 2:
        return {}
    columns = {
        file: {row[0] for row in connection.execute("describe from read_parquet(?)", [part]).fetchall()}
        for file, part in parts.items()
    }
    every = set().union(*columns.values())
    return {
        name: next(file for file in columns if name not in columns[file])
        for name in every
        if any(name not in found for found in columns.values())
    }


def _header(file: str) -> tuple[list[str], str]:
    with _opened(file) as lines:
        first = lines.readline().decode("utf-8-sig", errors="replace").rstrip("\r\n")
    delimiter = max(",;\t|", key=first.count)
    names = next(csv.reader([first], delimiter=delimiter), [])
    if not names or len(set(names)) != len(names) or not all(names):
        raise ExportRejected(
            f"{file}: expected a first line with distinct column names, but came {first[:200]!r}. Nothing was written. "
            "Is the file empty or without a header?"
        )
    return names, delimiter


def _require_whole(file: str) -> None:
    """Read a .gz file to its end: DuckDB takes a torn archive for a short one."""
    try:
        with _opened(file) as stream:
            while stream.read(1 << 20):
                pass
    except (EOFError, OSError, zlib.error) as error:
        raise ExportRejected(
            f"{file}: expected a whole gzip archive, but it is cut short or damaged ({error}). Nothing was written. "
            "Fetch it again and repeat the command."
        ) from error


def _opened(file: str) -> IO[bytes]:
    return gzip.open(file) if file.endswith(".gz") else open(file, "rb")  # type: ignore[return-value]


def _json_lines(connection: duckdb.DuckDBPyConnection, files: list[str], target: Path, unread: Path) -> tuple[str, int]:
    lines = (
        f"read_csv({_listed(files)}, header = false, columns = {{'line': 'VARCHAR'}}, delim = '\\x1f', quote = '', "
        f"escape = '', auto_detect = false, max_line_size = {_LONGEST_LINE}, filename = true)"
    )
    connection.execute(
        "create or replace temp table lines as select file, place - min(place) over (partition by file) + 1 as number, "
        f"line from (select filename as file, row_number() over () as place, line from {lines})"
    )
    connection.execute("delete from lines where line is null or trim(line) = ''")
    connection.execute(
        "create or replace temp table unread as select file, number, line, 'not a JSON object' as problem, "
        "null::varchar as header, null::varchar as delimiter from lines "
        "where not json_valid(line) or json_type(line) <> 'OBJECT'"
    )
    good = "select line from lines where json_valid(line) and json_type(line) = 'OBJECT'"
    keys = connection.execute(f"select distinct unnest(json_keys(line)) as key from ({good}) order by key").fetchall()
    parts = ", ".join(f"json_extract_string(line, {literal(_pointer(key))}) as {quoted(key)}" for (key,) in keys)
    if keys:
        connection.execute(f"copy (select {parts} from ({good})) to {literal(str(target))} (format parquet)")
    connection.execute("drop table lines")
    source = f"select * from read_parquet({literal(str(target))})" if keys else ""
    return source, _keep_unread(connection, unread)


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _keep_unread(connection: duckdb.DuckDBPyConnection, unread: Path) -> int:
    row = connection.execute("select count(*) from unread").fetchone()
    count = int(row[0]) if row else 0
    if count:
        connection.execute(f"copy unread to {literal(str(unread))} (format parquet)")
    connection.execute("drop table unread")
    return count


def _unreadable(connection: duckdb.DuckDBPyConnection, files: list[str], kind: str, error: duckdb.Error) -> str:
    culprit = files[0] if len(files) == 1 else next((file for file in files if file in str(error)), files[0])
    first = str(error).splitlines()[0]
    return (
        f"{culprit}: expected a whole {kind} file, but reading it failed ({first}). "
        "Nothing was written. Is the file still being copied, or cut short? Fetch it again and repeat the command."
    )


def _listed(files: list[str]) -> str:
    return "[" + ", ".join(literal(file) for file in files) + "]"
