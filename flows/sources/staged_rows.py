"""The file of a section's staged rows: in the order of what they say, without what all of them say alike.

Its footer has that (`alike`), and how the raw rows were read (`origin`).
"""

import json
import re
from collections.abc import Mapping as Columns
from pathlib import Path

import duckdb

from feature_repo.schema import TABLES
from flows.connection import literal, quoted
from flows.sources.columns import Expression
from flows.sources.mapping import Mapping, Section
from flows.sources.user_columns import user_columns

#: Made of other columns than the mapping's expression says.
_MADE_OF_OTHERS = ("event_id", "user_id")
_CONSTANT = re.compile(r"cast\((?:null|\('(?:[^']|'')*'\)) as [\w\[\]]+\)")


def constants(expressions: dict[str, Expression]) -> dict[str, str]:
    """The columns that all rows of a section have alike, with their SQL: `'purchase'`, the shop's currency, nulls."""
    return {
        name: expression.value
        for name, expression in expressions.items()
        if name not in _MADE_OF_OTHERS and not expression.unreadable and _CONSTANT.fullmatch(expression.value)
    }


def in_content_order(query: str, table: str, alike: Columns[str, str], made: Columns[str, str]) -> str:
    """The query's rows, sorted by the key (events: their times), then by a hash of all the rest.

    The order hangs on what rows say, not on that of the export. A hash of eight bytes stands for the text of a dozen
    columns: sorting by the columns themselves costs a fifth of the staging. Rows alike in everything have one hash.
    Columns that are `alike` in all rows (`constants`) say nothing of the order and are left out: carried through the
    sort they cost a quarter of it. Those `made` of the sorted rows (SQL by name) are cheaper made than carried.
    """
    left_out = [name for name in TABLES[table].column_names if name in alike or name in made]
    names = [name for name in TABLES[table].column_names if name not in left_out]
    first = ["event_time", "known_at"] if table == "events" else list(TABLES[table].key)
    order = [quoted(name) for name in first if name in names]
    order.append(f"hash({', '.join(quoted(name) for name in names if name not in first) or 'null'})")
    sorted_by = f"* exclude ({', '.join(map(quoted, left_out))})" if left_out else "*"
    added = "".join(f", {value} as {quoted(name)}" for name, value in made.items())
    return f"select *{added} from (select {sorted_by} from ({query}) order by {', '.join(order)})"


def write_rows(
    connection: duckdb.DuckDBPyConnection, ordered: str, file: Path, origin: str, alike: Columns[str, str]
) -> int:
    """Write rows without the columns that all have `alike`; return how many rows there are."""
    # Uncompressed: the file is read a few times and removed.
    connection.execute(
        f"copy ({ordered}) to {literal(str(file))} (format parquet, compression uncompressed, "
        f"kv_metadata {{origin: {literal(origin)}, alike: {literal(json.dumps(dict(alike)))}}})"
    )
    row = connection.execute("select count(*) from read_parquet(?)", [str(file)]).fetchone()
    return int(row[0]) if row else 0


def rows_of(connection: duckdb.DuckDBPyConnection, file: str | Path) -> str:
    """SQL of a file's rows, each with the columns that all have alike, and with its place (`file_row_number`)."""
    row = connection.execute(
        "select decode(value) from parquet_kv_metadata(?) where decode(key) = 'alike'", [str(file)]
    ).fetchone()
    alike = json.loads(row[0]) if row else {}
    added = "".join(f", {value} as {quoted(name)}" for name, value in alike.items())
    return f"(select *{added} from read_parquet({literal(str(file))}, file_row_number = true))"


def origin_of(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, section: Section, query: str, hidden: set[str]
) -> str:
    """How the raw rows were read, as JSON: what a held row needs to be read again."""
    columns = connection.execute(f"describe select unnest(_raw) from ({query})").fetchall()
    own = user_columns(connection, section) if hidden else hidden
    origin = {
        "section": section.label,
        "types": {name: dtype for name, dtype, *_ in columns},
        "pseudonyms": [] if mapping.pseudonymous else sorted(hidden & own),
        "behind": [] if mapping.pseudonymous else sorted(hidden - own),
        "private": sorted(name for name, *_ in columns if mapping.is_private(name)),
    }
    return json.dumps(origin, sort_keys=True)
