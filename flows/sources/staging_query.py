"""The SQL that turns raw rows into staged rows: event ids, windows, pseudonyms joined in, the raw row kept beside."""

from collections.abc import Collection
from datetime import datetime

from feature_repo.schema import TABLES
from flows.connection import literal, quoted
from flows.sources.columns import Expression
from flows.sources.mapping import Mapping, Section
from flows.sources.mapping_keys import MappingError
from flows.sources.reading import TEXT_OF

#: What a mapping that names no event id gives.
_NO_ID = "cast(null as varchar)"
_WINDOW_FORMATS = {"hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d", "week": "%Y-%m-%d", "month": "%Y-%m"}


def staging_query(
    mapping: Mapping,
    section: Section,
    expressions: dict[str, Expression],
    raw_columns: Collection[str],
    user_columns: Collection[str],
) -> str:
    """A query over `raw r` (and `pseudonyms p` where the table has users) that gives a section's staged rows.

    `user_columns` are the raw columns that the user id is made of; in `_raw` they hold the pseudonym.
    """
    user = expressions.get("user_id")
    table = TABLES[section.table]
    inner = [f"{expressions[name].value} as {quoted(name)}" for name in table.column_names]
    secret = {name for name in raw_columns if mapping.is_private(name) or name in user_columns}
    uncast = [unread_number(name, raw_columns, secret) for name in raw_columns if name.startswith(TEXT_OF)]
    uncast += [expression.unreadable for expression in expressions.values() if expression.unreadable]
    inner.append(f"coalesce({', '.join([*uncast, 'null::varchar'])}) as _uncast")
    inner.append(f"{_raw_row(mapping, raw_columns, user_columns)} as _raw")
    join = ""
    if user is not None:
        inner.append("p.pseudonym as _pseudonym")
        join = f" left join pseudonyms p on p.raw_id = {user.value}"
    outer = {name: quoted(name) for name in table.column_names}
    if user is not None:
        outer["user_id"] = "_pseudonym"
    if "event_id" in outer:
        outer["event_id"] = _event_id(mapping, section, raw_columns)
    selected = ", ".join(f"{value} as {quoted(name)}" for name, value in outer.items())
    query = f"select {selected}, _uncast, _raw from (select {', '.join(inner)} from raw r{join})"
    return _numbered(query) if section.duplicates == "count" and section.table == "events" else query


def _numbered(query: str) -> str:
    """Rows of one event id as events of their own: the second and later ones take their number into the id."""
    copies = "row_number() over (partition by event_id order by event_time, cast(to_json(_raw) as varchar))"
    numbered = "case when _copy > 1 then event_id || '-' || _copy else event_id end as event_id"
    return f"select * exclude (_copy) replace ({numbered}) from (select *, {copies} as _copy from ({query}))"


def within(table: str, since: datetime | None, until: datetime | None) -> str:
    """A condition for since ≤ event_time < until; rows without a time stay, so that they can be held."""
    sides = ((">=", since), ("<", until))
    bounds = [f"event_time {sign} timestamptz {literal(moment.isoformat())}" for sign, moment in sides if moment]
    return f"event_time is null or ({' and '.join(bounds)})" if bounds and table == "events" else "true"


def raw_row_query(
    mapping: Mapping, user: Expression | None, raw_columns: Collection[str], user_columns: Collection[str]
) -> str:
    """A query over `raw r` (and `pseudonyms p`) that gives a section's raw rows alone, as the staged rows have them."""
    join = f" left join pseudonyms p on p.raw_id = {user.value}" if user is not None else ""
    return f"select {_raw_row(mapping, raw_columns, user_columns)} as _raw from raw r{join}"


def _raw_row(mapping: Mapping, raw_columns: Collection[str], user_columns: Collection[str]) -> str:
    kept = []
    for name in raw_columns:
        if name.startswith(TEXT_OF):
            continue
        value = f"r.{quoted(TEXT_OF + name if TEXT_OF + name in raw_columns else name)}"
        if mapping.is_private(name):
            value = "null"
        elif name in user_columns and not mapping.pseudonymous:
            value = "p.pseudonym"
        kept.append(f"{literal(name)}: {value}")
    return f"{{{', '.join(kept)}}}"


def unread_number(name: str, raw_columns: Collection[str], secret: Collection[str] = ()) -> str:
    """SQL that is null, or says which text of a column named in `numbers` is none; `name` is that of the text.

    Of a `secret` column it does not say which.
    """
    own = name.removeprefix(TEXT_OF)
    text, told = f"r.{quoted(name)}", literal(f"{own}: expected a number, came ")
    if own not in raw_columns:
        return "null::varchar"
    came = "'something else'" if own in secret else f"left({text}, 200)"
    return f"case when {text} is not null and r.{quoted(own)} is null then {told} || {came} end"


def _event_id(mapping: Mapping, section: Section, raw_columns: Collection[str]) -> str:
    """The export's own id, else a hash of the key columns. A shop's own id is hashed too: it may hold a user id."""
    own = (
        "event_id"
        if mapping.pseudonymous
        else f"case when event_id is not null then {_hash(mapping, ['event_id'])} end"
    )
    if not section.key:
        return own
    keys = []
    for name in section.key:
        if name in TABLES["events"].column_names:
            keys.append(_key_column(name, {"user_id": "_pseudonym"}))
        elif name in raw_columns:
            keys.append(f"_raw.{quoted(name)}")
        else:
            shown = [raw for raw in raw_columns if not raw.startswith(TEXT_OF)]
            expected = "columns of the events table or of the export"
            raise MappingError(mapping.file, f"{section.label}.event_id", expected, repr(name), shown)
    return f"coalesce({own}, {_hash(mapping, keys)})"


def derived_columns(
    mapping: Mapping, section: Section, expressions: dict[str, Expression], alike: dict[str, str]
) -> dict[str, str]:
    """The columns that are made of a staged row's others, as SQL over them: its window, and mostly its event id.

    Not the id that hangs on the export's own, on a raw column, or on how often a row came (it is in the query then).
    `alike`: SQL of the columns that all rows have alike, which are not there to be read.
    """
    made = {"_window": _window(mapping.window) if section.table == "events" else "'all'"}
    own = set(TABLES["events"].column_names) - {"event_id"}
    alone = section.table == "events" and expressions["event_id"].value == _NO_ID
    if alone and section.key and own.issuperset(section.key) and section.duplicates != "count":
        made["event_id"] = _hash(mapping, [_key_column(name, alike) for name in section.key])
    return made


def _hash(mapping: Mapping, keys: list[str]) -> str:
    parts = [literal(mapping.source), *(f"coalesce(cast({key} as varchar), chr(30))" for key in keys)]
    return f"'e_' || left(sha256(concat_ws(chr(31), {', '.join(parts)})), 32)"


def _key_column(name: str, known: dict[str, str]) -> str:
    """A column as an id is made of it; `known`: SQL of those that are not read by their name."""
    value = known.get(name, quoted(name))
    return f"epoch_us({value})" if name in ("event_time", "known_at") else value


def _window(size: str) -> str:
    # `at time zone` asks for a zone's rules at each row, and UTC has none. Infinite times have no microseconds.
    time = "make_timestamp(epoch_us(event_time))"
    moment = f"date_trunc('week', {time})" if size == "week" else time
    return f"coalesce(strftime({moment}, {literal(_WINDOW_FORMATS[size])}), 'unknown')"
