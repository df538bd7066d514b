"""Land a judged table: hold the bad rows, write the good ones window by window, each window into the ledger at last.

A row is either in the lake or in the quarantine. Every step may be cut off and run again.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from expectations.validate import Verdict
from feature_repo.schema import CONTRACT_VERSION
from flows import lake
from flows.connection import connect, literal
from flows.judging import JudgedTable, WindowCounts, load_raw, open_staged
from flows.moved_events import may_move, moved_away, staying, windows_left
from flows.quarantine import UNKNOWN_WINDOW, held_windows, hold, quarantine_rows, release
from flows.settings import Settings
from flows.sources.mapping import Mapping
from flows.sources.mapping_keys import ExportRejected
from flows.sources.staging import StagedTable
from flows.window_merge import merge_window, not_named

#: Told after each window: windows done, windows to do, rows of this one.
Progress = Callable[[int, int, int], None]
_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class TableSummary:
    """What became of one table of an export: rows_in = rows_written + rows_held.

    rows_written counts the rows that are in the lake after the run, in windows landed now and in windows skipped
    because the same content had landed before. rows_of_before were landed by another mapping in the windows of this
    export, which does not name them: they stay, or are removed where the landing replaces.
    """

    table: str
    rows_in: int
    rows_written: int
    rows_held: int
    windows_landed: int
    windows_skipped: int
    verdict: Verdict | None
    rows_of_before: int = 0

    def told_of_before(self, replaced: bool) -> str:
        """What became of rows that another mapping landed, in a sentence."""
        rows = f"{self.rows_of_before:,} rows that an earlier mapping landed are not in this export as it is read now"
        if replaced:
            return f"{rows}; they were removed."
        return (
            f"{rows}; they stay. If a mended time, user or item gave these deeds another id, the lake has them twice: "
            "ingest the whole export again with --replace."
        )


@dataclass(frozen=True)
class _Landing:
    """What every step of one table's landing needs; `folder` takes what is read of the export again.

    With `replace` the windows hold nothing afterwards but what the export says.
    """

    settings: Settings
    folder: Path
    connection: duckdb.DuckDBPyConnection
    mapping: Mapping
    staged: StagedTable
    now: datetime
    replace: bool


@contextmanager
def staging_folder(settings: Settings) -> Iterator[Path]:
    """A private scratch folder, removed at the end. It holds raw rows: what a killed run left goes after a day."""
    parent = settings.home / "staging"
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in parent.iterdir():
        if datetime.now(UTC).timestamp() - left.stat().st_mtime > _DAY_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def land_table(
    settings: Settings,
    mapping: Mapping,
    judged: JudgedTable,
    now: datetime,
    progress: Progress | None = None,
    replace: bool = False,
) -> TableSummary:
    """Hold the bad rows, write each window whose content is new, record it. Running it again changes nothing.

    With `replace`, events that lie in the span of the export and that it does not name are removed: an earlier mapping
    read them with other times, users or items, and so with other ids.
    """
    staged = judged.staged
    folder = Path(judged.held_file).parent
    connection = connect(folder)
    open_staged(connection, staged, now)
    connection.execute(f"create table held as select * from read_parquet({literal(judged.held_file)})")
    landing = _Landing(settings, folder, connection, mapping, staged, now, replace and staged.table == "events")
    ledger = lake.read_ledger(settings, mapping.source, staged.table)
    due = [
        window for window in judged.windows if landing.replace or not _landed(ledger.get(window.name), window, mapping)
    ]
    held_before = held_windows(settings, mapping.source, staged.table) if due else set()
    _load_raw(landing, due, held_before)
    _hold_unread(landing)
    _hold_rows(landing, due)
    before = _empty_windows(landing, judged, ledger)
    _leave_windows(landing, {window.name for window in due})
    for done, window in enumerate(due, 1):
        version, others = _write_window(landing, window)
        before += others if _by_another_mapping(ledger.get(window.name), mapping) else 0
        if held_before & {window.name, UNKNOWN_WINDOW}:
            _release_landed(landing, window)
        _record_window(landing, window, version)
        if progress is not None:
            progress(done, len(due), window.rows)
    connection.close()
    held = sum(window.held for window in judged.windows) + staged.unread_rows
    rows = staged.rows + staged.unread_rows
    skipped = len(judged.windows) - len(due)
    return TableSummary(staged.table, rows, rows - held, held, len(due), skipped, judged.verdict, before)


def _by_another_mapping(entry: dict[str, object] | None, mapping: Mapping) -> bool:
    return entry is not None and entry["mapping_hash"] != mapping.digest


def _empty_windows(landing: _Landing, judged: JudgedTable, ledger: dict[str, dict[str, object]]) -> int:
    """Where the landing replaces: empty the windows within the export's span that it has no row for; count the rows."""
    names = [window.name for window in judged.windows if window.name != UNKNOWN_WINDOW]
    if not landing.replace or not names:
        return 0
    removed = 0
    for name in sorted(name for name in ledger if min(names) <= name <= max(names) and name not in names):
        window = lake.Window(landing.staged.table, landing.mapping.source, name)
        existing, read_at = lake.read_window(landing.settings, window)
        if len(existing):
            version = lake.write_window(landing.settings, window, existing.slice(0, 0), read_at)
            _record_window(landing, WindowCounts(name, 0, 0, "replaced"), version)
            removed += len(existing)
    return removed


