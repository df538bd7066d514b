"""Land an export: stage it, judge it whole, hold the bad rows, write the good ones window by window, then the ledger.

Nothing is written before every table of the export has been judged. A row is either in the lake or in the quarantine.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from expectations.validate import References, Verdict, check_table, held_rows, raise_if_refused
from feature_repo.schema import CONTRACT_VERSION, TABLES
from flows import lake, quarantine
from flows.connection import connect, literal, quoted
from flows.settings import Settings
from flows.sources.mapping import Mapping
from flows.sources.staging import StagedTable

#: Told after each window: table, windows done, windows in all, rows of the window.
Progress = Callable[[str, int, int, int], None]


@dataclass(frozen=True)
class JudgedTable:
    """A staged table with its verdict; `held_file` is parquet with _row, rule, reason of the rows to hold."""

    staged: StagedTable
    verdict: Verdict | None
    held_file: str


@dataclass(frozen=True)
class TableSummary:
    """What became of one table of an export: rows_in = rows_written + rows_held.

    rows_written counts the rows that are in the lake after the run, in windows landed now and in windows skipped
    because the same content had landed before.
    """

    table: str
    rows_in: int
    rows_written: int
    rows_held: int
    windows_landed: int
    windows_skipped: int
    verdict: Verdict | None


@contextmanager
def staging_folder(settings: Settings) -> Iterator[Path]:
    """A private scratch folder, removed at the end. It holds raw rows, so what a killed run left goes as well."""
    parent = settings.home / "staging"
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    week_ago = datetime.now(UTC).timestamp() - 86_400
    for left in parent.iterdir():
        if left.stat().st_mtime < week_ago:
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def judge_tables(
    settings: Settings, mapping: Mapping, staged: Sequence[StagedTable], folder: Path, now: datetime
) -> tuple[JudgedTable, ...]:
    """Judge every staged table, the catalogue first. Raises DataRejected when one breaks a rule of the table."""
    connection = connect(folder)
    by_table = {table.table: table for table in staged}
    judged = []
    for name in mapping.tables:
        if name in by_table:
            open_staged(connection, by_table[name], now)
            known = _known_items(connection, settings, mapping, by_table) if name == "events" else None
            judged.append(_judge(connection, by_table[name], folder, References(known, now)))
    connection.close()
    return tuple(judged)


def _judge(
    connection: duckdb.DuckDBPyConnection, staged: StagedTable, folder: Path, references: References
) -> JudgedTable:
    held_file = folder / f"{staged.table}-held.parquet"
    relation, table = f"staged_{staged.table}", TABLES[staged.table]
    verdict, held = None, pa.table({"_row": pa.array([], pa.int64()), "rule": [""][:0], "reason": [""][:0]})
    if staged.rows:
        verdict = check_table(connection, relation, table, references)
        raise_if_refused(verdict)
        held = held_rows(connection, relation, table, references, verdict)
    connection.register("held_now", held)
    connection.execute(
        f"create table held_{staged.table} as select _row, rule::varchar as rule, reason::varchar as reason "
        "from held_now"
    )
    connection.execute(f"copy held_{staged.table} to {literal(str(held_file))} (format parquet)")
    return JudgedTable(staged, verdict, str(held_file))


def _known_items(
    connection: duckdb.DuckDBPyConnection, settings: Settings, mapping: Mapping, staged: dict[str, StagedTable]
) -> str | None:
    """The relation of items that events may name: the export's good ones and those landed; None = no catalogue."""
    connection.register("lake_items", lake.arrow_dataset(settings, "items"))
    wanted = "true" if mapping.any_catalogue else f"source = {literal(mapping.source)}"
    parts = [f"select item_id from lake_items where {wanted}"]
    if "items" in staged:
        parts.append("select item_id from staged_items where _row not in (select _row from held_items)")
    connection.execute(f"create table known_items as select distinct item_id from ({' union all '.join(parts)})")
    row = connection.execute("select count(*) from known_items").fetchone()
    return "known_items" if row and (row[0] or "items" in staged) else None


def open_staged(connection: duckdb.DuckDBPyConnection, staged: StagedTable, now: datetime) -> None:
    """Make the views of a staged table: `staged_T` to judge, `incoming_T` (stamps left null) and `raw_T` to write.

    `_row` numbers the rows over all files; files are sorted by content, so the numbers do not hang on the raw order.
    """
    table = TABLES[staged.table]
    stamp, offset = lake.STAMPS.get(staged.table), 0
    columns = ", ".join(quoted(name) for name in table.column_names)
    incoming, raw = [_no_rows(staged.table)], ["select null::bigint as _row, null::varchar as raw where false"]
    for file in staged.files:
        read = f"read_parquet({literal(file)}, file_row_number = true)"
        incoming.append(f"select {columns}, _window, _uncast, file_row_number + {offset} as _row from {read}")
        raw.append(f"select file_row_number + {offset} as _row, cast(to_json(_raw) as varchar) as raw from {read}")
        count = connection.execute(f"select count(*) from read_parquet({literal(file)})").fetchone()
        offset += int(count[0]) if count else 0
    connection.execute(f"create or replace view incoming_{staged.table} as {' union all '.join(incoming)}")
    connection.execute(f"create or replace view raw_{staged.table} as {' union all '.join(raw)}")
    moment = f"timestamptz {literal(now.isoformat())}"
    stamped = f"replace (coalesce({quoted(stamp)}, {moment}) as {quoted(stamp)})" if stamp else ""
    connection.execute(
        f"create or replace view staged_{staged.table} as select * {stamped} from incoming_{staged.table}"
    )


