"""Which texts and numbers are times, and by which formats they are read: tried on the values of one column, `v`."""

import duckdb

from flows.connection import literal
from flows.sources.clocks import OFFSET
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
    "%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S %Y", "%m-%d-%y", "%d-%m-%y", "%m-%d-%y %H:%M", "%d-%m-%y %H:%M",
    "%b-%d-%Y", "%b-%d-%y", "%b-%d-%Y %H:%M", "%b-%d-%y %H:%M", "%b-%d-%y %H:%M:%S", "%m-%d-%Y %H:%M",
    "%m-%d-%Y %H:%M:%S", "%b %d, %Y %H:%M:%S", "%b %d, %Y %H:%M", "%m/%d/%y %I:%M %p", "%d/%m/%y %I:%M %p",
    "%d/%m/%y %H:%M", "%Y年%m月%d日", "%Y年%m月%d日 %H:%M", "%Y年%m月%d日 %H:%M:%S",
)  # fmt: skip
#: A whole number between these (1990 to 2100) may count seconds; a thousand times as much, milliseconds; and so on.
EPOCHS = {"epoch_s": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000, "epoch_ns": 1_000_000_000}
_EPOCH_SECONDS = (631_152_000, 4_102_444_800)
#: A column is of a kind when at least this share of its values is.
MOST = 0.95
#: Values of a column that time formats are tried on.
_TRIED = 2_000
_MAY_BE_TIME = "regexp_matches(v, '\\d') and regexp_matches(v, '[-/.,: ]|^\\d+$')"


def epoch_of(connection: duckdb.DuckDBPyConnection, source: str) -> tuple[str, tuple[str, ...]] | None:
    """Whether whole numbers count time since 1970, and in which unit; a date as 20101201 is a time as well."""
    row = connection.execute(
        f"select quantile_cont(try_cast(v as double), 0.02), quantile_cont(try_cast(v as double), 0.98) from {source}"
    ).fetchone() or (None, None)
    if row[0] is None:
        return None
    for name, unit in EPOCHS.items():
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
    elif time_format in EPOCHS:
        low, high = (bound * EPOCHS[time_format] for bound in _EPOCH_SECONDS)
        return f"coalesce(try_cast(v as bigint) between {low} and {high}, false)"
    else:
        read = f"try_strptime(v, {literal(time_format)})"
    return f"coalesce(year(cast({read} as timestamp)) between 1990 and 2100, false)"


def time_formats_of(connection: duckdb.DuckDBPyConnection, source: str) -> tuple[str, ...]:
    """The fewest formats that together read most of some values, the one that reads most first."""
    connection.execute(
        f"create or replace temp table unread_times as select v from {source} where v is not null "
        f"order by hash(v) limit {_TRIED}"
    )
    row = connection.execute(f"select count(*), count_if({_MAY_BE_TIME}) from unread_times").fetchone()
    filled, digits = row or (0, 0)
    if digits < MOST * filled:
        return ()
    formats, left = list[str](), filled
    candidates = ["iso", *TIME_FORMATS, *_with_offsets(connection), "epoch_s", "epoch_ms"]
    day_first = 0
    while left > (1 - MOST) * filled / 5 and len(formats) < 3:
        counts = connection.execute(
            f"select {', '.join(f'count_if({_fits(each)})' for each in candidates)} from unread_times"
        ).fetchone() or [0]
        most = max(counts)
        day_first = day_first or _day_first(dict(zip(candidates, counts, strict=True)))
        if not most or (not formats and most < 0.3 * filled):
            break
        equal = [each for each, count in zip(candidates, counts, strict=True) if count == most]
        chosen = next((each for each in equal if day_first * _order(each) > 0), equal[0])
        formats.append(chosen)
        connection.execute(f"delete from unread_times where {_fits(chosen)}")
        left -= most
    connection.execute("drop table unread_times")
    return tuple(formats) if left <= (1 - MOST) * filled else ()


def _order(time_format: str) -> int:
    """1 for a format with the day's number before the month's, -1 for the reverse, 0 for any other."""
    day, month = time_format.find("%d"), time_format.find("%m")
    return 0 if min(day, month) < 0 or time_format.startswith("%Y") else 1 if day < month else -1


def _day_first(counts: dict[str, int]) -> int:
    """Above 0 where more values can be read with the day first than with the month first, below 0 in reverse."""
    return sum(_order(each) * count for each, count in counts.items())


def _with_offsets(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Formats of a clock with the offset from UTC behind it, where a value has one."""
    query = "select bool_or(regexp_matches(v, ':\\d\\d [+-]\\d\\d:?\\d\\d$')) from unread_times"
    if not (connection.execute(query).fetchone() or (False,))[0]:
        return []
    return [f"{each} %z" for each in TIME_FORMATS if each.endswith(("%H:%M", "%H:%M:%S"))]


def hours_of(
    connection: duckdb.DuckDBPyConnection, source: str, kind: str, formats: tuple[str, ...]
) -> tuple[float, ...]:
    """The share of values in each hour of the day as it is written; none for what is no time."""
    if kind != "time" and kind not in EPOCHS:
        return ()
    counts = dict(
        connection.execute(
            f"select hour(moment), count(*) from (select {moment_sql(formats)} as moment from {source}) "
            "where moment is not null group by 1"
        ).fetchall()
    )
    total = sum(counts.values())
    return tuple(round(counts.get(hour, 0) / total, 4) for hour in range(24)) if total else ()


def moment_sql(formats: tuple[str, ...]) -> str:
    """SQL that reads `v` as a timestamp, by the first format that fits; an offset in the text is taken for nothing."""
    reads = []
    for each in formats:
        if each == "iso":
            reads.append(f"try_cast(regexp_replace(v, {literal(OFFSET)}, '\\1') as timestamp)")
        elif each in EPOCHS:
            reads.append(f"try(make_timestamp(cast(try_cast(v as bigint) * {1_000_000 / EPOCHS[each]} as bigint)))")
        else:
            reads.append(f"try_strptime(v, {literal(each)})")
    return f"coalesce({', '.join([*reads, 'null::timestamp'])})"
