"""Private columns that an export does not have: a misspelt one is kept in the quarantine as if nobody had named it."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

from flows.connection import connect, literal
from flows.sources.mapping import Mapping
from flows.sources.staging import StagedTable


def unknown_private_columns(mapping: Mapping, staged: Sequence[StagedTable]) -> list[str]:
    """Say of each private column that no staged file nor input has that it is not there, and which one is like it."""
    if not mapping.private:
        return []
    there = {name.casefold(): name for table in staged for name in _columns_of(table)}
    known = there.keys() | mapping.objects
    return [_said(name, there.values()) for name in mapping.private if name.casefold() not in known]


def _said(name: str, there: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(there), 1)
    asked = f"; is {near[0]!r} meant?" if near else "."
    return f"private: no row of this sample has the column {name!r}, so nothing is left out for it{asked}"


def _columns_of(table: StagedTable) -> set[str]:
    """The raw columns of a staged table, and those of the inputs that they were made of."""
    found: set[str] = set()
    for file, forms in zip(table.files, table.forms, strict=True):
        connection = connect(database=Path(forms.database) if forms else None)
        raw = f"(describe select unnest(_raw) from read_parquet({literal(file)}))"
        of = "duckdb_columns() where not internal" if forms else raw
        rows = connection.execute(f"select column_name from {of}").fetchall()
        found |= {str(row[0]) for row in rows}
        connection.close()
    return found
