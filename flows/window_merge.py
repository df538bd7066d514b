"""A window's new rows beside those that lie there: the newer one of each key, stamped with when it came to us."""

from collections.abc import Sequence
from datetime import datetime

import duckdb
import pyarrow as pa

from feature_repo.schema import TABLES
from flows.connection import literal, quoted
from flows.lake import STAMPS, Window


def not_named(connection: duckdb.DuckDBPyConnection, existing: pa.Table, window: Window) -> pa.Table:
    """Those rows of a window that the relation `replaced`, which has the rows of an export, does not name."""
    key = quoted(TABLES[window.table].key[0])
    connection.register("existing", existing)
    rows = connection.sql(f"select * from existing anti join replaced using ({key})").to_arrow_table()
    connection.unregister("existing")
    return rows


def merge_window(
    connection: duckdb.DuckDBPyConnection, existing: pa.Table, window: Window, now: datetime, newest_wins: bool = False
) -> pa.Table:
    """The window's new rows: those of the relation `incoming`, and the existing ones that `replaced` does not name.

    `incoming` has the contract's columns, with a null stamp where the export has none; `replaced` has the key of every
    row of the export. A row that was there before keeps its stamp (an item or a user only while nothing of it changed).
    Where the `newest_wins`, a row that was there stays while its stamp is later than the new one's.
    """
    table = TABLES[window.table]
    key, stamp = quoted(table.key[0]), STAMPS.get(window.table)
    names = table.column_names
    ordered, came = ", ".join(quoted(name) for name in names), f"timestamptz {literal(now.isoformat())}"
    if not len(existing):
        stamped = f"replace (coalesce({quoted(stamp)}, {came}) as {quoted(stamp)})" if stamp else ""
        return connection.sql(f"select {ordered} from (select * {stamped} from incoming)").to_arrow_table()
    connection.register("existing", existing.select(list(names)))
    columns = [f"i.{quoted(name)}" for name in names if name != stamp]
    if stamp is not None:
        content = [quoted(name) for name in names if name != stamp]
        same = "true" if window.table == "events" else _same(content)
        kept = f"case when e.{key} is not null and {same} then e.{quoted(stamp)} end"
        columns.append(f"coalesce(i.{quoted(stamp)}, {kept}, {came}) as {quoted(stamp)}")
    older = f"coalesce(e.{quoted(stamp)} > i.{quoted(stamp)}, false)" if newest_wins and stamp else "false"
    joined = f"from incoming i left join existing e using ({key})"
    # A held row may have no key, and `not in` a list with a null is true of nothing.
    named = f"select {key} from replaced where {key} is not null"
    kept = f"{key} not in ({named}) or {key} in (select i.{key} {joined} where {older})"
    result = connection.sql(
        f"select {ordered} from (select {', '.join(columns)} {joined} where not ({older})) union all "
        f"select {ordered} from existing where {kept}"
    ).to_arrow_table()
    connection.unregister("existing")
    return result


def _same(content: Sequence[str]) -> str:
    mine, theirs = (", ".join(f"{side}.{name}" for name in content) for side in "ie")
    return f"row({mine}) is not distinct from row({theirs})"
