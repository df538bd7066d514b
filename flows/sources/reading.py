"""Raw files to DuckDB relations: text formats are read once into parquet, as text; parquet stays where it is.

Text is not guessed at: a value is turned into a number or a time where the contract or the mapping says so, and what
cannot be turned is told row by row. A line that cannot be split into columns is kept aside, never dropped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from flows.connection import literal, quoted
from flows.sources.delimited import read_delimited
from flows.sources.export_files import ExportFile, unpack
from flows.sources.file_sets import NumberFormat, Reading
from flows.sources.json_lines import read_json
from flows.sources.mapping_keys import ExportRejected
from flows.sources.nested_lists import opened_objects, unnested
from flows.sources.spreadsheets import read_workbooks

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".json": "jsonl",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".jsonlines": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "xlsx",
}
#: Prefix of the hidden column that keeps the text of a column named in `numbers`.
TEXT_OF = "_text_of_"
#: Signs of money and blanks (also the narrow and the hard one) that may stand around and in a number.
_AROUND_NUMBERS = "[\\s\\x{00a0}\\x{202f}€£$¥₹]"


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


def open_raw(
    connection: duckdb.DuckDBPyConnection,
    reading: Reading,
    names: list[str],
    view: str,
    scratch: Path,
    rows: int | None = None,
) -> Raw:
    """Make the files one view of raw rows, null words as nulls and `numbers` as numbers; of each the first `rows`.

    Raises ExportRejected, naming the file, when one cannot be read whole (half a parquet file, a torn archive).
    """
    kind = reading.format or format_of(names[0])
    unread = scratch / f"{view}-unread.parquet"
    files = unpack(names, reading, scratch, rows)
    connection.execute(
        "create or replace temp table unread (file varchar, number bigint, line varchar, "
        "problem varchar, header varchar, delimiter varchar)"
    )
    try:
        most = "" if rows is None else f"limit {rows}"
        source, parts = _read(connection, reading, kind, files, (scratch / f"{view}.parquet", most))
        lost = _keep_unread(connection, unread)
        lacking = _lacking(connection, dict(zip(names, parts, strict=False)))
    except duckdb.Error as error:
        raise ExportRejected(_unreadable(files, kind, error)) from error
    if source and reading.listed:
        source = unnested(connection, source, reading.listed, scratch / f"{view}-unnested.parquet", names[0])
    if source and reading.objects:
        opened = scratch / f"{view}-objects.parquet"
        source = opened_objects(connection, source, reading.objects, opened, names[0])
    if not source:
        return Raw(view, str(unread) if lost else None, lost, {}, empty=True)
    columns = connection.execute(f"describe {source}").fetchall()
    _require_numbers(reading, names, [column[0] for column in columns])
    selected = ", ".join(cleaned(name, dtype, reading) for name, dtype, *_ in columns)
    connection.execute(f"create or replace view {quoted(view)} as select {selected} from ({source})")
    return Raw(view, str(unread) if lost else None, lost, lacking)


def format_of(file: str) -> str:
    """How a file is to be read, by its name. Raises ExportRejected when that does not say."""
    if ".xlsx/" in file:
        return "xlsx"
    path = Path(file)
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if suffix.lower() not in _SUFFIXES:
        raise ExportRejected(
            f"{file}: its name does not say how to read it. Set format to csv, jsonl or parquet in the mapping."
        )
    return _SUFFIXES[suffix.lower()]


def number_sql(text: str, number_format: NumberFormat) -> str:
    """SQL that reads a text as a number written in this format (signs of money and blanks aside), or gives null."""
    bare = f"regexp_replace({text}, '{_AROUND_NUMBERS}', '', 'g')"
    # An apostrophe stands between thousands and nowhere else.
    bare = f"regexp_replace({bare}, '[''’](\\d{{3}})', '\\1', 'g')"
    if number_format == NumberFormat():
        return f"coalesce(try_cast({text} as double), try_cast({bare} as double))"
    if number_format.thousands:
        # Three digits follow a thousands sign; 1,5 is not fifteen.
        grouped = literal(f"[{number_format.thousands}](\\d{{3}})")
        bare = f"regexp_replace({bare}, {grouped}, '\\1', 'g')"
    if number_format.decimal == ",":
        bare = f"replace(replace({bare}, '.', '?'), ',', '.')"
    return f"try_cast({bare} as double)"


def joined_offset(text: str) -> str:
    """SQL for a time whose offset stands right behind the seconds, as DuckDB wants it; some shops leave a blank."""
    return f"regexp_replace({text}, ' ([+-]\\d\\d:?\\d\\d)$', '\\1')"


def _read(
    connection: duckdb.DuckDBPyConnection,
    reading: Reading,
    kind: str,
    files: list[ExportFile],
    wanted: tuple[Path, str],
) -> tuple[str, Sequence[str]]:
    """SQL that reads the rows ('' when there are none), and the parquet file that each raw file became.

    `wanted` is where parquet is written, and an SQL limit or ''.
    """
    target, most = wanted
    if kind == "jsonl":
        return read_json(connection, files, target, most), []
    if kind == "csv":
        parts = read_delimited(connection, files, reading.dialect, target, most)
    elif kind == "xlsx":
        rows = int(most.removeprefix("limit ")) if most else None
        parts = read_workbooks(files, target, rows, reading.dialect.skip)
    else:
        parts = [file.path for file in files]
    source = f"select * from read_parquet({_listed(parts)}, union_by_name = true) {most if kind != 'csv' else ''}"
    connection.execute(f"describe {source}").fetchall()
    return source, parts


def cleaned(name: str, dtype: str, reading: Reading) -> str:
    """A raw column as SQL: null words as nulls, a column of `numbers` as a number beside its text."""
    column = quoted(name)
    if dtype == "VARCHAR" and reading.nulls:
        words = ", ".join(literal(word) for word in reading.nulls)
        column = f"case when {quoted(name)} in ({words}) then null else {quoted(name)} end"
    if name in reading.numbers and dtype == "VARCHAR":
        read = number_sql(column, reading.number_format)
        return f"{read} as {quoted(name)}, {column} as {quoted(TEXT_OF + name)}"
    return f"{column} as {quoted(name)}"


def _require_numbers(reading: Reading, files: list[str], columns: list[str]) -> None:
    for name in reading.numbers:
        if name not in columns:
            raise ExportRejected(
                f"{files[0]} lacks the column {name!r}, which the mapping names in {reading.label}.numbers. "
                f"Nothing was written. The export's columns are: {', '.join(columns)}."
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


def _keep_unread(connection: duckdb.DuckDBPyConnection, unread: Path) -> int:
    row = connection.execute("select count(*) from unread").fetchone()
    count = int(row[0]) if row else 0
    if count:
        connection.execute(f"copy unread to {literal(str(unread))} (format parquet)")
    connection.execute("drop table unread")
    return count


def _unreadable(files: list[ExportFile], kind: str, error: duckdb.Error) -> str:
    culprit = files[0] if len(files) == 1 else next((file for file in files if file.path in str(error)), files[0])
    first = str(error).splitlines()[0]
    return (
        f"{culprit.name}: expected a whole {kind} file, but reading it failed ({first}). "
        "Nothing was written. Is the file still being copied, or cut short? Fetch it again and repeat the command."
    )


def _listed(files: Sequence[str]) -> str:
    return "[" + ", ".join(literal(file) for file in files) + "]"
