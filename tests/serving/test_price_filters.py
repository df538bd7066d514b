"""A filter by price: in one currency, to the cent, and for any price that an item can have."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from feature_repo.schema import ITEMS
from serving.catalogue import Catalogue, Conditions, allowed_items, read_catalogue
from serving.contract import Event, Filters


def catalogue_of(folder: Path, *prices: tuple[float | None, str | None], currency: str | None = None) -> Catalogue:
    rows = [
        {"item_id": f"i{place}", "title": f"Item {place}", "price": price, "currency": told}
        for place, (price, told) in enumerate(prices, start=1)
    ]
    path = folder / "items.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    return read_catalogue(path, currency)


def fitting(catalogue: Catalogue, conditions: Conditions) -> list[int]:
    found: list[int] = np.flatnonzero(allowed_items(catalogue, conditions)).tolist()
    return found


def test_prices_of_another_currency_are_not_compared(tmp_path: Path):
    shop = catalogue_of(tmp_path, (5.0, "USD"), (500.0, "JPY"), (6.0, None), (700.0, "JPY"), currency="USD")
    assert fitting(shop, Conditions(min_price=5.5)) == [3]
    assert fitting(shop, Conditions(max_price=600.0)) == [1, 3]
    assert fitting(shop, Conditions(max_price=600.0, currency="JPY")) == [2]
    assert fitting(shop, Conditions(currency="JPY")) == [2, 4]
    assert fitting(shop, Conditions(max_price=600.0, currency="EUR")) == []
    assert fitting(shop, Conditions()) == [1, 2, 3, 4]


def test_prices_without_any_currency_are_compared_as_they_are(tmp_path: Path):
    assert fitting(catalogue_of(tmp_path, (5.0, None), (7.0, None)), Conditions(min_price=6.0)) == [2]


def test_an_item_without_a_currency_has_that_of_the_release(tmp_path: Path):
    shop = catalogue_of(tmp_path, (5.0, None), (7.0, "EUR"), currency="USD")
    assert [item.currency for item in shop.items[1:]] == ["USD", "EUR"]


def test_a_large_price_is_compared_to_the_cent(tmp_path: Path):
    shop = catalogue_of(tmp_path, (1_234_567.89, "IDR"), (1_234_567.90, "IDR"), currency="IDR")
    assert fitting(shop, Conditions(max_price=1_234_567.89)) == [1]
    assert fitting(shop, Conditions(min_price=1_234_567.90)) == [2]


@pytest.mark.parametrize("price", [25_000_000, 1_000_000_000])
def test_a_filter_and_an_event_take_any_price_that_an_item_can_have(price: float):
    (highest,) = (column.maximum for column in ITEMS.columns if column.name == "price")
    assert price <= (highest or 0.0)
    assert Filters(min_price=price, currency="VND").min_price == price
    assert Event(user_id="1", item_id="i1", event_type="purchase", unit_price=price, currency="VND").unit_price == price


@pytest.mark.parametrize("wrong", [{"max_price": 1e12}, {"min_price": -1}, {"max_price": True}, {"currency": "yen"}])
def test_what_is_no_price_and_no_currency_is_refused(wrong: dict):
    with pytest.raises(ValueError, match="validation error"):
        Filters(**wrong)
