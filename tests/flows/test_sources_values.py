"""What a draft makes of values and forms: lists of words, clocks, offsets, days of spreadsheets, words for nothing."""

from pathlib import Path
from typing import Any

import pytest

from flows.connection import connect
from flows.settings import Settings
from flows.sources.column_profile import profile_columns
from tests.flows.drafted_folder import DAYS, draft_folder, rehearse_draft, write_rows


def _sales(**columns: list[str]) -> list[dict[str, str]]:
    """Sixty sales, two lines an order; a column is as many values as it is given, over and over."""
    common = {"customer_id": [f"c{n}" for n in range(7)], "product_id": [f"p{n}" for n in range(10)]}
    every = {"order_id": [str(n // 2) for n in range(60)], "sold_at": DAYS, **common, **columns}
    return [{name: values[row % len(values)] for name, values in every.items() if values} for row in range(60)]


def _events(mapping: dict[str, Any]) -> dict[str, str]:
    return dict(mapping["events"]["columns"])


@pytest.mark.parametrize("word", ["Cancel", "Return/Refund"])
def test_a_column_that_tells_returns_alone_hides_no_sale(settings: Settings, tmp_path: Path, word: str) -> None:
    write_rows(tmp_path / "orders.csv", _sales(**{"Return Type": [word, *[""] * 5]}))
    text, mapping = draft_folder(tmp_path)
    assert _events(mapping)["event_type"] == """case when "Return Type" is not null then 'return' else 'purchase' end"""
    events = rehearse_draft(settings, tmp_path, text)["events"]
    assert (events.rows, events.left_out, events.rows_held) == (60, 0, 0)


def test_an_amount_before_or_after_a_discount_is_none(tmp_path: Path) -> None:
    amounts = {"Subtotal Before Discount": ["50"], "Discounted Price": ["45"], "Seller Discount": ["5", "7"]}
    write_rows(tmp_path / "orders.csv", _sales(quantity=["1", "2"], **amounts))
    assert _events(draft_folder(tmp_path)[1])["discount"] == '"Seller Discount"'


@pytest.mark.parametrize("column", ["Product", "Products"])
@pytest.mark.parametrize("cells", [["['Tea', 'Rye Bread']", "['Jam']"], ['["Tea", "Rye Bread"]', '["Jam"]']])
def test_a_list_of_words_in_a_cell_is_its_words(
    settings: Settings, tmp_path: Path, column: str, cells: list[str]
) -> None:
    write_rows(tmp_path / "baskets.csv", _sales(product_id=[], **{column: cells}))
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["unnest"] == column
    assert "separator" not in mapping["events"]
    events = rehearse_draft(settings, tmp_path, text)["events"]
    assert (events.rows_held, {pair.after["item_id"] for pair in events.pairs}) == (0, {"Tea", "Rye Bread", "Jam"})


@pytest.mark.parametrize(
    ("values", "formats"),
    [
        (["04/25/19 10:57", "04/26/19 11:57", "04-03-2019 10:00"], ("%m/%d/%y %H:%M", "%m-%d-%Y %H:%M")),
        (["25/04/2019", "26/04/2019", "04-03-2019"], ("%d/%m/%Y", "%d-%m-%Y")),
        (["03/04/2019", "05/04/2019", "03/04/2019", "25-03-2019"], ("%d/%m/%Y", "%d-%m-%Y")),
        (["09-11-2020 20:36:26 +0530"], ("%d-%m-%Y %H:%M:%S %z",)),
    ],
)
def test_times_are_read_with_one_order_of_day_and_month(values: list[str], formats: tuple[str, ...]) -> None:
    with connect() as connection:
        connection.execute("create table cells as select unnest(?) as v", [values])
        assert profile_columns(connection, "cells")[0].time_formats == formats


def test_times_with_an_offset_land_at_their_moment(settings: Settings, tmp_path: Path) -> None:
    times = [f"{day:02}-11-2020 20:36:26 +0530" for day in range(1, 28)]
    write_rows(tmp_path / "orders.csv", _sales(sold_at=times))
    events = rehearse_draft(settings, tmp_path, draft_folder(tmp_path)[0])["events"]
    assert events.rows_held == 0
    assert "15:06:26" in str(events.pairs[0].after["event_time"])


@pytest.mark.parametrize(
    ("days", "clocks", "moment"),
    [
        (["24/02/2023", "07-11-2023"], ["2:51:00"], "2023-02-24 02:51:00"),
        (["2/01/2021", "25/01/2021"], ["11:48:00 a. m.", "12:12:00 p. m.", "1:12:00 p. m."], "2021-01-02 11:48:00"),
        (["2021-01-02", "2021-01-25"], ["1:12 p.m."], "2021-01-02 13:12:00"),
    ],
)
def test_the_clock_beside_a_day_is_kept(
    settings: Settings, tmp_path: Path, days: list[str], clocks: list[str], moment: str
) -> None:
    write_rows(tmp_path / "orders.csv", _sales(sold_at=[], order_date=days, order_time=clocks))
    events = rehearse_draft(settings, tmp_path, draft_folder(tmp_path)[0])["events"]
    assert events.rows_held == 0
    times = {str(pair.after["event_time"])[:19].replace("T", " ") for pair in events.pairs}
    assert moment in times
    assert not any(time.endswith("00:00:00") for time in times)


def test_days_that_a_spreadsheet_counts_are_days(settings: Settings, tmp_path: Path) -> None:
    write_rows(tmp_path / "orders.csv", _sales(sold_at=[], DATE=["43390", "43420"]))
    text, mapping = draft_folder(tmp_path)
    assert _events(mapping)["event_time"] == """after('1899-12-30', days := "DATE")"""
    events = rehearse_draft(settings, tmp_path, text)["events"]
    assert (events.rows_held, str(events.pairs[0].after["event_time"])[:10]) == (0, "2018-10-17")


def test_minutes_until_a_delivery_are_no_time_of_a_sale(settings: Settings, tmp_path: Path) -> None:
    write_rows(tmp_path / "orders.csv", _sales(sold_at=[], delivery_time=["22", "35"]))
    text, mapping = draft_folder(tmp_path)
    assert "% 60)" in _events(mapping)["event_time"]
    assert rehearse_draft(settings, tmp_path, text)["events"].rows_held == 0


def test_a_time_in_an_unknown_form_proposes_no_form_that_it_has_not(tmp_path: Path) -> None:
    write_rows(tmp_path / "orders.csv", _sales(sold_at=[], order_date=["week 7 of 2020"]))
    text, _ = draft_folder(tmp_path)
    assert "'week 7 of 2020'" in text
    assert 'time_format = "..." above, in signs for the values, as %d.%m.%Y %H:%M is for 24.12.2025 17:05' in text


@pytest.mark.parametrize("units", ["1.0", "1,500.50"])
def test_a_price_with_a_comma_beside_numbers_with_points_is_read_alone(
    settings: Settings, tmp_path: Path, units: str
) -> None:
    write_rows(tmp_path / "orders.csv", _sales(quantity=["2.5", units], unit_price=["0,90 €", "1.234,50 €"]))
    text, mapping = draft_folder(tmp_path)
    assert "decimal" not in mapping["events"]
    tables = rehearse_draft(settings, tmp_path, text)
    assert {name: (table.rows, table.rows_held) for name, table in tables.items()} == {
        "events": (60, 0),
        "items": (10, 0),
    }
    assert {float(pair.after["unit_price"]) for pair in tables["events"].pairs} == {0.9, 1234.5}


def test_words_among_numbers_mean_nothing_in_other_columns_too(settings: Settings, tmp_path: Path) -> None:
    words = ["ERROR", "UNKNOWN"]
    amounts = {"quantity": [*"12345", *words, *"6789"], "price": [*words, *"123456789"]}
    items = [*(f"Tea {kind}" for kind in "ABCDEFG"), *words]
    write_rows(tmp_path / "orders.csv", _sales(product_id=[], item=items, **amounts))
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["nulls"] == ["", *words]
    assert not {pair.after["item_id"] for pair in rehearse_draft(settings, tmp_path, text)["items"].pairs} & set(words)


@pytest.mark.parametrize(
    "columns",
    [{"price": [*"12345", "Free"], "genre": ["Free", "Puzzle"]}, {"size": ["S", *"2345"], "size of shoe": ["S", "41"]}],
)
def test_words_among_numbers_that_mean_something_are_kept(tmp_path: Path, columns: dict[str, list[str]]) -> None:
    write_rows(tmp_path / "orders.csv", _sales(**columns))
    assert "nulls" not in draft_folder(tmp_path)[1]["events"]


def test_the_lines_of_an_order_side_by_side_are_rows_each(settings: Settings, tmp_path: Path) -> None:
    slots = {f"item_id_{n}": [f"p{k + n}" if k % n == 0 else "" for k in range(20)] for n in (1, 2, 3)}
    orders = [{name: values[row % 20] for name, values in slots.items()} for row in range(60)]
    write_rows(tmp_path / "sent.csv", [{"order_id": str(n), **each} for n, each in enumerate(orders)])
    whose = [{"order_id": str(n), "client_id": f"c{n % 7}", "order_date": DAYS[n % 28]} for n in range(60)]
    write_rows(tmp_path / "orders.csv", whose)
    write_rows(tmp_path / "prices.csv", [{"item_id": f"p{n}", "base_price": "3.5"} for n in range(1, 24)])
    text, mapping = draft_folder(tmp_path)
    assert 'unnest(["item_id_1", "item_id_2", "item_id_3"])' in mapping["events"]["from"]
    events = rehearse_draft(settings, tmp_path, text)["events"]
    assert (events.rows, events.rows_held) == (sum(bool(cell) for each in orders for cell in each.values()), 0)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["Tea:17.18;Rye Bread:83.2", "Tea:9"], ("unit_price", {17.18, 83.2, 9})),
        (["Tea x2;Rye Bread x1", "Tea x3"], ("quantity", {1, 2, 3})),
        (["Tea (2);Rye Bread (1)", "Tea (3)"], ("quantity", {1, 2, 3})),
    ],
)
def test_a_number_behind_an_item_in_its_cell_is_no_part_of_it(
    settings: Settings, tmp_path: Path, cells: list[str], said: tuple[str, set[float]]
) -> None:
    write_rows(tmp_path / "baskets.csv", _sales(product_id=[], products=[*cells, "Rye Bread" + cells[1][3:]]))
    events = rehearse_draft(settings, tmp_path, draft_folder(tmp_path)[0])["events"]
    assert {pair.after["item_id"] for pair in events.pairs} == {"Tea", "Rye Bread"}
    assert {float(pair.after[said[0]]) for pair in events.pairs} == said[1]
    assert events.rows_held == 0
