"""Held rows: kept as they came (user ids as pseudonyms), with the rule they broke and why; never twice."""

import random
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from feature_repo.schema import CONTRACT_VERSION, QUARANTINE
from flows.connection import connect, literal
from flows.lake import LakeConflict, arrow_dataset, arrow_schema, read_source, replace_windows, table_version
from flows.settings import Settings

#: The window of rows whose event time could not be read; under a mended mapping they find their own.
UNKNOWN_WINDOW = "unknown"
#: Note of a held row that is about to land: a replay that died may have landed it.
LANDING = "landing"
#: How often rows are held anew when another run was at the same windows meanwhile.
_TRIES = 5

Row = dict[str, object]
#: SQL for the number of the section that read a row; a table's first or only one has none, whatever it is called.
_SECTION = "coalesce(regexp_extract(json_extract_string({}, '$.section'), '\\[([1-9][0-9]*)\\]$', 1), '')"


@dataclass(frozen=True)
class Selection:
    """Which held rows: those of a source, table, rule or window, or whose id begins so; None takes any."""

    source: str | None = None
    table: str | None = None
    rule: str | None = None
    window: str | None = None
    row_id: str | None = None

    @property
    def filter(self) -> ds.Expression:
        """The rows as an Arrow filter, whatever their state."""
        condition = ds.field("row_id").is_valid()
        fields = {"source": self.source, "table_name": self.table, "rule": self.rule, "window": self.window}
        for name, value in fields.items():
            if value is not None:
                condition &= ds.field(name) == value
        if self.row_id is not None:
            condition &= pa.compute.starts_with(ds.field("row_id"), self.row_id)
        return condition


def quarantine_rows(
    connection: duckdb.DuckDBPyConnection, relation: str, table: str, source: str, now: datetime
) -> pa.Table:
    """Rows for the quarantine from a relation with `window`, `raw` (JSON), `origin` (JSON), `rule`, `reason`.

    The same raw row held twice in one export gives two rows, numbered; the same export held again gives the same ids,
    also when a mended mapping reads another window from the row. What a table's second or later section makes of a raw
    row is another row.
    """
    of_section = "case when section <> '' then chr(31) || section else '' end"
    parts = f"copy || chr(31) || {literal(source)} || chr(31) || {literal(table)} || chr(31) || raw || {of_section}"
    rows = connection.sql(
        f"select 'q_' || left(sha256({parts}), 32) as row_id, {literal(table)} as table_name, "
        f'{literal(source)} as source, "window", raw, rule, reason, {literal(CONTRACT_VERSION)} as contract_version, '
        f"timestamptz {literal(now.isoformat())} as known_at, 'held' as state, origin, "
        "null::timestamptz as settled_at, null::varchar as note "
        "from (select *, cast(row_number() over (partition by section, raw order by rule, reason) as varchar) as copy "
        f"from (select *, {_SECTION.format('origin')} as section from {relation}))"
    ).to_arrow_table()
    return rows.cast(arrow_schema(QUARANTINE))


def hold(settings: Settings, rows: pa.Table) -> int:
    """Put the rows that are not in the quarantine yet into it; return how many are held anew.

    A row that was replayed once and is bad again (the mapping changed back, say) is held again; a discarded one stays
    discarded. Two runs that hold the same rows at once hold them once: the later one sees the other's and tries again.
    """
    sources = set(rows["source"].to_pylist())
    return sum(_hold(settings, source, rows.filter(pa.compute.field("source") == source)) for source in sources)


def _hold(settings: Settings, source: str, rows: pa.Table) -> int:
    for tries_left in reversed(range(_TRIES)):
        version = table_version(settings, QUARANTINE.name)
        connection = connect()
        connection.register("fresh", rows)
        connection.register("known", _rows_of_source(settings, source, version, ["row_id", "state"]))
        new = connection.sql("select * from fresh anti join known using (row_id)").to_arrow_table()
        windows = set(new["window"].to_pylist())
        try:
            if windows:
                beside = _rows_of_source(settings, source, version, new.schema.names, windows)
                both = pa.concat_tables([beside, new])
                replace_windows(settings, QUARANTINE.name, source, windows, both, version)
            break
        except LakeConflict:
            if not tries_left:
                raise
            time.sleep(random.uniform(0.1, 0.5))
    again = connection.sql(
        "select fresh.* from fresh join known using (row_id) where known.state = 'replayed'"
    ).to_arrow_table()
    settle(settings, source, {str(row["row_id"]): _verdict_of(row) for row in again.to_pylist()})
    return len(new) + len(again)


