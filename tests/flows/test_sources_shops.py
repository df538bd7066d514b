"""Exports in the forms of a dozen shops that the world knows: each by a mapping of at most 30 lines, and no code."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from feature_repo.schema import pseudonym
from flows.settings import Settings
from tests.flows.foreign_shops import MAPPINGS, NAMES, write_foreign_shop
from tests.flows.tiny_shop import held, land, rows_of

#: Shop → table → (rows in, written, held).
COUNTS = {
    "amazon": {"events": (2, 2, 0), "items": (2, 2, 0)},
    "diginetica": {"events": (4, 4, 0), "items": (3, 3, 0)},
    "dunnhumby": {"events": (3, 3, 0), "items": (2, 2, 0)},
    "hm": {"events": (4, 4, 0), "items": (3, 3, 0), "users": (2, 2, 0)},
    "instacart": {"events": (5, 5, 0), "items": (2, 2, 0)},
    "movielens": {"events": (2, 2, 0), "items": (2, 2, 0)},
    "olist": {"events": (5, 5, 0), "items": (2, 2, 0)},
    "online_retail": {"events": (7, 6, 1), "items": (4, 4, 0)},
    "retailrocket": {"events": (3, 3, 0), "items": (3, 3, 0)},
    "tafeng": {"events": (4, 4, 0), "items": (2, 2, 0), "users": (2, 2, 0)},
    "taobao": {"events": (4, 4, 0), "items": (3, 3, 0)},
    "yoochoose": {"events": (5, 5, 0), "items": (4, 4, 0)},
    "otto": {"events": (4, 4, 0), "items": (2, 2, 0)},
    "shopify": {"events": (3, 3, 0), "items": (2, 2, 0)},
    "warenwirtschaft": {"events": (3, 3, 0), "items": (2, 2, 0)},
    "analytics": {"events": (4, 4, 0), "items": (2, 2, 0)},
    "steam": {"events": (2, 2, 0), "items": (2, 2, 0)},
    "thelook": {"events": (4, 4, 0), "items": (3, 3, 0), "users": (2, 2, 0)},
    "baskets": {"events": (4, 4, 0), "items": (2, 2, 0)},
}
#: Shop → what one of its events must say; `user` is the shop's own word for the user.
ONE_EVENT: dict[str, dict[str, object]] = {
    "amazon": {
        "event_time": datetime(2020, 5, 5, 14, 8, 48, 923000, UTC),
        "user": "AG",
        "item_id": "B1",
        "event_type": "review",
        "text": "Nice. Smells good.",
    },
    "diginetica": {
        "event_time": datetime(2016, 5, 9, 0, 8, 46, 309000, UTC),
        "user": "session 1",
        "session_id": "1",
        "item_id": "81766",
        "event_type": "view",
    },
    "dunnhumby": {
        "event_time": datetime(2014, 1, 2, 21, 31, tzinfo=UTC),  # half past four in a New York winter
        "user": "2375",
        "quantity": 2.0,
        "unit_price": 550.41,
        "discount": 0.0,
    },
    "hm": {
        "event_time": datetime(2019, 3, 30, 23, 0, tzinfo=UTC),  # midnight before the clocks went on
        "user": "00007d2de826",
        "item_id": "0505221004",
        "channel": "store",
    },
    "instacart": {
        "event_time": datetime(2017, 2, 7, 12, 0, tzinfo=UTC),  # 0 + 15 + 21 days after the first order
        "user": "9",
        "item_id": "196",
        "basket_id": "3",
        "event_type": "purchase",
    },
    "movielens": {
        "event_time": datetime(2000, 12, 31, 22, 12, 40, tzinfo=UTC),
        "user": "1",
        "item_id": "1193",
        "event_type": "like",
    },
    "olist": {
        "event_time": datetime(2018, 2, 18, 2, 30, tzinfo=UTC),
        "user": "u1",
        "item_id": "p2",
        "event_type": "return",
        "unit_price": 118.7,
        "basket_id": "o2",
    },
    "online_retail": {
        "event_time": datetime(2010, 12, 1, 9, 41, tzinfo=UTC),
        "user": "14527",
        "item_id": "85123A",
        "event_type": "return",
        "quantity": 1.0,
        "basket_id": "C536379",
    },
    "retailrocket": {
        "event_time": datetime(2015, 6, 2, 5, 50, 14, 164000, UTC),
        "user": "992329",
        "item_id": "248676",
        "event_type": "add_to_cart",
    },
    "tafeng": {
        "event_time": datetime(2000, 10, 31, 16, 0, tzinfo=UTC),
        "user": "1104905",
        "quantity": 2.0,
        "unit_price": 12.0,
    },
    "taobao": {
        "event_time": datetime(2017, 11, 25, 1, 23, 19, tzinfo=UTC),
        "user": "2",
        "item_id": "2576651",
        "event_type": "purchase",
    },
    "yoochoose": {
        "event_time": datetime(2014, 4, 7, 14, 0, tzinfo=UTC),
        "user": "2",
        "event_type": "purchase",
        "unit_price": 12462.0,
        "quantity": 1.0,
    },
    "otto": {
        "event_time": datetime(2022, 7, 31, 22, 1, 44, 511000, UTC),
        "user": "0",
        "item_id": "1563459",
        "event_type": "add_to_cart",
    },
    "shopify": {
        "event_time": datetime(2022, 7, 6, 2, 59, tzinfo=UTC),
        "user": "bo@example.com",
        "item_id": "MUG-S",
        "event_type": "return",
        "basket_id": "#1002",
    },
    "warenwirtschaft": {
        "event_time": datetime(2022, 1, 2, 8, 15, tzinfo=UTC),
        "user": "10001",
        "item_id": "000219",
        "quantity": 12.0,
        "unit_price": 1006.81,
    },
    "analytics": {
        "event_time": datetime(2020, 11, 1, 3, 59, 40, 580301, UTC),
        "user": "1026454.4271112504",
        "item_id": None,
        "event_type": "search",
        "text": "red lamp",
        "session_id": "77",
    },
    "steam": {"event_time": datetime(2017, 12, 18, tzinfo=UTC), "user": "76561199", "item_id": "730"},
    "thelook": {
        "event_time": datetime(2022, 2, 5, 10, 11, 12, tzinfo=UTC),
        "user": "8",
        "item_id": "3",
        "event_type": "return",
        "unit_price": 20.5,
    },
    "baskets": {
        "event_time": datetime(2023, 2, 14, 13, 5, 30, tzinfo=UTC),
        "user": "guest 2",
        "item_id": "Bread",
        "basket_id": "2",
    },
}
#: Shop → (item, title, category, price).
ONE_ITEM = {
    "amazon": ("B1", "Rose spray", "Beauty > Scent", 12.5),
    "diginetica": ("32118", "Item 32118", "9", 2048.0),
    "dunnhumby": ("1033142", "Item 1033142", "Grocery > Frzn Ice", None),
    "hm": ("0663713001", "Atlanta Push Body", "Ladieswear > Underwear > Body", None),
    "instacart": ("14", 'Curd, \\"plain\\"', "Dairy Eggs > Milk", None),
    "movielens": ("661", 'James and the "Giant" Peach (1996)', "Animation", None),
    "olist": ("p1", "Item p1", "Health Beauty", None),
    "online_retail": ("21773", "Decorative Rose Bathroom Bottle £5", None, 2.51),
    "retailrocket": ("355908", "Item 355908", "213 > 1338", 7900.0),
    "tafeng": ("4710199010372", "Item 4710199010372", "110411", None),
    "taobao": ("2576651", "Item 2576651", "149192", None),
    "yoochoose": ("214536500", "Item 214536500", "Category S", None),
    "otto": ("1517085", "Item 1517085", None, None),
    "shopify": ("Gift wrap", "Gift wrap", None, 5.0),
    "warenwirtschaft": ("000219", "Müsli „Spezial“", "Frühstück", 1006.81),
    "analytics": ("GGO1", "Mug", "Home > Kitchen", 9.5),
    "steam": ("730", "Ball", "Sports", 0.0),
    "thelook": ("1", "Wool socks", "Men > Socks", 9.0),
    "baskets": ("Green tea", "Green tea", None, None),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_shop_of_this_form_lands_by_its_mapping_alone(settings: Settings, tmp_path: Path, name: str):
    mapping = write_foreign_shop(tmp_path / "shop", name)
    path = str(tmp_path / "shop" / "archive.zip") if name == "olist" else None
    landed = land(settings, str(mapping), path=path)
    assert {table: (each.rows_in, each.rows_written, each.rows_held) for table, each in landed.items()} == COUNTS[name]
    expected = dict(ONE_EVENT[name])
    expected["user_id"] = pseudonym(str(expected.pop("user")), settings.pseudonym_key)
    assert [row for row in rows_of(settings, "events") if expected.items() <= row.items()], expected
    items = {row["item_id"]: row for row in rows_of(settings, "items")}
    item, title, category, price = ONE_ITEM[name]
    assert (items[item]["title"], items[item]["category"], items[item]["price"]) == (title, category, price)


@pytest.mark.parametrize("name", NAMES)
def test_its_mapping_has_at_most_30_lines(name: str):
    assert len((MAPPINGS / f"{name}.toml").read_text().splitlines()) <= 30


def test_a_user_id_inside_a_basket_id_becomes_the_pseudonym(settings: Settings, tmp_path: Path):
    land(settings, str(write_foreign_shop(tmp_path, "hm")))
    user = pseudonym("000058a12d5b", settings.pseudonym_key)
    assert f"{user} 2018-09-20 2" in {row["basket_id"] for row in rows_of(settings, "events")}
    raw_ids = [path for path in settings.home.rglob("*") if path.is_file() and b"000058a12d5b" in path.read_bytes()]
    assert raw_ids == []


def test_a_number_that_cannot_be_read_is_held_and_not_left_out_by_a_condition_on_it(settings: Settings, tmp_path: Path):
    land(settings, str(write_foreign_shop(tmp_path, "online_retail")))
    assert "Price: expected a number, came 1,012.51" in held(settings)["typed"]