def _leave_windows(landing: _Landing, due: set[str]) -> None:
    """Take events out of windows that are not due, where the export has them in another one now.

    Before any window is written: a run that dies in between finds the new ones still due.
    """
    if landing.staged.table != "events" or not due or not may_move(landing.mapping):
        return
    for name in windows_left(landing.settings, landing.connection, landing.mapping.source):
        if name not in due:
            window = lake.Window("events", landing.mapping.source, name)
            existing, read_at = lake.read_window(landing.settings, window)
            stays = staying(landing.connection, existing, moved_away(landing.connection, existing, name))
            version = lake.write_window(landing.settings, window, stays, read_at)
            _record_window(landing, WindowCounts(name, len(stays), 0, "left"), version)


def _landed(entry: dict[str, object] | None, window: WindowCounts, mapping: Mapping) -> bool:
    return entry is not None and (entry["input_hash"], entry["mapping_hash"], entry["contract_version"]) == (
        window.input_hash,
        mapping.digest,
        CONTRACT_VERSION,
    )


def _write_window(landing: _Landing, counts: WindowCounts) -> tuple[int, int]:
    """Write one window's good rows beside, or in place of, what it had; return the version and the rows not named.

    A row that the export names in another window has moved there: the shop corrected its time.
    """
    settings, table = landing.settings, landing.staged.table
    window = lake.Window(table, landing.mapping.source, counts.name)
    rows = f"select * from incoming_{table} where _window = {literal(window.name)}"
    landing.connection.execute(f"create or replace temp view replaced as {rows}")
    landing.connection.execute(
        f"create or replace temp view incoming as {rows} and _row not in (select _row from held)"
    )
    existing, read_at = lake.read_window(settings, window)
    others = not_named(landing.connection, existing, window) if len(existing) else existing
    gone = others if landing.replace else others.slice(0, 0)
    if table == "events" and len(others) and not landing.replace:
        gone = moved_away(landing.connection, others, window.name)
    newest_wins = landing.mapping.newest_wins(table)
    stays = staying(landing.connection, existing, gone) if len(gone) else existing
    merged = merge_window(landing.connection, stays, window, landing.now, newest_wins)
    written = len(merged) or len(existing)
    return lake.write_window(settings, window, merged, read_at) if written else read_at, len(others)


