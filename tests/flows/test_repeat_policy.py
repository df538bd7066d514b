"""What comes again is learned from a planted shop: milk is bought again, televisions are not, little says nothing."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from feature_repo.schema import EVENTS, ITEMS
from flows.lake import Window, arrow_schema, write_window
from flows.repeat_policy import comes_again, repeat_policies
from flows.settings import Settings
from tests.conftest import settings_in

START = datetime(2026, 1, 1, tzinfo=UTC)
AS_OF = START + timedelta(days=90)
CATEGORIES = {"milk": "Food > Dairy", "bread": "Food > Bakery", "tv": "Electronics > TVs", "rare": "Electronics > Rare"}


def planted(settings: Settings, guests: int = 0) -> pa.Table:
    """150 users: milk every week, bread once and again, one television each; views of milk come back, of tvs do not.

    Each guest has bought bread once, under an id of its own. Returned are the items.
    """
    deeds: list[tuple[int, str, str, int]] = [(1000 + guest, "bread", "purchase", 10) for guest in range(guests)]
    for user in range(150):
        deeds += [(user, "milk", "purchase", week * 7) for week in range(4)]
        deeds += [(user, "bread", "purchase", 1 + user % 9)] + [(user, "bread", "purchase", 40)] * (user % 3 == 0)
        deeds += [(user, "tv", "purchase", user % 50)] * 2  # two lines of one basket are one purchase
        deeds += [(user, "tv", "view", 60), *[(user, f"lens{each % 2}", "view", user % 50) for each in range(4)]]
    deeds += [(user, "rare", "purchase", 5) for user in range(9)]
    deeds += [(user, "late", "purchase", 80) for user in range(150)]
    rows = [
        {
            **dict.fromkeys(EVENTS.column_names),
            "event_id": f"e{number}",
            "event_time": START + timedelta(days=day, minutes=number % 9),
            "known_at": AS_OF,
            "user_id": f"u_{user}",
            "item_id": item,
            "event_type": kind,
            "channel": "web",
            **({"basket_id": f"b{user}-{day}", "quantity": 1.0, "unit_price": 2.0} if kind == "purchase" else {}),
            "source": "planted",
        }
        for number, (user, item, kind, day) in enumerate(deeds)
    ]
    paths = {**CATEGORIES, "lens0": "Optics", "lens1": "Optics", "late": "Late", "none": None}
    items = [
        {**dict.fromkeys(ITEMS.column_names), "item_id": item, "title": item, "category": path, "available": True,
         "updated_at": START, "source": "planted"}
        for item, path in paths.items()
    ]  # fmt: skip
    for name, table, content in (("events", EVENTS, rows), ("items", ITEMS, items)):
        schema = pa.schema([each for each in arrow_schema(table) if each.name != "window"])
        write_window(settings, Window(name, "planted", "all"), pa.Table.from_pylist(content, schema))
    return pa.table({"item_id": list(paths), "category": list(paths.values())})


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> dict:
    settings = settings_in(tmp_path_factory.mktemp("repeats"))
    return repeat_policies(settings, AS_OF, "planted", planted(settings))


def test_categories_that_people_buy_again_are_told_from_those_they_do_not(policies: dict):
    found = {row["category"]: row for row in policies["categories"]}
    assert found["Food > Dairy"]["bought"] == {"users": 150, "again": 150, "show": True}
    assert found["Food > Bakery"]["bought"] == {"users": 150, "again": 50, "show": True}
    assert found["Electronics > TVs"]["bought"] == {"users": 150, "again": 0, "show": False}
    assert found["Optics"]["seen"] == {"users": 300, "again": 0, "show": False}
    assert found["Electronics"]["bought"] == {"users": 159, "again": 0, "show": False}
    assert "Electronics > Rare" not in found, "nine buyers say nothing: as its parent"
    assert "Late" not in found, "who bought ten days ago has not had the time"
    assert found[""]["bought"]["show"], "the shop as a whole is bought from again"


def test_guests_who_could_never_return_change_no_policy(policies: dict, tmp_path: Path):
    settings = settings_in(tmp_path)
    assert repeat_policies(settings, AS_OF, "planted", planted(settings, guests=2000)) == policies


def test_a_small_share_of_few_users_is_not_yet_too_small():
    assert [comes_again(users, users // 50, 0.05) for users in (50, 100, 1000)] == [True, True, False]
    assert not math.isnan(comes_again(50, 50, 0.05))