def _rows_of_source(
    settings: Settings, source: str, version: int, columns: list[str], windows: Collection[str] | None = None
) -> pa.Table:
    """The quarantine's rows of one source (of some windows) at a version of the table; -1, before it was made: none."""
    wanted = ds.field("source") == source
    if windows is not None:
        wanted &= ds.field("window").isin(sorted(windows))
    dataset = arrow_dataset(settings, QUARANTINE.name, None if version < 0 else version)
    return dataset.to_table(columns=columns, filter=wanted)


def _verdict_of(row: Row) -> Row:
    names = ("rule", "reason", "contract_version", "known_at", "state", "settled_at", "note")
    return {name: row[name] for name in names}


def settle(settings: Settings, source: str, changes: Mapping[str, Row]) -> int:
    """Change rows of one source's quarantine in one commit: row_id → the columns' new values; return how many changed.

    Rows that already are so are not written. Raises LakeError when another writer was at work meanwhile.
    """
    rows, read_at = read_source(settings, QUARANTINE.name, source)
    found = rows.to_pylist()
    touched = set()
    changed = 0
    for row in found:
        wanted = changes.get(str(row["row_id"]))
        if wanted and any(row[name] != value for name, value in wanted.items()):
            row.update(wanted)
            touched.add(str(row["window"]))
            changed += 1
    if changed:
        new = [row for row in found if row["window"] in touched]
        table = pa.Table.from_pylist(new, schema=arrow_schema(QUARANTINE))
        replace_windows(settings, QUARANTINE.name, source, touched, table, read_at)
    return changed


def release(settings: Settings, source: str, landed: pa.Table, still_held: pa.Table, now: datetime) -> int:
    """Mark those held rows of a source that have landed with an export since as replayed; return how many.

    `landed` are the good rows as they would have been held, `still_held` the bad ones. A row is freed by its own
    section alone: of rows held long ago the id does not tell the section, but the origin does.
    """
    connection = connect()
    connection.register("landed", landed)
    connection.register("still_held", still_held)
    wanted = (ds.field("source") == source) & (ds.field("state") == "held")
    held = arrow_dataset(settings, QUARANTINE.name).to_table(columns=["row_id", "origin"], filter=wanted)
    connection.register("held", held)
    free = connection.execute(
        "select distinct row_id from held h join landed l using (row_id) "
        "where row_id not in (select row_id from still_held) "
        f"and {_SECTION.format('h.origin')} = {_SECTION.format('l.origin')}"
    ).fetchall()
    return settle(settings, source, {row_id: replayed(now, "landed with its export") for (row_id,) in free})


def replayed(now: datetime, note: str) -> Row:
    """The new values of a row that has landed."""
    return {"state": "replayed", "settled_at": now, "note": note}


def discard(settings: Settings, selection: Selection, reason: str, now: datetime) -> int:
    """Mark the selected held rows as discarded, with the reason; they stay in the quarantine. Return how many."""
    rows = read_held(settings, selection).select(["source", "row_id"]).to_pylist()
    news: Row = {"state": "discarded", "settled_at": now, "note": reason}
    return sum(
        settle(settings, source, {row["row_id"]: news for row in rows if row["source"] == source})
        for source in sorted({row["source"] for row in rows})
    )


def read_held(settings: Settings, selection: Selection) -> pa.Table:
    """The held rows of a selection, as Arrow with the contract's columns, in the order of their ids."""
    condition = selection.filter & (ds.field("state") == "held")
    return arrow_dataset(settings, QUARANTINE.name).to_table(filter=condition).sort_by("row_id")


def held_windows(settings: Settings, source: str, table: str) -> set[str]:
    """The windows of one source's table that hold rows."""
    wanted = (ds.field("source") == source) & (ds.field("table_name") == table) & (ds.field("state") == "held")
    rows = arrow_dataset(settings, QUARANTINE.name).to_table(columns=["window"], filter=wanted)
    return set(rows["window"].to_pylist())


def list_rows(settings: Settings, selection: Selection, state: str | None = "held", limit: int = 50) -> pa.Table:
    """The newest rows of a selection in one state (None: any), as Arrow with the contract's columns."""
    condition = selection.filter if state is None else selection.filter & (ds.field("state") == state)
    rows = arrow_dataset(settings, QUARANTINE.name).to_table(filter=condition)
    return rows.sort_by([("known_at", "descending"), ("row_id", "ascending")]).slice(0, limit)


def counts_by_rule(settings: Settings) -> list[Row]:
    """How many rows are held: a dict with source, table_name, rule, state, rows and one reason as an example each."""
    connection = connect()
    connection.register("quarantine", arrow_dataset(settings, QUARANTINE.name))
    return (
        connection.sql(
            "select source, table_name, rule, state, count(*) as rows, min(reason) as example from quarantine "
            "group by all order by source, table_name, rows desc, rule"
        )
        .to_arrow_table()
        .to_pylist()
    )
