"""Replay of held rows: judged again by the mapping and the contract as they stand now; what passes lands in the lake.

Cut off anywhere and run again, it ends in the same lake and quarantine: rows that are about to land are marked first
(`LANDING`), each window is one commit, and the rows are settled last.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import duckdb

from expectations.validate import HELD_SCHEMA, References, held_rows
from feature_repo.schema import CONTRACT_VERSION, TABLES
from flows import lake
from flows.connection import connect, literal, quoted
from flows.judging import NAMES_ITEMS, free_only_copies, known_items, open_staged
from flows.landing import staging_folder
from flows.moved_events import may_move
from flows.quarantine import LANDING, Row, Selection, read_held, replayed, settle
from flows.settings import Settings
from flows.sources.held import ROW_ID, StagedHeld, stage_held
from flows.sources.mapping import Mapping
from flows.sources.staging import StagedTable
from flows.window_merge import merge_window

#: Told after each window: its table, its name, rows that landed in it.
Progress = Callable[[str, str, int], None]
_LEFT_OUT = "the mapping leaves such rows out"
_NEWER = "the catalogue has a newer row of this item"


@dataclass(frozen=True)
class ReplayReport:
    """What became of held rows: how many were looked at, landed a table, were left out by the mapping and so discarded,
    and stay held (table, rule, reason, rows).

    `windows` are the windows of the lake that were written; no other was touched.
    """

    source: str
    rows: int
    landed: dict[str, int]
    left_out: int
    still_held: tuple[tuple[str, str, str, int], ...]
    windows: tuple[tuple[str, str], ...]

    @property
    def rows_landed(self) -> int:
        """Rows that are held no more."""
        return sum(self.landed.values())

    @property
    def sentence(self) -> str:
        """The outcome in a sentence."""
        held = self.rows - self.rows_landed - self.left_out
        left_out = f" {self.left_out:,} left out by the mapping," if self.left_out else ""
        return f"{self.rows:,} held rows judged again: {self.rows_landed:,} landed,{left_out} {held:,} stay held."


@dataclass(frozen=True)
class _Replay:
    """What every step of a replay needs: `marked` are the rows that an earlier replay was about to land, `no_copies`
    those that are held for something else than being there twice.
    """

    settings: Settings
    connection: duckdb.DuckDBPyConnection
    mapping: Mapping
    now: datetime
    marked: frozenset[str]
    no_copies: frozenset[str]


def replay_held(
    settings: Settings, mapping: Mapping, selection: Selection, now: datetime, progress: Progress | None = None
) -> ReplayReport:
    """Judge the selected held rows of the mapping's source again, land what passes, give the rest its new reason.

    A landed row has its own event_time, `known_at` is now. A row whose key is in the lake already stays held: what
    landed is never overwritten by a replay. Raises LakeError when the storage fails; the same call goes on from there.
    """
    rows = read_held(settings, replace(selection, source=mapping.source))
    told = rows.select(["row_id", "note", "rule"]).to_pylist()
    marked = frozenset(row["row_id"] for row in told if row["note"] == LANDING)
    no_copies = frozenset(row["row_id"] for row in told if not row["rule"].endswith("_unique"))
    news: dict[str, Row] = {}
    windows: list[tuple[str, str]] = []
    with staging_folder(settings) as folder:
        staged = stage_held(mapping, rows, folder, settings.pseudonym_key)
        connection = connect(folder)
        run = _Replay(settings, connection, mapping, now, marked, no_copies)
        for table in (table for table in mapping.tables if table in staged):
            _judge(run, staged, table)
            _find_in_lake(run, table)
            windows += _land(run, table, progress)
            news |= _outcome(run, staged[table])
        connection.close()
    settle(settings, mapping.source, news)
    return _report(mapping.source, rows.to_pylist(), news, tuple(windows))


def _judge(run: _Replay, staged: dict[str, StagedHeld], table: str) -> None:
    """Make `held_T` (_row, rule, reason) and `ids_T` (_row, row_id) of a table's staged rows."""
    connection, mine = run.connection, staged[table]
    open_staged(connection, StagedTable(table, mine.files, mine.rows, (), 0), run.now)
    connection.execute(
        f"create table ids_{table} as select _row, json_extract_string(raw, {literal('/' + ROW_ID)}) as row_id "
        f"from raw_{table}"
    )
    connection.execute(f"create table older_{table} (_row bigint)")
    if run.mapping.newest_wins(table):
        _set_older_aside(connection, table)
    known = known_items(connection, run.settings, run.mapping, staged) if table in NAMES_ITEMS else None
    references = References(known, run.now)
    found = (
        held_rows(connection, f"staged_{table}", TABLES[table], references) if mine.rows else HELD_SCHEMA.empty_table()
    )
    connection.register("found", found)
    connection.execute(f"create table held_{table} as select * from found")
    free_only_copies(connection, table, TABLES[table].key[0])


