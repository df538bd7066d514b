"""A mapping tried on a sample of its export: what rows become, and which would be held. The lake is not touched."""

import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from expectations.validate import Verdict
from feature_repo.schema import TABLES
from flows.connection import connect
from flows.feature_moments import training_moments
from flows.judging import JudgedTable, judge_tables, load_raw, open_staged
from flows.private_columns import unknown_private_columns
from flows.settings import Settings
from flows.sources.staging import Export, StagedTable, stage_table

#: Rows of each file that a rehearsal reads.
REHEARSAL_ROWS = 200_000
#: What mends a mapping whose rows break a rule.
ADVICE = {
    "typed": "say how the column is written: time_format, decimal and thousands, numbers, nulls",
    "event_id_unique": 'duplicates = "count" if the same line twice is two events, "once" if it is sent twice',
    "user_id_required": 'user_id = "coalesce(customer, \'guest \' || visit)", or leave them out: where = "..."',
    "event_time_required": 'leave rows without a time out, as empty ones: where = "... is not null"',
    "item_id_known": "the catalogue lacks these items, or theirs are held: give [items] the whole catalogue, or add "
    "[[items]] from_events = true for those that its file lacks",
    "interaction_has_item": 'leave rows without an item out: where = "... is not null"',
    "event_type_allowed": 'say what the word means: event_types = { word = "view" }, or = "leave_out"',
    "quantity_in_bounds": "returns are lines of their own: event_type 'return', quantity = \"abs(...)\"",
    "unit_price_in_bounds": "look at the price of one unit: a total to divide, a sign, or hundredths",
    "line_readable": "look at delimiter, quote, escape and encoding",
    "event_time_not_in_future": "look at time_format: day and month changed places, or milliseconds for seconds",
}


@dataclass(frozen=True)
class Pair:
    """One row before (raw columns, user ids as pseudonyms) and after (contract columns), and why it would be held."""

    before: dict[str, Any]
    after: dict[str, Any]
    held: str | None


@dataclass(frozen=True)
class RehearsedTable:
    """What became of one table's sample: rows, rows left out, held rows by rule with an example, some rows as pairs.

    `span`: the first and the last moment of events; None for other tables, and where no row has one. `notes`: what else
    the mapping should say.
    """

    table: str
    rows: int
    left_out: int
    held: tuple[tuple[str, int, str], ...]
    pairs: tuple[Pair, ...]
    verdict: Verdict | None
    span: tuple[datetime, datetime] | None = None
    notes: tuple[str, ...] = ()

    @property
    def rows_held(self) -> int:
        """Rows that would be held."""
        return sum(count for _, count, _ in self.held)


def rehearse(
    settings: Settings, export: Export, folder: Path, now: datetime, shown: int = 10
) -> tuple[RehearsedTable, ...]:
    """Stage and judge a sample in `folder`; the catalogue first, events last.

    Raises MappingError or ExportRejected as an ingest does. A table that would be refused is told by its verdict.
    """
    tables = sorted(export.mapping.tables, key=lambda table: table != "events")
    staged = [stage_table(export, table, folder, settings.pseudonym_key) for table in tables]
    judged = judge_tables(settings, export.mapping, staged, folder, now)
    rehearsed = [_rehearsed(table, folder, now, shown) for table in judged]
    last = replace(rehearsed[-1], notes=tuple(unknown_private_columns(export.mapping, staged)))
    return (*rehearsed[:-1], last)


def _rehearsed(judged: JudgedTable, folder: Path, now: datetime, shown: int) -> RehearsedTable:
    staged = judged.staged
    connection = connect(folder)
    open_staged(connection, staged, now)
    connection.execute("create table held as select * from read_parquet(?)", [judged.held_file])
    counts = connection.execute(
        "select rule, count(*), min(reason) from held group by rule order by 2 desc, 1"
    ).fetchall()
    held = [*counts, *_unread(connection, staged)]
    pairs = _pairs(connection, staged, folder, shown)
    span = _span(connection) if staged.table == "events" else None
    connection.close()
    rows = staged.rows + staged.unread_rows
    return RehearsedTable(staged.table, rows, staged.left_out, tuple(held), pairs, judged.verdict, span)


def _span(connection: duckdb.DuckDBPyConnection) -> tuple[datetime, datetime] | None:
    row = connection.execute(
        "select epoch_us(min(event_time)), epoch_us(max(event_time)) from incoming_events "
        "where _row not in (select _row from held)"
    ).fetchone()
    if row is None or row[0] is None:
        return None
    first, last = (datetime.fromtimestamp(each / 1_000_000, UTC) for each in row)
    return first, last


def _unread(connection: duckdb.DuckDBPyConnection, staged: StagedTable) -> list[tuple[str, int, str]]:
    if not staged.unread_files:
        return []
    row = connection.execute(
        "select count(*), min('line ' || number || ' of ' || parse_filename(file) || ': ' || problem) "
        "from read_parquet(?)",
        [list(staged.unread_files)],
    ).fetchone()
    return [("line_readable", int(row[0]), str(row[1]))] if row and row[0] else []


def _pairs(connection: duckdb.DuckDBPyConnection, staged: StagedTable, folder: Path, shown: int) -> tuple[Pair, ...]:
    """Some rows of every kind: each event type and each broken rule comes before the second of any."""
    table = staged.table
    kind = "event_type" if table == "events" else "null"
    columns = ", ".join(f's."{name}"' for name in TABLES[table].column_names if name not in ("event_id", "source"))
    connection.execute(
        f"create table chosen as select _row from (select _row, {kind} as _kind, h.rule || ': ' || h.reason as held, "
        f"row_number() over (partition by {kind}, h.rule order by _row) as _turn "
        f"from incoming_{table} s left join held h using (_row)) order by _turn, _kind, _row, held limit {shown}"
    )
    load_raw(connection, staged, folder, "select _row from chosen")
    relation = connection.execute(
        f"select w.raw, h.rule || ': ' || h.reason as held, {columns} from incoming_{table} s "
        f"join raw_{table} w using (_row) left join held h using (_row) where _row in (select _row from chosen) "
        "order by _row"
    )
    names = [each[0] for each in relation.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in relation.fetchall()]
    return tuple(Pair(json.loads(row.pop("raw")), held=row.pop("held"), after=_filled(row)) for row in rows)


def _filled(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def next_steps(tables: tuple[RehearsedTable, ...], source: str) -> list[str]:
    """What to do now, in sentences: what mends the rules that hold most, or the command that lands the export."""
    steps = []
    for table in tables:
        for check in table.verdict.failed_checks if table.verdict else ():
            if check.level == "table" and check.severity == "critical":
                steps.append(f"{table.table} would be refused: {check.sentence} {check.advice}")
    rules = Counter({rule: count for table in tables for rule, count, _ in table.held})
    steps += [f"{rule}: {ADVICE[rule]}" for rule, _ in rules.most_common() if rule in ADVICE]
    steps += [note for table in tables for note in table.notes]
    steps += [said for table in tables if table.span and (said := _too_short(*table.span))]
    if not any(table.verdict and not table.verdict.passed for table in tables):
        steps.append(f"Land it: aisle ingest --source {source}")
    return steps


def _too_short(first: datetime, last: datetime) -> str:
    """Why users who come back could not be learned from in events from `first` to `last`; '' where they could."""
    try:
        training_moments(first, last)
    except LookupError as error:
        visits = "Until then models learn from visits: what a visitor turns to next."
        return f"event_time: in this sample all events lie within {last - first}. {error}. {visits}"
    return ""
