"""The raw form of staged rows, kept as a recipe: it is made for those rows alone that somebody asks for.

A row that breaks a rule is held as it came; of a hundred others nobody asks. So a staged row has two hashes of its raw
row beside it, and the section's DuckDB file keeps the view that the raw rows are read by: a second pass over the
export finds those that were asked for. Equal raw rows have one form, so a hash is enough to tell it by; two of 64 bits
each over all columns, in two orders, do not meet by chance.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from flows.connection import connect, literal, quoted

#: The two hashes of a staged row's raw row.
KEYS = ("_raw_key", "_raw_key_2")
_VIEW = "raw_forms"


@dataclass(frozen=True)
class RawForms:
    """Where one section's raw rows can be read again: its DuckDB file, and the time zone that it reads times in."""

    database: str
    timezone: str


def keyed(query: str, raw_columns: Collection[str]) -> str:
    """A query with a column `_raw` (a struct of these columns), and the two hashes of it."""
    fields = [f"_raw.{quoted(name)}" for name in raw_columns]
    hashes = (f"hash({', '.join(each)}) as {key}" for key, each in zip(KEYS, (fields, fields[::-1]), strict=True))
    return f"select *, {', '.join(hashes)} from ({query})"


def keep_recipe(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Keep the query of a section's raw rows (KEYS and `_raw`) in its DuckDB file."""
    connection.execute(f"create view {_VIEW} as select {', '.join(KEYS)}, _raw from ({query})")


def write_forms(forms: RawForms, wanted: pa.Table, file: Path) -> None:
    """Write the raw forms of these keys (a table of KEYS) to a parquet file with KEYS and `_raw`, each key once.

    By way of a file, so that their types are those of staged rows. Without keys the export is not read.
    """
    connection = connect(file.parent, forms.timezone, Path(forms.database))
    try:
        connection.register("wanted", wanted)
        keys = ", ".join(KEYS)
        connection.execute(
            f"copy (select {keys}, any_value(_raw) as _raw from {_VIEW} semi join wanted using ({keys}) "
            f"where {len(wanted) > 0} group by {keys}) to {literal(str(file))} (format parquet)"
        )
    finally:
        connection.close()
