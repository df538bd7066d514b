"""Raw rows to staged rows: the contract's columns, pseudonyms in place of user ids, one parquet file a section.

A staged file has the contract's columns and: `_window`, `_uncast` (the first value that could not be read as its
column's type, or null), `_raw` (the raw row as a struct, user ids replaced). It is sorted by the table's content, so
that the order of the raw rows changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from feature_repo.schema import TABLES, pseudonym
from flows.connection import connect, literal, quoted
from flows.sources.columns import Expression, contract_expressions, raw_columns_of
from flows.sources.mapping import Mapping, Section
from flows.sources.mapping_keys import ExportRejected, MappingError
from flows.sources.reading import Raw, files_of, open_raw

_WINDOW_FORMATS = {"hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d", "week": "%Y-%m-%d", "month": "%Y-%m"}
_MACROS = (
    """create macro title_case(words) as array_to_string(list_transform(
    regexp_extract_all(lower(words), '[\\p{L}\\p{N}'']+|[^\\p{L}\\p{N}'']+'),
    lambda part: upper(part[1]) || part[2:]), '')""",
    """create macro category_path(parts) as nullif(
    array_to_string(list_filter(parts, lambda part: part is not null), ' > '), '')""",
)


@dataclass(frozen=True)
class Span:
    """The event times asked for: from `since` (included) to `until` (excluded); None is open."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class StagedTable:
    """One table of one run, staged: its files, rows in them, and lines that no column could be read from."""

    table: str
    files: tuple[str, ...]
    rows: int
    unread_files: tuple[str, ...]
    unread_rows: int


def stage_table(mapping: Mapping, table: str, folder: Path, key: bytes, **options: object) -> StagedTable:
    """Stage every section of one table into `folder`; options: `path` (Path on the command line), `span` (Span).

    Raises MappingError (the mapping is wrong) or ExportRejected (the export is), both before anything is written.
    """
    path, span = options.get("path"), options.get("span") or Span()
    staged = []
    for position, section in enumerate(mapping.sections_of(table)):
        connection = connect(folder, section.timezone)
        try:
            for macro in _MACROS:
                connection.execute(macro)
            target = folder / f"{table}-{position}.parquet"
            staged.append(_stage_section(connection, mapping, section, _Target(target, folder, key, path, span)))  # type: ignore[arg-type]
        finally:
            connection.close()
    files = tuple(file for file, _, _ in staged if file)
    rows = sum(rows for _, rows, _ in staged)
    unread = [raw for _, _, raws in staged for raw in raws if raw.unread]
    lost = sum(raw.unread_rows for raw in unread)
    if not rows + lost and not mapping.may_be_empty and span == Span():
        raise ExportRejected(
            f"{mapping.source}: the export has no rows for {table}. Expected at least one; nothing was written. "
            f'Look into the files that {mapping.file} names, or set empty = "allow" there.'
        )
    return StagedTable(table, files, rows, tuple(str(raw.unread) for raw in unread), lost)


@dataclass(frozen=True)
class _Target:
    file: Path
    folder: Path
    key: bytes
    path: Path | None
    span: Span


def _stage_section(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, section: Section, target: _Target
) -> tuple[str | None, int, list[Raw]]:
    raws = _open_section(connection, mapping, section, target)
    if raws is None:
        return None, 0, []
    expressions = contract_expressions(connection, mapping, section)
    _make_pseudonyms(connection, mapping, expressions, target.key)
    query = _staging_query(connection, mapping, section, expressions)
    query = f"select * from ({query}) where {_span_condition(section.table, target.span)}"
    order = ", ".join(quoted(name) for name in _order(section.table))
    try:
        connection.execute(f"copy ({query} order by {order}) to {literal(str(target.file))} (format parquet)")
    except duckdb.Error as error:
        raise MappingError(
            mapping.file, section.label, "expressions that hold for every row of the export", str(error).splitlines()[0]
        ) from error
    count = connection.execute("select count(*) from read_parquet(?)", [str(target.file)]).fetchone()
    return str(target.file), int(count[0]) if count else 0, raws


def _open_section(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, section: Section, target: _Target
) -> list[Raw] | None:
    if section.from_events:
        return _open_events(connection, target)
    if section.reading is not None:
        files = files_of(mapping, section.reading, target.path)
        return [open_raw(connection, section.reading, files, "raw", target.folder)] if files else None
    raws = []
    for name, reading in mapping.inputs.items():
        if name in str(section.relation):
            files = files_of(mapping, reading, target.path)
            raws.append(open_raw(connection, reading, files, name, target.folder))
    relation = str(section.relation).strip()
    query = relation if relation.lower().startswith(("select", "with")) else f"select * from {relation}"
    try:
        connection.execute(f"create or replace view raw as {query}")
    except duckdb.Error as error:
        came = str(error).splitlines()[0]
        inputs = ", ".join(mapping.inputs)
        raise MappingError(mapping.file, f"{section.label}.from", f"SQL over the inputs {inputs}", came) from error
    return raws


