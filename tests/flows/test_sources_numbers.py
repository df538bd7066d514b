"""How a draft and a mapping read numbers and days as shops write them: signs between thousands, words, short years."""

from pathlib import Path

import pytest

from flows.connection import connect
from flows.settings import Settings
from flows.sources.column_profile import ColumnProfile, profile_columns, profile_from
from flows.sources.file_sets import NumberFormat
from flows.sources.reading import number_sql
from tests.flows.drafted_folder import draft_folder, rehearse_draft, write_rows


def _profile(*values: str) -> ColumnProfile:
    with connect() as connection:
        connection.execute("create table cells as select unnest(?) as v", [list(values)])
        return profile_columns(connection, "cells")[0]


def _sales(**columns: list[str]) -> list[dict[str, str]]:
    """Thirty sales; a column is as many values as it is given, over and over."""
    common = {"customer_id": [f"c{number}" for number in range(7)], "product_id": [f"p{n}" for n in range(10)]}
    every = {"sold_at": [f"2026-01-{day:02} 10:00" for day in range(1, 29)], **common, **columns}
    return [{name: values[row % len(values)] for name, values in every.items()} for row in range(30)]


@pytest.mark.parametrize(
    ("value", "time_format"),
    [
        ("04-30-22", "%m-%d-%y"),
        ("30-04-22", "%d-%m-%y"),
        ("30-04-22 17:05", "%d-%m-%y %H:%M"),
        ("Oct-01-23", "%b-%d-%y"),
        ("Oct-01-2023", "%b-%d-%Y"),
        ("2022-04-30", "iso"),
        ("30-04-2022", "%d-%m-%Y"),
    ],
)
def test_days_with_hyphens_are_times(value: str, time_format: str):
    assert _profile(value).time_formats == (time_format,)


@pytest.mark.parametrize(
    ("values", "kind", "largest"),
    [
        (["125.000", "1.250.000", "7.500"], "comma_number", 1_250_000),
        (["125.000", "90", "7.500", "8.000"], "comma_number", 125_000),
        (["125.000", "90.000", "7.500", "8.000"], "number", 125),  # nothing shows that these are thousands
        (["0.500", "1.250", "2", "3.125"], "number", 3.125),
        (["1.250", "1500", "3.000", "4.000"], "number", 1500),
        (["1.234,50", "7", "2.000"], "comma_number", 2000),
        (["1 234,50", "12,00", "1\u00a0000,10", "2\u202f000,10"], "comma_number", 2000.1),
        (["1'234.50", "1’235", "12.00"], "number", 1235),
    ],
)
def test_signs_between_thousands_are_told_from_fractions(values: list[str], kind: str, largest: float):
    profile = _profile(*values)
    assert (profile.kind, profile.maximum) == (kind, largest)


def test_dots_that_may_be_either_are_said_to_be_unsure_and_read_as_thousands(settings: Settings, tmp_path: Path):
    write_rows(tmp_path / "sales.csv", _sales(price=["125.000", "90.000", "7.500", "500"]))
    text, mapping = draft_folder(tmp_path)
    assert (mapping["events"]["decimal"], mapping["events"]["thousands"]) == (",", ".")
    assert "# decimal: unsure: price is taken for thousands" in text
    first = rehearse_draft(settings, tmp_path, text)["events"].pairs[0].after
    assert float(first["unit_price"]) == 125_000


def test_an_apostrophe_groups_thousands_and_nothing_else():
    with connect() as connection:
        for text, value in (("1'234.50", 1234.5), ("1’234", 1234), ("5'11", None)):
            read = number_sql("v", NumberFormat())
            assert connection.execute(f"select {read} from (select ? as v)", [text]).fetchone() == (value,)


@pytest.mark.parametrize(("price", "word"), [("4.99", "Free To Play"), ("$4.99", "Free"), ("1.004,99", "gratis")])
def test_an_item_whose_price_is_a_word_is_kept_without_one(settings: Settings, tmp_path: Path, price: str, word: str):
    write_rows(tmp_path / "sales.csv", _sales())
    items = [{"product_id": f"p{n}", "title": f"Tea no {n}", "price": word if n == 5 else price} for n in range(40)]
    write_rows(tmp_path / "products.csv", items)
    text, mapping = draft_folder(tmp_path)
    assert mapping["items"]["columns"]["price"].startswith("try_cast(")
    tables = rehearse_draft(settings, tmp_path, text)
    assert not tables["items"].held
    assert not tables["events"].held
    assert float(tables["items"].pairs[0].after["price"]) == (1004.99 if "," in price else 4.99)


def test_prices_with_signs_of_money_among_many_words_are_read(settings: Settings, tmp_path: Path):
    write_rows(tmp_path / "sales.csv", _sales())
    prices = ("$1,004.99", "$7.50", "see 2,000 more {n} offers")
    items = [{"product_id": f"p{n}", "title": f"Tea no {n}", "price": prices[n % 3].format(n=n)} for n in range(40)]
    write_rows(tmp_path / "products.csv", items)
    text, _ = draft_folder(tmp_path)
    assert "unsure: some of its values are no numbers" in text
    after = [pair.after for pair in rehearse_draft(settings, tmp_path, text)["items"].pairs]
    assert {float(row.get("price", 0)) for row in after} == {1004.99, 7.5, 0}


def test_the_logarithm_of_a_price_is_no_price(tmp_path: Path):
    write_rows(tmp_path / "sales.csv", _sales())
    items = [{"product_id": f"p{n}", "title": f"Tea no {n}", "pricelog2": str(n % 9)} for n in range(40)]
    write_rows(tmp_path / "products.csv", items)
    assert "price" not in draft_folder(tmp_path)[1]["items"]["columns"]


def test_a_profile_that_was_recorded_before_unread_values_were_counted_still_loads():
    record = _profile(*["3.5"] * 99, "Free").as_record()
    assert record.pop("unread") == 1
    record.pop("dotted"), record.pop("signs")
    assert profile_from(record).unread == 0
