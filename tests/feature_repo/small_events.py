"""Small sets of events and items for transforms: by hand, and at random."""

from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
from hypothesis import strategies as st

from feature_repo.prepared_events import EVENT_COLUMNS, prepare
from feature_repo.schema import CHANNELS

Event = dict[str, Any]

AS_OF = datetime(2026, 11, 2, tzinfo=UTC)
ITEMS = [
    {"item_id": "a", "category": "Food > Bread", "brand": "Own", "updated_at": AS_OF - timedelta(days=900)},
    {"item_id": "b", "category": "Food > Milk", "brand": None, "updated_at": AS_OF - timedelta(days=900)},
    {"item_id": "c", "category": "Toys", "brand": "Own", "updated_at": AS_OF - timedelta(days=900)},
    {"item_id": "d", "category": None, "brand": "Far", "updated_at": AS_OF - timedelta(days=900)},
    {"item_id": "never met", "category": "Toys", "brand": "Far", "updated_at": AS_OF - timedelta(days=900)},
]
_TYPES = {
    **dict.fromkeys(("event_time", "known_at", "updated_at"), pa.timestamp("us", tz="UTC")),
    **dict.fromkeys(("quantity", "unit_price", "discount"), pa.float64()),
}


def event(number: int, user: str, item: str | None, before: timedelta, **more: Any) -> Event:
    """An event so long before AS_OF: a purchase in a store, if nothing else is said."""
    base = dict.fromkeys(EVENT_COLUMNS)
    moment = AS_OF - before
    named = {"event_id": f"e{number:03d}", "user_id": user, "item_id": item, "event_time": moment, "known_at": moment}
    return {**base, **named, "event_type": "purchase", "channel": "store", **more}


def prepared(events: list[Event], items: list[dict[str, Any]] | None = None, known_as_of: datetime | None = None):
    """A connection on which every transform can run."""
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    connection.register("events", _table(events, EVENT_COLUMNS))
    connection.register("items", _table(ITEMS if items is None else items, tuple(ITEMS[0])))
    prepare(connection, known_as_of)
    return connection


def _table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pa.Table:
    schema = pa.schema([(name, _TYPES.get(name, pa.string())) for name in columns])
    return pa.Table.from_pylist(rows, schema=schema)


@st.composite
def event_sets(draw: st.DrawFn) -> list[Event]:
    """Up to 40 events of 3 users on 5 items around the edges of every window, ties and gaps included."""
    days = st.sampled_from([-1, 0, 1, 6, 7, 8, 27, 28, 83, 84, 90, 363, 364, 365, 500])
    kinds = st.sampled_from(["purchase"] * 4 + ["view", "add_to_cart", "like", "search", "offer_redeemed", "return"])
    events = []
    for number in range(draw(st.integers(1, 40))):
        kind = draw(kinds)
        before = timedelta(days=draw(days), minutes=draw(st.sampled_from([0, 1, 600])))
        events.append(
            event(
                number,
                draw(st.sampled_from("uvw")),
                None if kind == "search" else draw(st.sampled_from(["a", "b", "c", "d", "not in catalogue"])),
                before,
                event_id=f"e{draw(st.integers(0, 9))}{number:03d}",
                event_type=kind,
                channel=draw(st.sampled_from(CHANNELS)),
                basket_id=draw(st.sampled_from([None, "b1", "b2", "b3"])),
                session_id=draw(st.sampled_from([None, "s1", "s2"])),
                quantity=draw(st.sampled_from([None, 1.0, 2.5])),
                unit_price=draw(st.sampled_from([None, 0.0, 1.25, 3.5])),
                discount=draw(st.sampled_from([None, 0.0, 0.5])),
                known_at=AS_OF - before + timedelta(days=draw(st.sampled_from([0, 0, 30]))),
            )
        )
    return events