def _open_events(connection: duckdb.DuckDBPyConnection, target: _Target) -> list[Raw] | None:
    """The catalogue a clickstream implies: the newest raw row of each item."""
    events = target.folder / "events-0.parquet"
    if not events.exists():
        return None
    connection.execute(
        "create or replace view raw as select unnest(newest.raw), newest.item_id as _item_id, newest.event_time as "
        "_event_time from (select arg_max({'raw': _raw, 'item_id': item_id, 'event_time': event_time}, "
        "(event_time, event_id)) as newest "
        f"from read_parquet({literal(str(events))}) "
        "where item_id is not null and event_time is not null group by item_id)"
    )
    return []


def _make_pseudonyms(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, expressions: dict[str, Expression], key: bytes
) -> None:
    """One HMAC a distinct user, joined back by the staging query."""
    user = expressions.get("user_id")
    if user is None:
        return
    rows = connection.execute(
        f"select distinct {user.value} as user_id from raw r where user_id is not null"
    ).fetchall()
    ids = [row[0] for row in rows]
    made = ids if mapping.pseudonymous else [pseudonym(user_id, key) for user_id in ids]
    connection.register(
        "pseudonyms", pa.table({"raw_id": pa.array(ids, pa.string()), "pseudonym": pa.array(made, pa.string())})
    )


def _staging_query(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, section: Section, expressions: dict[str, Expression]
) -> str:
    table = TABLES[section.table]
    user = expressions.get("user_id")
    inner = [f"{expressions[name].value} as {quoted(name)}" for name in table.column_names]
    unreadable = [e.unreadable for e in expressions.values() if e.unreadable]
    inner.append(f"coalesce({', '.join([*unreadable, 'null::varchar'])}) as _uncast")
    hidden = raw_columns_of(connection, section.columns.get("user_id", "user_id")) if user else set()
    names = [
        row[0] for row in connection.execute("describe raw").fetchall() if row[0] not in ("_item_id", "_event_time")
    ]
    parts = []
    for name in names:
        kept = f"r.{quoted(name)}"
        if name in mapping.private:
            kept = "null"
        elif name in hidden and not mapping.pseudonymous:
            kept = "p.pseudonym"
        parts.append(f"{literal(name)}: {kept}")
    inner.append(f"{{{', '.join(parts)}}} as _raw")
    join = "" if user is None else f" left join pseudonyms p on p.raw_id = {user.value}"
    outer = ", ".join(_final(section, mapping, name) for name in table.column_names)
    source = f"select {', '.join(inner)}{', p.pseudonym as _pseudonym' if user else ''} from raw r{join}"
    return f"select {outer}, {_window(section.table, mapping.window)} as _window, _uncast, _raw from ({source})"


def _final(section: Section, mapping: Mapping, name: str) -> str:
    if name == "user_id":
        return "_pseudonym as user_id"
    if name == "event_id" and not (mapping.pseudonymous and not section.key):
        own = "event_id" if not section.key else "null"
        keys = [f"_raw.{quoted(k)}" if k not in TABLES["events"].column_names else _key_column(k) for k in section.key]
        text = " || chr(31) || ".join(
            [literal(mapping.source), *(f"coalesce(cast({k} as varchar), chr(30))" for k in keys or [own])]
        )
        hashed = f"'e_' || left(sha256({text}), 32)"
        if section.key:
            return f"coalesce({'event_id' if mapping.pseudonymous else _hashed_own(mapping)}, {hashed}) as event_id"
        return f"case when event_id is not null then {hashed} end as event_id"
    return quoted(name)


def _hashed_own(mapping: Mapping) -> str:
    return f"'e_' || left(sha256({literal(mapping.source)} || chr(31) || event_id), 32)"


def _key_column(name: str) -> str:
    if name == "user_id":
        return "_pseudonym"
    return f"epoch_us({quoted(name)})" if name in ("event_time", "known_at") else quoted(name)


def _window(table: str, size: str) -> str:
    if table != "events":
        return "'all'"
    time = "event_time at time zone 'UTC'"
    moment = f"date_trunc('week', {time})" if size == "week" else f"({time})"
    return f"coalesce(strftime({moment}, {literal(_WINDOW_FORMATS[size])}), 'unknown')"


def _span_condition(table: str, span: Span) -> str:
    if table != "events":
        return "true"
    parts = ["event_time is null"]
    bounds = [
        f"event_time {sign} timestamptz {literal(at.isoformat())}"
        for sign, at in ((">=", span.since), ("<", span.until))
        if at
    ]
    return " or ".join([*parts, " and ".join(bounds)]) if bounds else "true"


def _order(table: str) -> list[str]:
    names = list(TABLES[table].column_names)
    first = ["event_time", "event_id"] if table == "events" else list(TABLES[table].key)
    return [*first, *(name for name in names if name not in (*first, "source"))]
