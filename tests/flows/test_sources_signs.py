"""What a draft makes of numbers that are written another way: discounts below zero, ids with a spreadsheet's .0."""

from pathlib import Path

import pytest

from flows.settings import Settings
from tests.flows.drafted_folder import DAYS, draft_folder, rehearse_draft, write_rows


def _sales(**columns: list[str]) -> list[dict[str, str]]:
    """Sixty sales, two lines an order; a column is as many values as it is given, over and over."""
    common = {"customer_id": [f"c{n}" for n in range(7)], "product_id": [f"p{n}" for n in range(10)]}
    every = {"order_id": [str(n // 2) for n in range(60)], "sold_at": DAYS, **common, **columns}
    return [{name: values[row % len(values)] for name, values in every.items()} for row in range(60)]


@pytest.mark.parametrize(
    ("values", "made", "most"),
    [
        (["-1.50", "0.00", "-0.20"], '-"RETAIL_DISC"', 1.5),
        (["-1.50", "0.00", "0.20"], 'greatest(-"RETAIL_DISC", 0)', 1.5),
        (["1.50", "0.00", "-0.20"], 'greatest("RETAIL_DISC", 0)', 1.5),
    ],
)
def test_a_discount_written_below_zero_is_money_off(
    settings: Settings, tmp_path: Path, values: list[str], made: str, most: float
) -> None:
    write_rows(tmp_path / "sales.csv", _sales(quantity=["1", "2"], sales_value=["3.10", "6.20"], RETAIL_DISC=values))
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["columns"]["discount"] == made
    events = rehearse_draft(settings, tmp_path, text)["events"]
    assert events.rows_held == 0
    assert {pair.after["discount"] for pair in events.pairs} >= {0.0, most}


def test_ids_with_a_spreadsheets_fraction_are_whole_though_their_middle_lies_between_two(tmp_path: Path) -> None:
    write_rows(tmp_path / "sales.csv", _sales(customer_id=["12346.0", "12347.0", ""]))
    columns = draft_folder(tmp_path)[1]["events"]["columns"]
    assert columns["user_id"] == """coalesce(whole("customer_id"), 'guest ' || "order_id")"""


def test_a_recommended_price_is_not_what_was_paid(tmp_path: Path) -> None:
    rows = [row | {"price": str(int(row["quantity"]) * (3 + int(row["product_id"][1:])))}
            for row in _sales(quantity=["1", "2", "1"], rrp=["9", "8", "9", "7"])]  # fmt: skip
    write_rows(tmp_path / "sales.csv", [row | {"rrp": str(12 + int(row["product_id"][1:]))} for row in rows])
    assert draft_folder(tmp_path)[1]["events"]["columns"]["unit_price"] == '"price" / nullif("quantity", 0)'


def test_few_small_numbers_some_of_which_lack_are_no_ratings(tmp_path: Path) -> None:
    rows = [row | {"material": ("0", "1", "2", "")[n % 4]} for n, row in enumerate(_sales())]
    lines = [",".join(row[name] for name in ("sold_at", "customer_id", "product_id", "material")) for row in rows]
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n")
    assert draft_folder(tmp_path)[1]["events"]["columns"]["event_type"] != "'review'"


@pytest.mark.parametrize(
    ("price", "total", "made"),
    [
        ("VK netto", "Position brutto", '"VK netto"'),
        ("Einzelpreis (brutto)", "Summe", '"Einzelpreis (brutto)"'),
        ("Preis pro Stück", "Gesamt", '"Preis pro Stück"'),
        ("Rabattstufe", "Positionswert", '"Positionswert" / nullif("Menge", 0)'),
    ],
)
def test_german_prices_net_and_gross_are_prices(tmp_path: Path, price: str, total: str, made: str) -> None:
    rows = _sales(quantity=["1", "2"])
    sold = [
        {"Beleg": row["order_id"], "Datum": row["sold_at"], "Kundennummer": row["customer_id"],
         "Artikelnummer": row["product_id"], "Menge": row["quantity"], price: "2.5",
         total: str(2.5 * int(row["quantity"]))}
        for row in rows
    ]  # fmt: skip
    write_rows(tmp_path / "belege.csv", sold)
    assert draft_folder(tmp_path)[1]["events"]["columns"]["unit_price"] in (made, made.strip('"'))


@pytest.mark.parametrize(("lines", "told"), [(("-5", "-5", "0", "0"), False), (("-5", "0", "-2", "-1"), True)])
def test_what_is_off_an_order_is_not_off_each_of_its_lines(tmp_path: Path, lines: tuple[str, ...], told: bool) -> None:
    write_rows(tmp_path / "sales.csv", _sales(quantity=["1"], price=["3"], Discount=list(lines)))
    assert ("discount" in draft_folder(tmp_path)[1]["events"]["columns"]) == told
