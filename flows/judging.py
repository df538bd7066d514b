"""Judge a staged export whole, before any of it is written: a verdict a table, and the rows to hold."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb

from expectations.validate import HELD_SCHEMA, References, Verdict, check_table, held_rows
from feature_repo.schema import TABLES
from flows import lake
from flows.connection import connect, literal, quoted
from flows.lake import STAMPS, arrow_dataset
from flows.settings import Settings
from flows.sources.mapping import Mapping
from flows.sources.raw_forms import KEYS, write_forms
from flows.sources.staged_rows import rows_of
from flows.sources.staging import StagedTable
from flows.spool_files import LIVE_SOURCE

#: Tables whose rows name items: they are judged against the catalogue.
NAMES_ITEMS = ("events", "offers")
#: The one window of a table without time; its rows are compared with the last export's.
ALL = "all"
_TYPES = {"string": "varchar", "timestamp": "timestamptz", "float": "double", "int": "bigint", "bool": "boolean"}
_NO_RAW = "create table loaded_{} (_row bigint, raw varchar, origin varchar)"


@dataclass(frozen=True)
class WindowCounts:
    """One window of a staged table: its rows, how many are held, and a hash of content and holds (in any order)."""

    name: str
    rows: int
    held: int
    input_hash: str


@dataclass(frozen=True)
class JudgedTable:
    """A staged table and its verdict (None when it has no rows); `held_file`: parquet with _row, rule, reason."""

    staged: StagedTable
    verdict: Verdict | None
    held_file: str
    windows: tuple[WindowCounts, ...]

    @property
    def trend(self) -> list[tuple[str, int, int]]:
        """(window, rows, held) in time order."""
        return [(window.name, window.rows, window.held) for window in self.windows]


def judge_tables(
    settings: Settings,
    mapping: Mapping,
    staged: Sequence[StagedTable],
    folder: Path,
    now: datetime,
    whole: bool = True,
) -> tuple[JudgedTable, ...]:
    """Judge every staged table, the catalogue first, because events are checked against it.

    `whole` is false of an export of which only some times are taken: rows without a time come with each part of it.
    Whether a table may go on is in its verdict: `raise_if_refused`.
    """
    connection = connect(folder)
    by_table = {table.table: table for table in staged}
    judged = []
    for name in (name for name in mapping.tables if name in by_table):
        open_staged(connection, by_table[name], now)
        known = known_items(connection, settings, mapping, by_table) if name in NAMES_ITEMS else None
        before = lake.read_ledger(settings, mapping.source, name).get(ALL)
        previous = int(str(before["rows_in"])) if before else None
        live = mapping.source == LIVE_SOURCE
        references = References(known, now, previous, whole=whole, acknowledged=live)
        judged.append(_judge(connection, by_table[name], folder, references))
    connection.close()
    return tuple(judged)


def open_staged(connection: duckdb.DuckDBPyConnection, staged: StagedTable, now: datetime) -> None:
    """Make the views of a staged table: `staged_T` to judge, `incoming_T` (stamps left null) and `raw_T` to write.

    `raw_T` has the raw form of rows whose file has it, and of those that `load_raw` was asked for.

    `_row` numbers the rows over all files; files are sorted by content, so the numbers do not hang on the raw order.
    """
    table = TABLES[staged.table]
    columns, offset = ", ".join(quoted(name) for name in table.column_names), 0
    connection.execute(_NO_RAW.format(staged.table))
    incoming, raw = [_no_rows(staged.table)], [f"select * from loaded_{staged.table}"]
    for file, forms in zip(staged.files, staged.forms or (None,) * len(staged.files), strict=True):
        read = rows_of(connection, file)
        incoming.append(f"select {columns}, _window, _uncast, file_row_number + {offset} as _row from {read}")
        row = f"file_row_number + {offset} as _row, cast(to_json(_raw) as varchar) as raw, {_origin_of(file)} as origin"
        raw += [] if forms else [f"select {row} from {read}"]
        count = connection.execute(f"select count(*) from read_parquet({literal(file)})").fetchone()
        offset += int(count[0]) if count else 0
    connection.execute(f"create view incoming_{staged.table} as {' union all '.join(incoming)}")
    connection.execute(f"create view raw_{staged.table} as {' union all '.join(raw)}")
    stamp = STAMPS.get(staged.table)
    moment = f"timestamptz {literal(now.isoformat())}"
    stamped = f"replace (coalesce({quoted(stamp)}, {moment}) as {quoted(stamp)})" if stamp else ""
    connection.execute(f"create view staged_{staged.table} as select * {stamped} from incoming_{staged.table}")


def load_raw(connection: duckdb.DuckDBPyConnection, staged: StagedTable, folder: Path, wanted: str) -> None:
    """Make `raw_T` have these rows (SQL that gives `_row`) too: the export is read again for them, where it must be."""
    keys, offset = ", ".join(KEYS), 0
    connection.execute(
        f"create or replace temp table wanted_rows as select distinct _row from ({wanted}) "
        f"where _row not in (select _row from loaded_{staged.table})"
    )
    for file, forms in zip(staged.files, staged.forms, strict=False):
        numbered = f"file_row_number + {offset} as _row from read_parquet({literal(file)}, file_row_number = true)"
        if forms is not None:
            read = f"(select {keys}, {numbered}) semi join wanted_rows using (_row)"
            asked = connection.sql(f"select distinct {keys} from {read}").to_arrow_table()
            target = folder / f"{Path(file).stem}-raw.parquet"
            write_forms(forms, asked, target)
            connection.execute(
                f"insert into loaded_{staged.table} select _row, cast(to_json(_raw) as varchar), {_origin_of(file)} "
                f"from {read} join read_parquet({literal(str(target))}) using ({keys})"
            )
        count = connection.execute(f"select count(*) from read_parquet({literal(file)})").fetchone()
        offset += int(count[0]) if count else 0


def _origin_of(file: str) -> str:
    return f"(select decode(value) from parquet_kv_metadata({literal(file)}) where decode(key) = 'origin')"


def _judge(
    connection: duckdb.DuckDBPyConnection, staged: StagedTable, folder: Path, references: References
) -> JudgedTable:
    held_file = folder / f"{staged.table}-held.parquet"
    relation, table = f"staged_{staged.table}", TABLES[staged.table]
    verdict, held = None, HELD_SCHEMA.empty_table()
    if staged.rows:
        verdict = check_table(connection, relation, table, references)
        # Of a table that is refused, too: the rows say what to mend.
        held = held_rows(connection, relation, table, references, verdict)
    connection.register("found", held)
    connection.execute(f"create table held_{staged.table} as select * from found")
    if verdict is not None and verdict.rows_held:
        freed = free_only_copies(connection, staged.table, table.key[0])
        verdict = replace(verdict, rows_held=verdict.rows_held - freed)
    connection.execute(f"copy held_{staged.table} to {literal(str(held_file))} (format parquet)")
    return JudgedTable(staged, verdict, str(held_file), _windows(connection, staged.table))


def free_only_copies(connection: duckdb.DuckDBPyConnection, name: str, key: str) -> int:
    """Of rows with one key the first stays; where that one is held for another rule, the next good one takes its place.

    Returns how many rows were set free.
    """
    rule = literal(f"{key}_unique")
    if not connection.execute(f"select 1 from held_{name} where rule = {rule} limit 1").fetchone():
        return 0
    freed = connection.execute(
        f"delete from held_{name} where _row in (select min(_row) from held_{name} join staged_{name} s using (_row) "
        f"where rule = {rule} group by s.{quoted(key)} having s.{quoted(key)} not in "
        f"(select {quoted(key)} from staged_{name} where {quoted(key)} is not null "
        f"and _row not in (select _row from held_{name}))) returning _row"
    ).fetchall()
    return len(freed)


def known_items(
    connection: duckdb.DuckDBPyConnection, settings: Settings, mapping: Mapping, staged: Collection[str]
) -> str | None:
    """The relation of items that events may name: the export's good ones and those landed; None = no catalogue."""
    connection.register("lake_items", arrow_dataset(settings, "items"))
    wanted = "true" if mapping.any_catalogue else f"source = {literal(mapping.source)}"
    parts = [f"select item_id from lake_items where {wanted}"]
    if "items" in staged:
        parts.append("select item_id from staged_items where _row not in (select _row from held_items)")
    connection.execute(
        f"create or replace table known_items as select distinct item_id from ({' union all '.join(parts)})"
    )
    row = connection.execute("select count(*) from known_items").fetchone()
    return "known_items" if "items" in staged or (row and row[0]) else None


def _windows(connection: duckdb.DuckDBPyConnection, name: str) -> tuple[WindowCounts, ...]:
    """The hash covers what the export says and which rows are held: a row set free by a better catalogue must land.

    DuckDB may hash otherwise in a later version; then each window is written once more, with the same content.
    """
    columns = ", ".join(f"s.{quoted(column)}" for column in TABLES[name].column_names)
    hashed = f"hash({columns}, h.rule)"
    rows = connection.execute(
        f"select _window, count(*), count(h._row), bit_xor({hashed}), sum({hashed}) % {2**64} "
        f"from incoming_{name} s left join held_{name} h using (_row) group by _window order by _window"
    ).fetchall()
    return tuple(
        WindowCounts(window, count, held, f"{count}-{xor:016x}-{int(total):016x}")
        for window, count, held, xor, total in rows
    )


def _no_rows(name: str) -> str:
    columns = [f"null::{_TYPES.get(c.dtype, 'varchar[]')} as {quoted(c.name)}" for c in TABLES[name].columns]
    extra = "null::varchar as _window, null::varchar as _uncast, null::bigint as _row"
    return f"select {', '.join(columns)}, {extra} where false"
