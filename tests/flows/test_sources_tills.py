"""What tills and marketplaces write in their exports: lines of receipts, guests, signs of money, days in words."""

import csv
import tomllib
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.sources.delimited import ExportRejected
from flows.sources.drafting import draft_source
from flows.sources.text_signs import encoding_of


def _rows(**more: tuple[object, ...]) -> list[dict[str, object]]:
    """Lines of receipts, two of each, with the values of each more column in turn."""
    return [{"Receipt number": f"r{n // 2}", "SKU": f"s{n % 7}", "Date": f"2026-02-{1 + n % 28:02} 10:00:00",
             "Quantity": 1 + n % 3, **{name: values[n % len(values)] for name, values in more.items()}}
            for n in range(84)]  # fmt: skip


def _draft(folder: Path, rows: list[dict[str, object]], file: str = "till.csv") -> dict[str, Any]:
    with (folder / file).open("w", newline="") as text:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return tomllib.loads(draft_source([str(folder / file)], "shop", folder).text)


def test_the_lines_of_a_sale_are_bought(tmp_path: Path):
    rows = [row | {"SKU": row["SKU"] if row["Line Type"] == "Sale Line" else ""}
            for row in _rows(**{"Line Type": ("Sale", "Sale Line", "Payment")})]  # fmt: skip
    mapping = _draft(tmp_path, rows)
    assert mapping["events"]["event_types"]["Sale Line"] == "purchase"
    assert mapping["events"]["where"] == '"SKU" is not null'


def test_beside_sales_a_purchase_is_the_shops_own(tmp_path: Path):
    mapping = _draft(tmp_path, _rows(**{"Entry Type": ("Sale", "Sale", "Purchase"), "Customer": ("c1", "c2", "c3")}))
    assert mapping["events"]["event_types"] == {"Purchase": "leave_out", "Sale": "purchase"}


def test_the_word_for_a_customer_who_walked_in_names_nobody(tmp_path: Path):
    mapping = _draft(tmp_path, _rows(**{"Customer Code": ("WALKIN", "c1", "WALKIN", "c2", "WALKIN", "c3", "c4")}))
    assert mapping["events"]["columns"]["user_id"].startswith("coalesce(nullif(\"Customer Code\", 'WALKIN')")


def test_the_order_that_each_row_names_goes_before_one_that_only_the_first_names(tmp_path: Path):
    rows = [row | {"Order ID": row["Receipt number"] if n % 2 else ""} for n, row in enumerate(_rows())]
    assert _draft(tmp_path, rows)["events"]["columns"]["basket_id"] == "Receipt number"


def test_a_minus_may_stand_before_the_sign_of_money(tmp_path: Path):
    mapping = _draft(tmp_path, _rows(**{"Gross Sales": ("$5.00", "-$7.50", "$1,200.00", "$9.00", "$4.00")}))
    assert "Gross Sales" in mapping["events"]["columns"]["unit_price"]


@pytest.mark.parametrize(("name", "value"), [
    ("Ordered On", "Feb 03, 2026 08:07:00"), ("Sent Date", "2/10/26 3:30 AM"), ("注文日時", "2026年2月3日 16:57"),
])  # fmt: skip
def test_days_are_read_as_tills_and_marketplaces_write_them(tmp_path: Path, name: str, value: str):
    rows = [{key: each for key, each in row.items() if key != "Date"} for row in _rows(**{name: (value,)})]
    assert _draft(tmp_path, rows)["events"]["columns"]["event_time"] == name


@pytest.mark.parametrize("name", ["Buyer name", "Contact email", "البريد الإلكتروني"])
def test_who_bought_is_told_by_a_name_or_a_mail_where_no_id_is(tmp_path: Path, name: str):
    mapping = _draft(tmp_path, _rows(**{name: tuple(f"u{n}@example.com" for n in range(9))}))
    assert mapping["events"]["columns"]["user_id"] == name


def test_who_stood_at_the_till_is_private(tmp_path: Path):
    mapping = _draft(
        tmp_path, _rows(**{"Cashier name": ("Ada", "Bo"), "Client Name": ("Cy", "Di"), "Client ID": (1, 2)})
    )
    assert mapping["private"] == ["Cashier name", "Client Name"]


def test_polish_and_japanese_letters_are_told_from_like_encodings():
    assert encoding_of("Data złożenia;Ilość;Imię\nnieopłacone;1;Wałęsa\n".encode("cp1250")) == "cp1250"
    rows = "山田花子,東京都千代田区,抹茶粉末\n" * 60
    assert encoding_of(("注文番号,ステータス,メールアドレス,商品名\n" + rows).encode("cp932")) == "cp932"
    assert encoding_of("Größe;Straße;Müller\n".encode("cp1252")) in ("cp1252", "latin-1")


def test_a_name_that_comes_twice_in_the_first_line_is_told(tmp_path: Path):
    (tmp_path / "sales.csv").write_text("order,state,item,state\n1,new,a,Wien\n")
    with pytest.raises(ExportRejected, match=r"but state came more than once in 'order,state,item,state'.*skip = 1"):
        draft_source([str(tmp_path / "sales.csv")], "shop", tmp_path)


def test_an_order_whose_number_stands_in_its_first_line_alone_is_filled_in_below(tmp_path: Path):
    lines = [{"Order Reference": f"S{n // 2}", "Order Date": f"2026-02-{1 + n // 2 % 28:02} 10:00:00",
              "Customer": f"c{n // 2 % 9}", "Order Lines/Product": f"Tea {n % 7}", "Order Lines/Quantity": 1 + n % 3}
             for n in range(80)]  # fmt: skip
    below = dict.fromkeys(("Order Reference", "Order Date", "Customer"), "")
    mapping = _draft(tmp_path, [row | (below if n % 2 else {}) for n, row in enumerate(lines)], "sale.order.csv")
    columns = mapping["events"]["columns"]
    assert columns["item_id"] == "Order Lines/Product"
    deeds = duckdb.sql(f"select * from read_csv('{tmp_path / 'sale.order.csv'}', all_varchar = true)")  # noqa: F841
    user = columns["user_id"] if columns["user_id"].startswith("coalesce") else f'"{columns["user_id"]}"'
    filled = duckdb.sql(f'select "{columns["basket_id"]}", {user} from ({mapping["events"]["from"]})').fetchall()
    assert sorted(filled) == sorted((row["Order Reference"], row["Customer"]) for row in lines)


def test_beside_an_id_a_column_called_item_is_the_title(tmp_path: Path):
    assert _draft(tmp_path, _rows(Item=("Tea", "Mug", "Cup")))["items"]["columns"]["title"] == "Item"