def _no_rows(name: str) -> str:
    types = {"string": "varchar", "timestamp": "timestamptz", "float": "double", "int": "bigint", "bool": "boolean"}
    columns = [f"null::{types.get(c.dtype, 'varchar[]')} as {quoted(c.name)}" for c in TABLES[name].columns]
    extra = "null::varchar as _window, null::varchar as _uncast, null::bigint as _row"
    return f"select {', '.join(columns)}, {extra} where false"


def land_table(
    settings: Settings, mapping: Mapping, judged: JudgedTable, now: datetime, progress: Progress | None = None
) -> TableSummary:
    """Hold the bad rows, write each window whose content is new, record it. Safe to run again at any point."""
    name = judged.staged.table
    connection = connect(Path(judged.held_file).parent)
    open_staged(connection, judged.staged, now)
    connection.execute(f"create table held as select * from read_parquet({literal(judged.held_file)})")
    held_unread = _hold_unread(settings, connection, mapping, judged.staged, now)
    windows = _windows(connection, name)
    ledger = lake.read_ledger(settings, mapping.source, name)
    due = [window for window in windows if not _landed(ledger.get(window["window"]), window, mapping)]
    _hold_rows(settings, connection, mapping, judged.staged, [window["window"] for window in due], now)
    for done, window in enumerate(due, 1):
        _land_window(settings, connection, mapping, name, window, now)
        if progress is not None:
            progress(name, done, len(due), int(window["rows_in"]))
    connection.close()
    held = sum(int(window["rows_quarantined"]) for window in windows) + held_unread
    rows_in = judged.staged.rows + judged.staged.unread_rows
    return TableSummary(name, rows_in, rows_in - held, held, len(due), len(windows) - len(due), judged.verdict)


def _windows(connection: duckdb.DuckDBPyConnection, name: str) -> list[dict[str, object]]:
    """Each window of the staged rows with its counts, and a hash that does not hang on their order.

    The hash covers what the export says and which rows are held, so that a row set free by a better catalogue lands.
    """
    columns = ", ".join(f"s.{quoted(column)}" for column in TABLES[name].column_names)
    hashed = f"hash({columns}, h.rule)"
    rows = connection.execute(
        f"select _window, count(*), count(h._row), bit_xor({hashed}), sum({hashed}) % {2**64} "
        f"from incoming_{name} s left join held h using (_row) group by _window order by _window"
    ).fetchall()
    return [
        {
            "window": window,
            "rows_in": count,
            "rows_quarantined": held,
            "input_hash": f"{count}-{xor:016x}-{int(total):016x}",
        }
        for window, count, held, xor, total in rows
    ]


def _landed(entry: dict[str, object] | None, window: dict[str, object], mapping: Mapping) -> bool:
    return entry is not None and (entry["input_hash"], entry["mapping_hash"], entry["contract_version"]) == (
        window["input_hash"],
        mapping.digest,
        CONTRACT_VERSION,
    )


def _land_window(
    settings: Settings,
    connection: duckdb.DuckDBPyConnection,
    mapping: Mapping,
    name: str,
    counts: dict[str, object],
    now: datetime,
) -> None:
    window = lake.Window(name, mapping.source, str(counts["window"]))
    of_window = f"from incoming_{name} where _window = {literal(window.name)}"
    connection.execute(f"create or replace temp view replaced as select * {of_window}")
    connection.execute(
        f"create or replace temp view incoming as select * {of_window} and _row not in (select _row from held)"
    )
    existing = lake.read_window(settings, window)
    rows = lake.merge_window(connection, existing, window, now)
    version = (
        lake.write_window(settings, window, rows) if len(rows) or len(existing) else lake.table_version(settings, name)
    )
    entry = {
        **counts,
        "source": mapping.source,
        "table_name": name,
        "mapping_hash": mapping.digest,
        "contract_version": CONTRACT_VERSION,
        "rows_written": int(counts["rows_in"]) - int(counts["rows_quarantined"]),  # type: ignore[call-overload]
        "table_version": max(version, 0),
        "finished_at": datetime.now(UTC),
    }
    lake.record_window(settings, entry)


def _hold_rows(
    settings: Settings,
    connection: duckdb.DuckDBPyConnection,
    mapping: Mapping,
    staged: StagedTable,
    windows: list[str],
    now: datetime,
) -> None:
    if not windows:
        return
    name, chosen = staged.table, ", ".join(literal(window) for window in windows)
    connection.execute(
        f'create or replace temp view to_hold as select s._window as "window", r.raw, h.rule, h.reason from held h '
        f"join incoming_{name} s using (_row) join raw_{name} r using (_row) where s._window in ({chosen})"
    )
    quarantine.hold(settings, quarantine.quarantine_rows(connection, "to_hold", name, mapping.source, now))


def _hold_unread(
    settings: Settings, connection: duckdb.DuckDBPyConnection, mapping: Mapping, staged: StagedTable, now: datetime
) -> int:
    """Hold the lines that could not be split into columns."""
    if not staged.unread_files:
        return 0
    files = ", ".join(literal(file) for file in staged.unread_files)
    connection.execute(
        "create or replace temp view to_hold as select 'unread' as \"window\", cast(to_json("
        "{'file': parse_filename(file), 'line_number': number, 'sha256': sha256(line), 'length': length(line)}"
        ") as varchar) as raw, 'line_readable' as rule, 'expected a line that can be split into the columns; line ' "
        "|| number || ' of ' || parse_filename(file) || ' came with: ' || problem as reason "
        f"from read_parquet([{files}])"
    )
    rows = quarantine.quarantine_rows(connection, "to_hold", staged.table, mapping.source, now)
    quarantine.hold(settings, rows)
    return len(rows)
