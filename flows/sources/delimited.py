"""CSV and its kin to parquet, all columns as text; a line that cannot be cut into columns is kept aside."""

import csv
import json
from itertools import islice
from pathlib import Path

import duckdb

from flows.connection import literal
from flows.sources.export_files import ExportFile, opened
from flows.sources.file_sets import Dialect
from flows.sources.mapping_keys import ExportRejected

#: Longest line of a CSV or JSON lines file, in bytes.
LONGEST_LINE = 16 * 1024 * 1024
_DELIMITERS = ",;\t|"
#: Lines of a file without a header in which one as wide as its names is looked for.
_LOOKED_AT = 200


def read_delimited(
    connection: duckdb.DuckDBPyConnection, files: list[ExportFile], dialect: Dialect, target: Path, most: str = ""
) -> list[str]:
    """Write each file as a parquet file beside `target` and return their paths; `most` is an SQL limit, or none.

    Lines that could not be read go into the table `unread`, which must be there. Raises ExportRejected for a file
    without a usable first line.
    """
    parts = []
    for position, file in enumerate(files):
        names, delimiter = header_of(file, dialect)
        columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
        part = f"{target.with_suffix('')}-{position}.parquet"
        connection.execute(
            f"copy (select * from read_csv({literal(file.path)}, header = {str(not dialect.names).lower()}, "
            f"auto_detect = false, quote = {literal(dialect.quote)}, escape = {literal(dialect.escape)}, "
            f"columns = {{{columns}}}, delim = {literal(delimiter)}, skip = {dialect.skip}, "
            f"max_line_size = {LONGEST_LINE}, store_rejects = true) {most}) to {literal(part)} (format parquet)"
        )
        connection.execute(
            "insert into unread select ?, line, any_value(csv_line), any_value(error_message || case when "
            "error_type = 'INVALID ENCODING' then ' Set encoding = \"latin-1\" (or cp1252) in the mapping.' "
            "else '' end), ?, ? from reject_errors group by line",
            [file.name, json.dumps(names), delimiter],
        )
        connection.execute("drop table reject_errors")
        connection.execute("drop table reject_scans")
        parts.append(part)
    return parts


def header_of(file: ExportFile, dialect: Dialect) -> tuple[list[str], str]:
    """A file's column names and its delimiter. A column without a name is called column1, column2, by its place."""
    with opened(file.path) as lines:
        for _ in range(dialect.skip):
            lines.readline()
        first = lines.readline().decode("utf-8-sig", errors="replace").rstrip("\r\n")
    delimiter = dialect.delimiter or max(_DELIMITERS, key=lambda sign: len(_cut(first, sign, dialect)))
    fields = _cut(first, delimiter, dialect)
    if dialect.names:
        # The first line may have the delimiter in its text, as others may; such lines are told.
        if len(fields) != len(dialect.names) and not _some_line_has(file, dialect, delimiter):
            raise ExportRejected(
                f"{file.name}: expected {len(dialect.names)} columns, as many as `names` has, but its first line has "
                f"{len(fields)}: {first[:200]!r}. Nothing was written. Mend `names` or `delimiter` in the mapping."
            )
        return list(dialect.names), delimiter
    names = [field.strip() or f"column{place}" for place, field in enumerate(fields, 1)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice and "".join(fields).strip():
        raise ExportRejected(
            f"{file.name}: expected a first line with distinct column names, but {', '.join(twice)} came more than "
            f"once in {first[:200]!r}. Nothing was written. Set `names` in the mapping, a name of its own for "
            f"each column, and skip = {dialect.skip + 1} to pass over this line."
        )
    if not "".join(fields).strip():
        raise ExportRejected(
            f"{file.name}: expected a first line with distinct column names, but came {first[:200]!r}. Nothing was "
            "written. Is the file empty or without a header? For one without a header set `names` in the mapping."
        )
    return names, delimiter


def _some_line_has(file: ExportFile, dialect: Dialect, delimiter: str) -> bool:
    """Whether one of the next lines has as many columns as there are names."""
    with opened(file.path) as lines:
        few = [line.decode("utf-8-sig", errors="replace").rstrip("\r\n") for line in islice(lines, _LOOKED_AT)]
    return any(len(_cut(line, delimiter, dialect)) == len(dialect.names) for line in few[dialect.skip :])


def _cut(line: str, delimiter: str, dialect: Dialect) -> list[str]:
    if len(delimiter) > 1:
        return line.split(delimiter)
    quoting = csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE
    return next(csv.reader([line], delimiter=delimiter, quotechar=dialect.quote or None, quoting=quoting), [])
