"""Of what an amount is, told by the rows and not by its name: of one piece, of the whole line, of the order."""

import csv
import tomllib
from pathlib import Path
from typing import Any

from flows.sources.drafting import draft_source

_PRICES = (3, 5, 8, 13, 21, 34, 55)


def _draft(folder: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """The draft of orders of two lines; the amounts are those of a piece, of the line and of the order, if named."""
    rows = []
    for order in range(60):
        bought = [((order + line) % 7, 1 + (order + line) % 3) for line in (0, 1)]
        total = sum(_PRICES[item] * units for item, units in bought)
        for item, units in bought:
            amounts = (_PRICES[item], _PRICES[item] * units, total)
            rows.append({"Order ID": f"o{order}", "Buyer ID": f"b{order % 9}", "SKU": f"s{item}", "Quantity": units,
                         "Order Date": f"2026-02-{1 + order % 28:02}"}
                        | {name: amount for name, amount in zip(names, amounts, strict=True) if name})  # fmt: skip
    with (folder / "lines.csv").open("w", newline="") as text:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return tomllib.loads(draft_source([str(folder / "lines.csv")], "shop", folder).text)


def _price(mapping: dict[str, Any]) -> str:
    return str(mapping["events"]["columns"]["unit_price"])


def test_a_price_that_grows_with_the_pieces_is_that_of_the_whole_line(tmp_path: Path):
    mapping = _draft(tmp_path, ("", "item-price", ""))
    assert _price(mapping) == '"item-price" / nullif("Quantity", 0)'
    assert "price" not in str(mapping["items"])


def test_an_amount_that_stays_the_same_is_that_of_a_piece(tmp_path: Path):
    assert _price(_draft(tmp_path, ("Amount", "", ""))) == "Amount"


def test_of_two_prices_each_is_what_the_rows_tell(tmp_path: Path):
    mapping = _draft(tmp_path, ("Selling Price Per Item", "Price inc. subsidy", ""))
    assert _price(mapping) == "Selling Price Per Item"


def test_what_is_the_same_in_all_lines_of_an_order_is_no_price_of_any(tmp_path: Path):
    assert "unit_price" not in _draft(tmp_path, ("", "", "Total"))["events"]["columns"]
    assert _price(_draft(tmp_path, ("", "Revenue", "Total"))) == '"Revenue" / nullif("Quantity", 0)'