def _set_older_aside(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """Of several staged rows of an item only the newest is judged; the others go to `older_T`."""
    connection.execute(
        f"insert into older_{table} select _row from (select _row, row_number() over (partition by item_id "
        f"order by updated_at desc nulls last, row_id is null, _row) as place, item_id from incoming_{table} "
        f"join ids_{table} using (_row)) where place > 1 and item_id is not null"
    )
    for view in (f"staged_{table}", f"incoming_{table}"):
        connection.execute(f"create table newest as select * from {view} where _row not in (from older_{table})")
        connection.execute(f"drop view {view}")
        connection.execute(f"alter table newest rename to {view}")


def _find_in_lake(run: _Replay, table: str) -> None:
    """Make `in_lake_T`: the staged rows whose key has landed; `same` when nothing but the stamp differs.

    An event that keeps its id when its time is corrected may have landed in another window.
    """
    connection, key = run.connection, quoted(TABLES[table].key[0])
    stamp = lake.STAMPS.get(table)
    content = [quoted(name) for name in TABLES[table].column_names if name != stamp]
    mine, theirs = (", ".join(f"{side}.{name}" for name in content) for side in "ie")
    same = f"row({mine}) is not distinct from row({theirs})"
    later = f"coalesce(i.{quoted(stamp)} >= e.{quoted(stamp)}, false) and not ({same})"
    newer = later if run.mapping.newest_wins(table) else "false"
    connection.execute(f"create table in_lake_{table} (_row bigint, same boolean, newer boolean)")
    for name in _windows(connection, f"select _window from incoming_{table}"):
        existing, _ = lake.read_window(run.settings, lake.Window(table, run.mapping.source, name))
        connection.register("existing", existing)
        connection.execute(
            f"insert into in_lake_{table} select i._row, {same}, {newer} "
            f"from incoming_{table} i join existing e using ({key}) where i._window = ?",
            [name],
        )
        connection.unregister("existing")
    if table == "events" and may_move(run.mapping):
        connection.register("lake_events", lake.arrow_dataset(run.settings, table))
        connection.execute(
            f"insert into in_lake_{table} select distinct i._row, false, false from incoming_{table} i "
            'join lake_events e using (event_id) where e.source = ? and e."window" <> i._window',
            [run.mapping.source],
        )
        connection.unregister("lake_events")


def _land(run: _Replay, table: str, progress: Progress | None) -> list[tuple[str, str]]:
    """Mark the rows that may land, then write their windows, one commit each; return the windows."""
    connection = run.connection
    connection.execute(
        f"create table landing_{table} as select _row from incoming_{table} where _row not in "
        f"(select _row from held_{table} union all select _row from in_lake_{table} where not newer)"
    )
    ids = connection.execute(
        f"select row_id from ids_{table} join landing_{table} using (_row) where row_id is not null"
    ).fetchall()
    settle(run.settings, run.mapping.source, {row_id: {"note": LANDING} for (row_id,) in ids})
    source = f"incoming_{table} join landing_{table} using (_row)"
    names = _windows(connection, f"select _window from {source}")
    for name in names:
        rows = f"select * exclude (_row) from {source} where _window = {literal(name)}"
        connection.execute(f"create or replace temp view incoming as {rows}")
        connection.execute(f"create or replace temp view replaced as {rows}")
        window = lake.Window(table, run.mapping.source, name)
        existing, read_at = lake.read_window(run.settings, window)
        merged = merge_window(connection, existing, window, run.now)
        lake.write_window(run.settings, window, merged, read_at)
        if progress is not None:
            progress(table, name, len(merged) - len(existing))
    return [(table, name) for name in names]


def _windows(connection: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    return [name for (name,) in connection.execute(f"select distinct _window from ({query}) order by 1").fetchall()]


def _outcome(run: _Replay, staged: StagedHeld) -> dict[str, Row]:
    """What to write of each held row of a table: row_id → new values. Rows that could not be read keep their reason."""
    table = staged.table
    key = TABLES[table].key[0]
    older = f"row_id in (select row_id from ids_{table} join older_{table} using (_row))"
    kept = f"coalesce(l._row is not null and not l.newer, false) and {str(run.mapping.newest_wins(table)).lower()}"
    # What is in the lake as it is here has landed, by an export since or by a replay that died: but for a second copy.
    landed_since = sorted(run.marked | run.no_copies)
    rows = run.connection.execute(
        f"select row_id, g._row is not null or (l.same and list_contains(?, row_id)), {older} or ({kept}), h.rule, "
        f"h.reason, s.{quoted(key)} from ids_{table} left join landing_{table} g using (_row) "
        f"left join in_lake_{table} l using (_row) left join held_{table} h using (_row) "
        f"left join incoming_{table} s using (_row) where row_id is not null",
        [landed_since],
    ).fetchall()
    news: dict[str, Row] = {}
    for row_id, landed, outdated, rule, reason, value in rows:
        if news.get(row_id, {}).get("state") == "replayed":
            continue
        if landed:
            news[row_id] = replayed(run.now, "landed by a replay")
        elif outdated and not rule:
            news[row_id] = replayed(run.now, _NEWER)
        else:
            taken = f"expected {key} to name one row; came {value!r}, which is in the lake already and stays as it is"
            found = {"rule": rule or f"{key}_unique", "reason": reason or taken}
            news[row_id] = {**found, "contract_version": CONTRACT_VERSION, "note": None}
    left_out: Row = {"state": "discarded", "settled_at": run.now, "note": _LEFT_OUT}
    news |= {row_id: {"note": why} for row_id, why in staged.unread.items() if row_id not in run.marked}
    return news | dict.fromkeys(staged.left_out, left_out)


def _report(source: str, rows: list[Row], news: dict[str, Row], windows: tuple[tuple[str, str], ...]) -> ReplayReport:
    landed: dict[str, int] = {}
    held: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        after = {**row, **news.get(str(row["row_id"]), {})}
        table = str(row["table_name"])
        if after["state"] == "replayed":
            landed[table] = landed.get(table, 0) + 1
        elif after["state"] == "held":
            why = str(after["note"] or after["reason"])
            held.setdefault((table, str(after["rule"])), []).append(why)
    still = tuple((table, rule, min(reasons), len(reasons)) for (table, rule), reasons in sorted(held.items()))
    left_out = len(rows) - sum(landed.values()) - sum(count for *_, count in still)
    return ReplayReport(source, len(rows), landed, left_out, still, windows)
