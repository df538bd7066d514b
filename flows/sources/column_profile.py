"""What one raw column looks like: kind, range, nulls, its commonest words, a fingerprint of its values."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import duckdb

from flows.connection import literal, quoted
from flows.sources.clocks import clock_format, offsets_of
from flows.sources.column_times import MOST, epoch_of, hours_of, moment_sql, time_formats_of

_COMMON = 12
#: Values like `125.000` from which on they may be thousands.
_SEVERAL = 3
_FINGERPRINT = 256
#: Share of the values at either end that is taken for a broken clock's.
_RARE = 0.005
_COMMA = r"-?(\d{1,3}(\.\d{3})+|\d+),\d+"
#: `125.000` for 125 thousand; beside it no number has a fraction.
_DOTTED = r"-?[1-9]\d{0,2}(\.\d{3})+"
_TWO_DOTS = r"-?\d{1,3}(\.\d{3}){2,}"
#: Below a thousand there is no sign to write.
_SHORT = r"-?\d{1,3}"
_GROUPED = r"-?\d{1,3}(,\d{3})+(\.\d+)?"
_CLOCK = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp](\.[ \x{00a0}\x{202f}]?)?[Mm]\.?)?"
_MONEY = r"^(-?)[€$£¥₹\s\x{00a0}\x{202f}]+|[€$£¥₹\s\x{00a0}\x{202f}]+$"
_BETWEEN = r"[ \x{00a0}\x{202f}'’]"
_SPACED = r"-?\d{1,3}(([ \x{00a0}\x{202f}]\d{3})+|(['’]\d{3})+)([.,]\d+)?"
#: SQL for a value without signs of money around it, and without blanks or apostrophes between its thousands.
_PLAIN = f"regexp_replace(v, '{_MONEY}', '\\1', 'g')"
_BARE = (
    f"(case when regexp_full_match({_PLAIN}, {literal(_SPACED)}) "
    f"then regexp_replace({_PLAIN}, {literal(_BETWEEN)}, '', 'g') else {_PLAIN} end)"
)


@dataclass(frozen=True)
class ColumnProfile:
    """One column of a sample.

    `kind` is whole, number, comma_number, grouped_number, time, epoch_*, clock (a time of day), text, list or empty.

    `minimum`, `median` and `maximum` are of numbers, or seconds since 1970 of times. `common` has the share of the
    commonest values where there are few; `fingerprint` the smallest keyed hashes of the distinct values: two columns
    share as many values as their fingerprints overlap. `hours` has the share of each hour of the day, of a time.
    `markup`: some values have HTML tags or entities. `unread`: how many values of a column of numbers are none.
    `dotted`: `125.000` is taken for 125 thousand, though no value has a comma or a second dot that would prove it.
    `signs`: some of its numbers have signs of money around, or blanks or apostrophes between their thousands; or some
    values of a text have.
    `within`: between what nearly all times lie; a broken clock's lie beyond.
    `offsets` has the middle offset from UTC in hours of times that name one; None where only some do, or where it was
    never looked at.
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
    unread: int = 0
    dotted: bool = False
    signs: bool = False
    offsets: tuple[float, ...] | None = None
    within: tuple[float, ...] = ()

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


def own_number_sql(column: ColumnProfile) -> str:
    """SQL that reads a column by its own signs, whatever a mapping says of its file's; null where it is no number."""
    value = quoted(column.name)
    if column.signs and column.kind == "text":
        # A word has digits and commas of its own, so that only what stands around and within a number is taken out.
        value = f"regexp_replace({value}, '^[€$£¥₹\\s]+|[€$£¥₹\\s]+$|,(\\d{{3}})', '\\1', 'g')"
    elif column.signs:
        value = f"regexp_replace({value}, '[^0-9.,-]', '', 'g')"
    if column.kind == "comma_number":
        value = f"replace(replace({value}, '.', ''), ',', '.')"
    elif column.kind == "grouped_number":
        value = f"replace({value}, ',', '')"
    return f"try_cast({value} as double)"


def profile_from(record: dict[str, Any]) -> ColumnProfile:
    """A profile out of its record."""
    names = ("time_formats", "fingerprint", "hours", "offsets", "within")
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
    found = _counts(connection, source) if filled else {}
    kind, formats, unread = _kind(connection, source, dtype, (filled, found))
    (low, middle, high), within = _range(connection, source, kind, formats)
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
        hours=hours_of(connection, source, kind, formats),
        markup=kind == "text" and markup,
        unread=unread,
        dotted=kind == "comma_number" and not found["comma_number"] and not found["two_dots"],
        signs=kind in ("number", "comma_number", "grouped_number", "text") and found["signs"] > 0,
        offsets=offsets_of(connection, source, formats) if formats else None,
        within=within if formats and not hidden else (),
    )