def _release_landed(landing: _Landing, counts: WindowCounts) -> None:
    """Rows that an earlier run held and that have landed now (the catalogue knows the item, say) are held no more."""
    table, source = landing.staged.table, landing.mapping.source
    view = (
        "create or replace temp view {} as select s._window as \"window\", r.raw, r.origin, '' as rule, '' as reason "
        f"from incoming_{table} s join raw_{table} r using (_row) where s._window = {literal(counts.name)} "
        "and _row {} in (select _row from held)"
    )
    landing.connection.execute(view.format("landed", "not"))
    landing.connection.execute(view.format("still_held", ""))
    landed, still_held = (
        quarantine_rows(landing.connection, name, table, source, landing.now).select(["row_id", "origin"])
        for name in ("landed", "still_held")
    )
    release(landing.settings, source, landed, still_held, landing.now)


def _record_window(landing: _Landing, counts: WindowCounts, version: int) -> None:
    """The ledger's row comes last: a run cut off before it writes the window again, the same."""
    lake.record_window(
        landing.settings,
        {
            "source": landing.mapping.source,
            "table_name": landing.staged.table,
            "window": counts.name,
            "input_hash": counts.input_hash,
            "mapping_hash": landing.mapping.digest,
            "contract_version": CONTRACT_VERSION,
            "rows_in": counts.rows,
            "rows_written": counts.rows - counts.held,
            "rows_quarantined": counts.held,
            "table_version": max(version, 0),
            "finished_at": datetime.now(UTC),
        },
    )


def _hold_rows(landing: _Landing, windows: list[WindowCounts]) -> None:
    """Hold the bad rows of the windows that are about to be written."""
    if not any(window.held for window in windows):
        return
    table, names = landing.staged.table, ", ".join(literal(window.name) for window in windows)
    landing.connection.execute(
        'create or replace temp view to_hold as select s._window as "window", r.raw, r.origin, h.rule, h.reason '
        f"from held h join incoming_{table} s using (_row) join raw_{table} r using (_row) where s._window in ({names})"
    )
    _hold(landing)


def _load_raw(landing: _Landing, due: list[WindowCounts], held_before: set[str]) -> None:
    """Read the raw form of rows to hold, and of all rows of windows in which an earlier run held some, in one pass."""
    asked = [window.name for window in due if held_before & {window.name, UNKNOWN_WINDOW}]
    table = landing.staged.table
    wanted = [
        f"select _row from incoming_{table} where _window in ({', '.join(map(literal, names))}) and {condition}"
        for names, condition in (
            ([window.name for window in due if window.held], "_row in (select _row from held)"),
            (asked, "true"),
        )
        if names
    ]
    if not wanted:
        return
    load_raw(landing.connection, landing.staged, landing.folder, " union all ".join(wanted))
    lost = landing.connection.execute(
        f"select count(*) from ({' union '.join(wanted)}) where _row not in (select _row from raw_{table})"
    ).fetchone()
    if lost and lost[0]:
        raise ExportRejected(
            f"{landing.mapping.source}: expected {table} to be the same rows when they are read again, which is how a "
            f"held row is kept as it came, but {lost[0]:,} of them are gone. Nothing was written. Does a `from` of "
            f"{landing.mapping.file} have now(), uuid() or random() in it, or did the files change meanwhile?"
        )


def _hold_unread(landing: _Landing) -> None:
    """Hold the lines that could not be split into columns, as a fingerprint where a user id may hide in the line."""
    if not landing.staged.unread_files:
        return
    files = ", ".join(literal(file) for file in landing.staged.unread_files)
    landing.connection.execute(
        "create or replace temp view to_hold as select 'unread' as \"window\", cast(to_json("
        "{'file': parse_filename(file), 'line_number': number, 'line': line}) as varchar) as raw, "
        "null::varchar as origin, 'line_readable' as rule, "
        "'expected a line that can be split into the columns; line ' || number || ' of ' "
        f"|| parse_filename(file) || ' came with: ' || problem as reason from read_parquet([{files}])"
    )
    _hold(landing)


def _hold(landing: _Landing) -> None:
    source, table = landing.mapping.source, landing.staged.table
    hold(landing.settings, quarantine_rows(landing.connection, "to_hold", table, source, landing.now))
