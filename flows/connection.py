"""One DuckDB connection as Aisle uses it: UTC, bounded memory, spills to a folder, no extension downloads."""

import re
import secrets
from pathlib import Path

import duckdb

#: Half of the 4 GiB an ingest may take; the rest is Python, Arrow and deltalake.
MEMORY_LIMIT = "2000MiB"
#: Errors that quote the value which they are about.
_OF_A_VALUE = (duckdb.ConversionException, duckdb.InvalidInputException, duckdb.OutOfRangeException)


def connect(
    scratch: Path | None = None, timezone: str = "UTC", database: Path | None = None
) -> duckdb.DuckDBPyConnection:
    """Open a database, in memory or in a file; `scratch` takes what does not fit in memory."""
    connection = duckdb.connect(str(database) if database else ":memory:")
    connection.execute("set memory_limit = ?", [MEMORY_LIMIT])
    connection.execute("set autoinstall_known_extensions = false")
    connection.execute("set enable_progress_bar = false")
    connection.execute("set TimeZone = ?", [timezone])
    # A folder of its own: two processes that spill into one folder read each other's blocks.
    connection.execute("set temp_directory = ?", [str((scratch or Path()) / f".spill-{secrets.token_hex(8)}")])
    return connection


def quoted(name: str) -> str:
    """An SQL identifier in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """An SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def failure_of(error: duckdb.Error) -> str:
    """The first line of an error, without a value of the data in it: that may be a user's id."""
    told = str(error).partition("\nLINE ")[0]
    if isinstance(error, _OF_A_VALUE):
        told = re.sub(r"""(["']).*\1""", "'…'", told, flags=re.DOTALL)
    return told.splitlines()[0]
