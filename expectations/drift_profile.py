"""What users did, day by day, as counts: the small table that drift is judged on. One pass over the events.

A day is a day of the shop's own calendar (the connection's time zone). Offers received are left out: they follow the
campaign calendar of the shop, not its users.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import numpy as np

#: Numbers are counted in buckets of this share of a logarithm: 6 % wide.
BUCKETS_A_LOGARITHM = 16
#: The bucket of the number zero.
ZERO_BUCKET = -9999
_COLUMNS = ("item_id", "channel", "session_id", "basket_id", "quantity", "unit_price", "discount", "currency", "text")
#: What is read of an event.
PROFILE_COLUMNS = ("event_time", "event_type", *_COLUMNS)
_NUMBERS = {"unit_price": "price", "quantity": "quantity", "discount": "discount"}
_MIXES = ("event types", "channels", "categories", "currencies")


@dataclass(frozen=True)
class Signal:
    """One thing that is watched: its name, its kind (volume, share, mix, hours, numbers), and counts[day, bucket].

    A volume has one bucket; a share has two (what is counted, and the rest); a mix has a bucket a value; hours
    and numbers have fine buckets in order.
    """

    name: str
    kind: str
    buckets: tuple[str, ...]
    counts: np.ndarray


@dataclass(frozen=True)
class Profile:
    """Signals over consecutive days."""

    days: tuple[date, ...]
    signals: tuple[Signal, ...]


def profile_events(
    connection: duckdb.DuckDBPyConnection, events: str, items: str, span: tuple[date, date] | None = None
) -> Profile:
    """Count the relation `events` (PROFILE_COLUMNS) by day, in one scan; `items` gives the categories.

    Days are those of the connection's TimeZone, from the first to the last of `span` or of the events. Without events
    a span has no signals; without a span LookupError is raised.
    """
    rows = connection.execute(_query(events, items)).fetchall()
    found = [row for row in rows if row[0] is not None]
    if not found and span is None:
        raise LookupError("There are no events to watch for drift.")
    first, last = span or (min(row[0] for row in found), max(row[0] for row in found))
    days = tuple(first + timedelta(days=number) for number in range((last - first).days + 1))
    cells: dict[str, list[tuple[date, str, int]]] = {}
    for day, name, bucket, count in found:
        cells.setdefault(name, []).append((day, bucket, count))
    return Profile(days, tuple(_signal(name, cells[name], days) for name in sorted(cells)))


def _query(events: str, items: str) -> str:
    """(day, signal, bucket, count), by one scan with grouping sets."""
    numbers = ", ".join(f"{number_bucket(column)} as {name}_bucket" for column, name in _NUMBERS.items())
    missing = ", ".join(f"count(*) - count({column}) as no_{column}" for column in _COLUMNS)
    base = (
        "select cast(event_time as date) as day, extract(hour from event_time) as hour, "
        f"coalesce(split_part(i.category, ' > ', 1), 'none') as category, {numbers}, "
        f"{', '.join(f'e.{column}' for column in _COLUMNS)}, e.event_type from {events} e "
        f"left join (select item_id, any_value(category) as category from {items} group by item_id) i using (item_id) "
        "where e.event_type <> 'offer_received'"
    )
    grouped = (
        f"select day, hour, channel, event_type, category, currency, price_bucket, quantity_bucket, discount_bucket, "
        f"count(*) as n, {missing}, grouping(hour) as g_hour, grouping(event_type) as g_type, "
        "grouping(category) as g_category, grouping(price_bucket) as g_price, grouping(quantity_bucket) as g_quantity, "
        f"grouping(discount_bucket) as g_discount from ({base}) group by grouping sets ((day, hour, channel), "
        "(day, event_type), (day, category), (day, currency, price_bucket), (day, quantity_bucket), "
        "(day, discount_bucket))"
    )
    parts = [
        _part("'volume'", "'rows'", "g_hour = 0"),
        _part("'volume of ' || channel", "'rows'", "g_hour = 0"),
        _part("'hours'", "hour", "g_hour = 0"),
        _part("'hours of ' || channel", "hour", "g_hour = 0"),
        _part("'channels'", "channel", "g_hour = 0"),
        _part("'event types'", "event_type", "g_type = 0"),
        _part("'categories'", "category", "g_category = 0"),
        _part("'currencies'", "currency", "g_price = 0 and currency is not null"),
        _part("'price ' || coalesce(currency, 'without currency')", "price_bucket", "g_price = 0"),
        _part("'quantity'", "quantity_bucket", "g_quantity = 0"),
        _part("'discount'", "discount_bucket", "g_discount = 0"),
    ]
    for column in _COLUMNS:
        name = f"'missing {column} in ' || event_type"
        parts.append(_part(name, "'missing'", "g_type = 0", f"no_{column}"))
        parts.append(_part(name, "'present'", "g_type = 0", f"n - no_{column}"))
    return f"with grouped as materialized ({grouped}) {' union all '.join(parts)}"


def _part(name: str, bucket: str, condition: str, count: str = "n") -> str:
    return (
        f"select day, {name} as signal, cast({bucket} as varchar) as bucket, cast(sum({count}) as bigint) from grouped "
        f"where {condition} and {bucket} is not null group by all"
    )


def number_bucket(column: str) -> str:
    """Return the SQL of a number's bucket: a sixteenth of a logarithm, zero by itself, null below."""
    return (
        f"case when {column} > 0 then cast(floor(ln({column}) * {BUCKETS_A_LOGARITHM}) as int) "
        f"when {column} = 0 then {ZERO_BUCKET} end"
    )


def _signal(name: str, cells: Iterable[tuple[date, str, int]], days: Sequence[date]) -> Signal:
    kind = _kind(name)
    cells = list(cells)
    names = {bucket for _, bucket, _ in cells}
    buckets = sorted(names, key=int) if kind in ("hours", "numbers") else sorted(names)
    place = {bucket: number for number, bucket in enumerate(buckets)}
    counts = np.zeros((len(days), len(buckets)))
    for day, bucket, count in cells:
        counts[(day - days[0]).days, place[bucket]] += count
    return Signal(name, kind, tuple(buckets), counts)


def _kind(name: str) -> str:
    if name.startswith("volume"):
        return "volume"
    if name.startswith("missing "):
        return "share"
    if name.startswith("hours"):
        return "hours"
    return "mix" if name in _MIXES else "numbers"
