"""What one raw column looks like: kind, range, nulls, its commonest words, a fingerprint of its values."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import duckdb

from flows.connection import literal, quoted
from flows.sources.clocks import OFFSET, clock_format, offsets_of
from flows.sources.reading import joined_offset

#: Time formats that are tried on text, the likelier first. Day and month first are both here: the values decide.
TIME_FORMATS = (
    "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %I:%M %p", "%m/%d/%Y",
    "%d/%m/%Y", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%Y-%m-%d %H:%M:%S UTC", "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M", "%Y/%m/%d", "%d-%m-%Y %H:%M:%S", "%d-%m-%Y %H:%M", "%d-%m-%Y", "%m/%d/%y %H:%M", "%d.%m.%y",
    "%d %b %Y", "%b %d, %Y", "%Y%m%d%H%M%S", "%Y%m%d", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%y", "%d/%m/%y", "%d-%b-%Y",
    "%d-%b-%y", "%d %b %Y %H:%M:%S", "%d %b %Y %H:%M", "%b %d, %Y %I:%M %p", "%b %d, %Y %I:%M:%S %p",
    "%d/%m/%Y %I:%M %p", "%d/%m/%Y %I:%M:%S %p", "%d-%b-%Y %H:%M", "%d-%b-%y %H:%M", "%Y%m%d %H:%M:%S", "%Y-%m-%d %H",
    "%Y-%m-%d %I:%M:%S %p", "%m-%d-%Y", "%d %B %Y", "%B %d, %Y", "%m %d, %Y", "%a, %d %b %Y %H:%M:%S",
    "%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S %Y",
)  # fmt: skip
#: A whole number between these (1990 to 2100) may count seconds; a thousand times as much, milliseconds; and so on.
_EPOCHS = {"epoch_s": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000, "epoch_ns": 1_000_000_000}
_EPOCH_SECONDS = (631_152_000, 4_102_444_800)
#: A column is of a kind when at least this share of its values is.
MOST = 0.95
_COMMON = 12
#: Values of a column that time formats are tried on.
_TRIED = 2_000
_FINGERPRINT = 256
_MAY_BE_TIME = "regexp_matches(v, '\\d') and regexp_matches(v, '[-/.,: ]|^\\d+$')"
_COMMA = r"-?(\d{1,3}(\.\d{3})+|\d+),\d+"
_GROUPED = r"-?\d{1,3}(,\d{3})+(\.\d+)?"
_CLOCK = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm])?"
_MONEY = r"^[€$£¥₹\s]+|[€$£¥₹\s]+$"


@dataclass(frozen=True)
class ColumnProfile:
    """One column of a sample.

    `kind` is whole, number, comma_number, grouped_number, time, epoch_*, clock (a time of day), text, list or empty.

    `minimum`, `median` and `maximum` are of numbers, or seconds since 1970 of times. `common` has the share of the
    commonest values where there are few; `fingerprint` the smallest keyed hashes of the distinct values: two columns
    share as many values as their fingerprints overlap. `hours` has the share of each hour of the day, of a time.
    `markup`: some values have HTML tags or entities. `offsets` has the middle offset from UTC in hours of times that
    name one; None where only some do, or where it was never looked at.
    """

    name: str
    kind: str
    rows: int
    nulls: int
    distinct: int
    minimum: float | None = None
    median: float | None = None
    maximum: float | None = None
    time_formats: tuple[str, ...] = ()
    length: float = 0.0
    common: tuple[tuple[str, float], ...] = ()
    fingerprint: tuple[int, ...] = ()
    hours: tuple[float, ...] = ()
    markup: bool = False
    offsets: tuple[float, ...] | None = None

    @property
    def filled(self) -> int:
        """How many values are not null."""
        return self.rows - self.nulls

    @property
    def is_day(self) -> bool:
        """Whether its times are days: all of them midnight."""
        return bool(self.hours) and self.hours[0] == 1

    @property
    def words(self) -> set[str]:
        """The commonest values."""
        return {word for word, _ in self.common}

    def overlap(self, other: "ColumnProfile") -> float:
        """About which share of the distinct values of the smaller column the other one has too, 0 to 1."""
        return max(self.share_in(other), other.share_in(self))

    def share_in(self, other: "ColumnProfile") -> float:
        """About which share of its distinct values the other column has, 0 to 1."""
        # Only the hashes below both fingerprints' ends say something of both columns.
        bound = min(_end(self), _end(other))
        mine = {each for each in self.fingerprint if each <= bound}
        return len(mine & set(other.fingerprint)) / max(1, len(mine))

    def as_record(self) -> dict[str, Any]:
        """The profile as plain values, for a file."""
        return asdict(self)


def profile_from(record: dict[str, Any]) -> ColumnProfile:
    """A profile out of its record."""
    names = ("time_formats", "fingerprint", "hours", "offsets")
    lists = {name: tuple(record[name]) for name in names if record.get(name) is not None}
    return ColumnProfile(**{**record, **lists, "common": tuple((word, share) for word, share in record["common"])})


def profile_columns(
    connection: duckdb.DuckDBPyConnection, view: str, hidden: Collection[str] = (), salt: str = ""
) -> tuple[ColumnProfile, ...]:
    """Profile every column of a relation; of the `hidden` ones (user ids) no value is kept, `salt` keys the hashes."""
    columns = connection.execute(f"describe {quoted(view)}").fetchall()
    return tuple(_profile(connection, view, (name, dtype), name in hidden, salt) for name, dtype, *_ in columns)


def _end(profile: ColumnProfile) -> int:
    whole = len(profile.fingerprint) < _FINGERPRINT
    return 2**64 if whole else max(profile.fingerprint)


def _profile(
    connection: duckdb.DuckDBPyConnection, view: str, column: tuple[str, str], hidden: bool, salt: str
) -> ColumnProfile:
    name, dtype = column
    source = f"(select cast({quoted(name)} as varchar) as v from {quoted(view)})"
    rows, filled, distinct, length, markup = connection.execute(
        "select count(*), count(v), count(distinct v), coalesce(avg(length(v)), 0), "
        f"coalesce(bool_or(v like '%&%;%' or v like '%<%>%'), false) from {source}"
    ).fetchone() or (0, 0, 0, 0.0, False)
    kind, formats = _kind(connection, source, dtype, filled)
    low, middle, high = _range(connection, source, kind, formats)
    hashes = connection.execute(
        f"select distinct hash({literal(salt)} || v) as h from {source} where v is not null "
        f"order by h limit {_FINGERPRINT}"
    ).fetchall()
    common = connection.execute(
        f"select left(v, 60), count(*) / {max(filled, 1)} from {source} where v is not null group by 1 "
        f"order by count(*) desc, 1 limit {_COMMON}"
    ).fetchall()
    few = not hidden and distinct <= max(_COMMON, 0.02 * filled)
    return ColumnProfile(
        name=name,
        kind=kind,
        rows=rows,
        nulls=rows - filled,
        distinct=distinct,
        minimum=None if hidden else low,
        median=None if hidden else middle,
        maximum=None if hidden else high,
        time_formats=formats,
        length=round(length, 1),
        common=tuple((word, round(share, 4)) for word, share in common) if few else (),
        fingerprint=tuple(each for (each,) in hashes),
        hours=_hours(connection, source, kind, formats),
        markup=kind == "text" and markup,
        offsets=offsets_of(connection, source, formats) if formats else None,
    )


def _kind(connection: duckdb.DuckDBPyConnection, source: str, dtype: str, filled: int) -> tuple[str, tuple[str, ...]]:
    if not filled:
        return "empty", ()
    if dtype.startswith(("TIMESTAMP", "DATE")):
        return "time", ("iso",)
    if dtype.endswith("[]") or dtype.startswith(("STRUCT", "MAP")):
        return "list", ()
    bare = f"regexp_replace(v, '{_MONEY}', '', 'g')"
    tests = {
        "whole": "regexp_full_match(v, '-?\\d+')",
        "number": f"try_cast({bare} as double) is not null",
        "comma_number": f"regexp_full_match({bare}, '{_COMMA}')",
        "grouped_number": f"regexp_full_match({bare}, '{_GROUPED}')",
        "clock": f"regexp_full_match(v, '{_CLOCK}')",
        "list": "left(trim(v), 1) = '[' and json_valid(v)",
    }
    counts = connection.execute(
        f"select {', '.join(f'count_if(coalesce({test}, false))' for test in tests.values())} from {source}"
    ).fetchone()
    found = dict(zip(tests, counts or [0] * len(tests), strict=True))
    for kind in ("comma_number", "grouped_number"):
        # Small numbers may be written without the sign: `7` beside `1.234,50`.
        if found[kind] and found[kind] + found["whole" if kind == "comma_number" else "number"] >= MOST * filled:
            return kind, ()
    if found["whole"] >= MOST * filled:
        return _epoch(connection, source) or ("whole", ())
    if found["number"] >= MOST * filled:
        return "number", ()
    if found["list"] >= MOST * filled:
        return "list", ()
    if found["clock"] >= MOST * filled:
        return "clock", clock_format(connection, source)
    formats = _time_formats(connection, source)
    return ("time", formats) if formats else ("text", ())


def _epoch(connection: duckdb.DuckDBPyConnection, source: str) -> tuple[str, tuple[str, ...]] | None:
    """Whether whole numbers count time since 1970, and in which unit; a date as 20101201 is a time as well."""
    row = connection.execute(
        f"select quantile_cont(try_cast(v as double), 0.02), quantile_cont(try_cast(v as double), 0.98) from {source}"
    ).fetchone() or (None, None)
    if row[0] is None:
        return None
    for name, unit in _EPOCHS.items():
        if _EPOCH_SECONDS[0] * unit <= row[0] and row[1] <= _EPOCH_SECONDS[1] * unit:
            return name, (name,)
    for time_format, digits in (("%Y%m%d", 8), ("%Y%m%d%H%M%S", 14)):
        query = f"select bool_and(length(v) = {digits} and {_fits(time_format)}) from {source} where v is not null"
        if (connection.execute(query).fetchone() or (False,))[0]:
            return "time", (time_format,)
    return None


def _fits(time_format: str) -> str:
    if time_format == "iso":
        read = f"try_cast({joined_offset('v')} as timestamptz)"
        read = f"case when regexp_matches(v, '^\\d{{4}}-\\d{{1,2}}-\\d{{1,2}}') then {read} end"
    elif time_format in _EPOCHS:
        low, high = (bound * _EPOCHS[time_format] for bound in _EPOCH_SECONDS)
        return f"coalesce(try_cast(v as bigint) between {low} and {high}, false)"
    else:
        read = f"try_strptime(v, {literal(time_format)})"
    return f"coalesce(year(cast({read} as timestamp)) between 1990 and 2100, false)"


def _time_formats(connection: duckdb.DuckDBPyConnection, source: str) -> tuple[str, ...]:
    """The fewest formats that together read most of some values, the one that reads most first."""
    connection.execute(
        f"create or replace temp table unread_times as select v from {source} where v is not null "
        f"order by hash(v) limit {_TRIED}"
    )
    row = connection.execute(f"select count(*), count_if({_MAY_BE_TIME}) from unread_times").fetchone()
    filled, digits = row or (0, 0)
    if digits < MOST * filled:
        return ()
    formats, left = [], filled
    candidates = ["iso", *TIME_FORMATS, "epoch_s", "epoch_ms"]
    while left > (1 - MOST) * filled / 5 and len(formats) < 3:
        counts = connection.execute(
            f"select {', '.join(f'count_if({_fits(each)})' for each in candidates)} from unread_times"
        ).fetchone() or [0]
        most = max(counts)
        if not most or (not formats and most < 0.3 * filled):
            break
        chosen = candidates[counts.index(most)]
        formats.append(chosen)
        connection.execute(f"delete from unread_times where {_fits(chosen)}")
        left -= most
    connection.execute("drop table unread_times")
    return tuple(formats) if left <= (1 - MOST) * filled else ()


def _hours(
    connection: duckdb.DuckDBPyConnection, source: str, kind: str, formats: tuple[str, ...]
) -> tuple[float, ...]:
    """The share of values in each hour of the day as it is written; none for what is no time."""
    if kind != "time" and kind not in _EPOCHS:
        return ()
    counts = dict(
        connection.execute(
            f"select hour(moment), count(*) from (select {_moment(formats)} as moment from {source}) "
            "where moment is not null group by 1"
        ).fetchall()
    )
    total = sum(counts.values())
    return tuple(round(counts.get(hour, 0) / total, 4) for hour in range(24)) if total else ()


def _moment(formats: tuple[str, ...]) -> str:
    """SQL that reads `v` as a timestamp, by the first format that fits; an offset in the text is taken for nothing."""
    reads = []
    for each in formats:
        if each == "iso":
            reads.append(f"try_cast(regexp_replace(v, {literal(OFFSET)}, '\\1') as timestamp)")
        elif each in _EPOCHS:
            reads.append(f"try(make_timestamp(cast(try_cast(v as bigint) * {1_000_000 / _EPOCHS[each]} as bigint)))")
        else:
            reads.append(f"try_strptime(v, {literal(each)})")
    return f"coalesce({', '.join([*reads, 'null::timestamp'])})"


def _range(
    connection: duckdb.DuckDBPyConnection, source: str, kind: str, formats: tuple[str, ...]
) -> tuple[float | None, float | None, float | None]:
    if kind in ("text", "list", "empty", "clock"):
        return None, None, None
    bare = f"regexp_replace(v, '{_MONEY}', '', 'g')"
    value = f"try_cast({bare} as double)"
    if kind == "comma_number":
        value = f"try_cast(replace(replace({bare}, '.', ''), ',', '.') as double)"
    elif kind == "grouped_number":
        value = f"try_cast(replace({bare}, ',', '') as double)"
    elif kind == "time":
        value = f"cast(epoch({_moment(formats)}) as double)"
    row = connection.execute(f"select min(x), median(x), max(x) from (select {value} as x from {source})").fetchone()
    return row or (None, None, None)  # type: ignore[return-value]
