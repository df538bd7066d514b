"""Held rows: kept as they came (user ids as pseudonyms), with the rule they broke and why; never twice."""

from dataclasses import replace
from datetime import datetime

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from feature_repo.schema import CONTRACT_VERSION, QUARANTINE
from flows.connection import connect, literal
from flows.lake import Window, append_rows, arrow_dataset, arrow_schema, read_window, write_window
from flows.settings import Settings


def quarantine_rows(
    connection: duckdb.DuckDBPyConnection, relation: str, table: str, source: str, now: datetime
) -> pa.Table:
    """Rows for the quarantine from a relation with `window`, `raw` (JSON), `rule`, `reason`.

    The same raw row held twice in one export gives two rows, numbered; the same export held again gives the same ids.
    """
    parts = (
        f'copy || chr(31) || {literal(source)} || chr(31) || {literal(table)} || chr(31) || "window" || chr(31) || raw'
    )
    rows = connection.execute(
        f"select 'q_' || left(sha256({parts}), 32) as row_id, {literal(table)} as table_name, "
        f'{literal(source)} as source, "window", raw, rule, reason, {literal(CONTRACT_VERSION)} as contract_version, '
        f"timestamptz {literal(now.isoformat())} as known_at, 'held' as state "
        'from (select *, cast(row_number() over (partition by "window", raw order by rule, reason) as varchar) as copy '
        f"from {relation})"
    ).to_arrow_table()
    return rows.cast(arrow_schema(QUARANTINE))


def hold(settings: Settings, rows: pa.Table) -> int:
    """Append the rows that are not in the quarantine yet; return how many were new."""
    if not len(rows):
        return 0
    connection = connect()
    connection.register("fresh", rows)
    connection.register("held", arrow_dataset(settings, QUARANTINE.name).scanner(columns=["row_id"]).to_table())
    new = connection.execute("select * from fresh where row_id not in (select row_id from held)").to_arrow_table()
    append_rows(settings, QUARANTINE.name, new)
    return len(new)


def release(settings: Settings, window: Window, landed: set[str]) -> int:
    """Mark the held rows of one source and window that have landed since as replayed; return how many.

    `landed` are the row_ids that the good rows of the window would have had, had they been held.
    """
    place = replace(window, table=QUARANTINE.name)
    rows, read_at = read_window(settings, place)
    free = [
        row["state"] == "held" and row["table_name"] == window.table and row["row_id"] in landed
        for row in rows.select(["state", "table_name", "row_id"]).to_pylist()
    ]
    if any(free):
        states = [
            "replayed" if now_free else state for now_free, state in zip(free, rows["state"].to_pylist(), strict=True)
        ]
        rows = rows.set_column(rows.schema.get_field_index("state"), "state", pa.array(states))
        write_window(settings, place, rows, read_at)
    return sum(free)


def held_windows(settings: Settings, source: str, table: str) -> set[str]:
    """The windows of one source's table that hold rows."""
    wanted = (ds.field("source") == source) & (ds.field("table_name") == table) & (ds.field("state") == "held")
    rows = arrow_dataset(settings, QUARANTINE.name).to_table(columns=["window"], filter=wanted)
    return set(rows["window"].to_pylist())


def list_held(
    settings: Settings, source: str | None = None, rule: str | None = None, state: str | None = "held", limit: int = 50
) -> pa.Table:
    """The newest held rows, of one source or rule where given, as Arrow with the contract's columns."""
    condition = ds.field("row_id").is_valid()
    for name, value in (("source", source), ("rule", rule), ("state", state)):
        if value is not None:
            condition &= ds.field(name) == value
    rows = arrow_dataset(settings, QUARANTINE.name).to_table(filter=condition)
    return rows.sort_by([("known_at", "descending"), ("row_id", "ascending")]).slice(0, limit)


def counts_by_rule(settings: Settings) -> list[dict[str, object]]:
    """How many rows are held: a dict with source, table_name, rule, state, rows and one reason as an example each."""
    connection = connect()
    connection.register("quarantine", arrow_dataset(settings, QUARANTINE.name))
    return (
        connection.execute(
            "select source, table_name, rule, state, count(*) as rows, min(reason) as example from quarantine "
            "group by all order by source, table_name, rows desc, rule"
        )
        .to_arrow_table()
        .to_pylist()
    )