def _kind(
    connection: duckdb.DuckDBPyConnection, source: str, dtype: str, counted: tuple[int, dict[str, int]]
) -> tuple[str, tuple[str, ...], int]:
    """The kind of a column, its time formats, and how many of its values are not of the kind, where it is numbers."""
    filled, found = counted
    if not filled:
        return "empty", (), 0
    if dtype.startswith(("TIMESTAMP", "DATE")):
        return "time", ("iso",), 0
    if dtype.endswith("[]") or dtype.startswith(("STRUCT", "MAP")):
        return "list", (), 0
    for kind, read in _numbers_read(found).items():
        if read >= MOST * filled:
            return kind, (), filled - read
    if found["whole"] >= MOST * filled:
        kind, formats = epoch_of(connection, source) or ("whole", ())
        return kind, formats, filled - found["number"] if kind == "whole" else 0
    if found["number"] >= MOST * filled:
        return "number", (), filled - found["number"]
    if found["list"] >= MOST * filled:
        return "list", (), 0
    if found["clock"] >= MOST * filled:
        return "clock", clock_format(connection, source), 0
    formats = time_formats_of(connection, source)
    return ("time" if formats else "text"), formats, 0


def _counts(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, int]:
    """How many values are written as each kind is."""
    tests = {
        "whole": "regexp_full_match(v, '-?\\d+')",
        "number": "try_cast(bare as double) is not null",
        "signs": "bare <> v",
        "comma_number": f"regexp_full_match(bare, '{_COMMA}')",
        "grouped_number": f"regexp_full_match(bare, '{_GROUPED}')",
        "dotted": f"regexp_full_match(bare, '{_DOTTED}')",
        "two_dots": f"regexp_full_match(bare, '{_TWO_DOTS}')",
        "with_dot": "contains(bare, '.')",
        "short": f"regexp_full_match(bare, '{_SHORT}')",
        "clock": f"regexp_full_match(v, '{_CLOCK}')",
        "list": "left(trim(v), 1) = '[' and json_valid(v)",
    }
    counted = ", ".join(f"count_if(coalesce({test}, false))" for test in tests.values())
    counts = connection.execute(f"select {counted} from (select v, {_BARE} as bare from {source})").fetchone()
    return dict(zip(tests, counts or [0] * len(tests), strict=True))


def _numbers_read(found: dict[str, int]) -> dict[str, int]:
    """How many values each kind of number with signs between its digits reads, of those that some value shows."""
    read = {}
    if found["comma_number"]:
        # Small numbers may be written without the sign: `7` beside `1.234,50`.
        read["comma_number"] = found["comma_number"] + found["whole"] + found["dotted"]
    elif found["dotted"] == found["with_dot"] and found["two_dots"]:
        read["comma_number"] = found["dotted"] + found["whole"]
    elif found["dotted"] == found["with_dot"] and found["dotted"] >= _SEVERAL and found["short"]:
        read["comma_number"] = found["dotted"] + found["short"]
    if found["grouped_number"]:
        read["grouped_number"] = found["grouped_number"] + found["number"]
    return read


def _range(
    connection: duckdb.DuckDBPyConnection, source: str, kind: str, formats: tuple[str, ...]
) -> tuple[tuple[float | None, float | None, float | None], tuple[float, ...]]:
    """The least, the middle and the greatest value, and between what nearly all of them lie."""
    if kind in ("text", "list", "empty", "clock"):
        return (None, None, None), ()
    value = f"try_cast({_BARE} as double)"
    if kind == "comma_number":
        value = f"try_cast(replace(replace({_BARE}, '.', ''), ',', '.') as double)"
    elif kind == "grouped_number":
        value = f"try_cast(replace({_BARE}, ',', '') as double)"
    elif kind == "time":
        value = f"cast(epoch({moment_sql(formats)}) as double)"
    nearly = f"quantile_cont(x, [{_RARE}, {1 - _RARE}])"
    query = f"select min(x), median(x), max(x), {nearly} from (select {value} as x from {source})"
    low, middle, high, within = connection.execute(query).fetchone() or (None, None, None, None)
    return (low, middle, high), tuple(within or ())
