"""A small lake for features: 1,000 users of 40 days on 60 items, made, always the same."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from feature_repo.schema import EVENTS, ITEMS
from flows.lake import Window, arrow_schema, write_window
from flows.settings import Settings

START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 40
USERS = 1000
SOURCE = "made_shop"
#: The first midnight after the newest event.
SERVING = START + timedelta(days=DAYS)


def fill_lake(settings: Settings, users: int = USERS) -> None:
    """Write the events (two windows, by half of the days) and the items."""
    events = made_events(users)
    for name, half in (("first", events[::2]), ("second", events[1::2])):
        write_events(settings, name, half)
    fill_items(settings)


def fill_items(settings: Settings, renamed: Mapping[str, str] | None = None) -> None:
    """Write the catalogue, some brands renamed."""
    brands = [f"Brand {number}" for number in range(3)]
    items = [
        {
            **dict.fromkeys(ITEMS.column_names),
            "item_id": f"item {number:02d}",
            "title": f"Thing {number}",
            "category": f"Group {number % 4} > Part {number % 8}",
            "brand": (renamed or {}).get(brands[number % 3], brands[number % 3]) if number % 5 else None,
            "available": number != 7,
            "updated_at": START,
            "source": SOURCE,
        }
        for number in range(60)
    ]
    write_window(settings, Window("items", SOURCE, "all"), table_of("items", items))


def write_events(settings: Settings, window: str, events: list[dict[str, object]]) -> None:
    """Write one window of events."""
    write_window(settings, Window("events", SOURCE, window), table_of("events", events))


def made_events(users: int = USERS) -> list[dict[str, object]]:
    """Purchases, views and coupons; user 0 only redeems a coupon; the newest event is minutes before SERVING."""
    chance = random.Random(5)
    events = [made_event(0, 0, START, "offer_redeemed", None)]
    for user in range(1, users):
        for _ in range(chance.randrange(3, 9)):
            moment = START + timedelta(minutes=chance.randrange(DAYS * 1440 - 60))
            kind = chance.choice(("purchase", "purchase", "view", "offer_redeemed"))
            item = None if kind == "offer_redeemed" else chance.randrange(50)
            events.append(made_event(len(events), user, moment, kind, item))
    return [*events, made_event(len(events), 1, SERVING - timedelta(minutes=5), "purchase", 1)]


def made_event(number: int, user: int, moment: datetime, kind: str, item: int | None) -> dict[str, object]:
    """One event; a user's purchases of one day are one basket."""
    return {
        **dict.fromkeys(EVENTS.column_names),
        "event_id": f"e{number:06d}",
        "event_time": moment,
        "known_at": moment,
        "user_id": f"u{user:04d}",
        "item_id": None if item is None else f"item {item:02d}",
        "event_type": kind,
        "channel": "web" if kind == "view" else "store",
        "basket_id": f"{user}-{moment:%j}" if kind == "purchase" else None,
        "quantity": 1.0 + number % 3,
        "unit_price": 0.5 + number % 7,
        "discount": float(number % 2),
        "source": SOURCE,
    }


def table_of(name: str, rows: list[dict[str, object]]) -> pa.Table:
    schema = arrow_schema({"events": EVENTS, "items": ITEMS}[name])
    return pa.Table.from_pylist(rows, schema=pa.schema([field for field in schema if field.name != "window"]))
