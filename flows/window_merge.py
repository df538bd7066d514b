"""A window's new rows beside those that lie there: the newer one of each key, stamped with when it came to us."""

from collections.abc import Sequence
from datetime import datetime

import duckdb
import pyarrow as pa

from feature_repo.schema import TABLES
from flows.connection import literal, quoted
from flows.lake import STAMPS, Window


def merge_window(connection: duckdb.DuckDBPyConnection, existing: pa.Table, window: Window, now: datetime) -> pa.Table:
    """The window's new rows: those of the relation `incoming`, and the existing ones that `replaced` does not name.

    `incoming` has the contract's columns, with a null stamp where the export has none; `replaced` has the key of every
    row of the export. A row that was there before keeps its stamp (an item or a user only while nothing of it changed).
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
    result = connection.sql(
        f"select {ordered} from (select {', '.join(columns)} from incoming i left join existing e using ({key})) "
        f"union all select {ordered} from existing where {key} not in (select {key} from replaced)"
    ).to_arrow_table()
    connection.unregister("existing")
    return result


def _same(content: Sequence[str]) -> str:
    mine, theirs = (", ".join(f"{side}.{name}" for name in content) for side in "ie")
    return f"row({mine}) is not distinct from row({theirs})"
