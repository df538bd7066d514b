"""What a draft takes out of the sales: what a status, a flag or a day of cancelling says was called off or not paid."""

import csv
import tomllib
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.sources.drafting import draft_source
from flows.sources.event_words import came_back, only_offered


def _draft(folder: Path, file: str = "log.csv", **more: tuple[object, ...]) -> dict[str, Any]:
    """The draft of lines of orders, the values of each more column in turn."""
    rows = [{"Order ID": f"o{n}", "Customer ID": f"c{n % 9}", "SKU": f"s{n % 5}", "Qty": 1 + n % 2,
             "Order Date": f"2026-02-{1 + n % 28:02} 10:{n % 60:02}:00",
             **{name: values[n % len(values)] for name, values in more.items()}} for n in range(60)]  # fmt: skip
    with (folder / file).open("w", newline="") as text:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return tomllib.loads(draft_source([str(folder / file)], "shop", folder).text)


def _types(mapping: dict[str, Any], **row: str | None) -> str:
    """The drafted event type of a row, in our words."""
    values = ", ".join(f'{"null" if value is None else repr(value)} as "{name}"' for name, value in row.items())
    made = duckdb.sql(f"select {mapping['events']['columns']['event_type']} from (select {values})").fetchone()
    assert made
    return str(mapping["events"].get("event_types", {}).get(made[0], made[0]))


def test_goods_that_are_still_to_be_sent_were_bought(tmp_path: Path):
    mapping = _draft(tmp_path, **{"Fulfillment Status": ("pending", "fulfilled")})
    assert mapping["events"]["columns"]["event_type"] == "'purchase'"
    mapping = _draft(tmp_path, **{"Fulfillment Status": ("pending", "paid", "shipped")})
    assert _types(mapping, **{"Fulfillment Status": "pending"}) == "leave_out"


def test_an_order_state_says_what_came_back(tmp_path: Path):
    mapping = _draft(tmp_path, "orders.csv", **{"Order State": ("Delivered", "CANCELLED", "Approved")})
    assert _types(mapping, **{"Order State": "CANCELLED"}) == "return"
    assert _types(mapping, **{"Order State": "Approved"}) == "purchase"


@pytest.mark.parametrize(("name", "yes", "no"), [("IstStorniert", "J", "N"), ("Void?", "true", "false")])
def test_a_flag_says_what_was_called_off(tmp_path: Path, name: str, yes: str, no: str):
    mapping = _draft(tmp_path, **{name: (no, no, yes)})
    assert (_types(mapping, **{name: yes}), _types(mapping, **{name: no})) == ("return", "purchase")


def test_a_day_of_cancelling_and_each_status_say_what_was_called_off(tmp_path: Path):
    mapping = _draft(tmp_path, **{
        "Financial Status": ("paid", "pending", "paid"), "Status": ("open", "open", "open", "cancelled"),
        "Cancelled at": ("", "", "", "", "2026-03-01 10:00:00"),
    })  # fmt: skip
    paid = {"Financial Status": "paid", "Status": "open", "Cancelled at": None}
    assert _types(mapping, **paid) == "purchase"
    assert _types(mapping, **{**paid, "Cancelled at": "2026-03-01"}) == "return"
    assert _types(mapping, **{**paid, "Status": "cancelled"}) == "return"
    assert _types(mapping, **{**paid, "Financial Status": "pending"}) == "leave_out"


def test_where_a_column_tells_of_the_payment_an_open_order_may_be_paid(tmp_path: Path):
    orders, payments = ("Aberto", "Arquivado", "Arquivado", "Cancelado"), ("Confirmado", "Recusado", "Pendente")
    mapping = _draft(tmp_path, **{"Status do Pedido": orders})
    assert _types(mapping, **{"Status do Pedido": "Aberto"}) == "leave_out"
    mapping = _draft(tmp_path, **{"Status do Pedido": orders, "Status do Pagamento": payments})
    for order, payment, meant in (
        ("Aberto", "Confirmado", "purchase"),
        ("Aberto", "Pendente", "leave_out"),
        ("Arquivado", "Recusado", "leave_out"),
        ("Cancelado", "Confirmado", "return"),
    ):
        assert _types(mapping, **{"Status do Pedido": order, "Status do Pagamento": payment}) == meant


def test_a_receipt_that_was_cancelled_is_no_sale_whatever_its_type(tmp_path: Path):
    mapping = _draft(tmp_path, **{"Receipt type": ("Sale", "Sale", "Refund"), "Status": ("Closed",) * 4 + ("Voided",)})
    assert _types(mapping, **{"Receipt type": "Sale", "Status": "Voided"}) == "return"
    assert _types(mapping, **{"Receipt type": "Refund", "Status": "Closed"}) == "return"
    assert _types(mapping, **{"Receipt type": "Sale", "Status": "Closed"}) == "purchase"


@pytest.mark.parametrize("states", [(5, 7, 0, 5), ("klar", "sänd", "borta", "klar")])
def test_a_status_of_which_nothing_is_known_is_told(tmp_path: Path, states: tuple[object, ...]):
    _draft(tmp_path, "orders.csv", order_status_id=states)
    text = draft_source([str(tmp_path / "orders.csv")], "shop", tmp_path).text
    assert "unsure: nothing of order_status_id is known to say what was called off" in text


def test_a_column_that_says_of_a_few_sales_that_they_came_back_goes_with_a_status(tmp_path: Path):
    types = ("", "", "", "Cancel", "", "Return/Refund")
    mapping = _draft(tmp_path, **{"Cancelation/Return Type": types, "Order Status": ("จัดส่งแล้ว", "ยกเลิกแล้ว")})
    assert _types(mapping, **{"Cancelation/Return Type": "Cancel", "Order Status": "จัดส่งแล้ว"}) == "return"
    assert _types(mapping, **{"Cancelation/Return Type": None, "Order Status": "ยกเลิกแล้ว"}) == "return"
    assert _types(mapping, **{"Cancelation/Return Type": None, "Order Status": "จัดส่งแล้ว"}) == "purchase"


def test_all_rows_of_a_file_of_returns_came_back(tmp_path: Path):
    mapping = _draft(tmp_path, "returns.csv", status=("Unit returned to inventory", "Reimbursed"))
    assert mapping["events"]["columns"]["event_type"] == "'return'"


def test_words_of_more_languages_say_what_came_back_and_what_is_not_paid():
    back = ("취소완료", "반품완료", "İptal Edildi", "Zwrot", "Возврат", "Devuelto", "RTO_COMPLETE", "Geannuleerd",
            "Retourniert", "Rückerstattet", "Zurückgesendet")  # fmt: skip
    assert [word for word in back if not came_back(word)] == []
    unpaid = ("결제대기", "未払い", "Awaiting Payment", "on-hold", "Incomplete", "Nieopłacone", "Ожидает оплаты")
    assert [word for word in unpaid if not only_offered(word)] == []
    assert not any(only_offered(word) for word in ("Awaiting Fulfillment", "Processing", "구매확정", "발송완료"))


def test_a_flag_of_returns_in_a_file_of_orders_says_what_came_back(tmp_path: Path):
    rows = [f"{n};2026-02-{1 + n % 28:02};i{n % 9};c{n % 7};{n % 2}" for n in range(60)]
    (tmp_path / "orders_train.txt").write_text(
        "orderItemID;orderDate;itemID;customerID;returnShipment\n" + "\n".join(rows)
    )
    mapping = tomllib.loads(draft_source([str(tmp_path / "orders_train.txt")], "shop", tmp_path).text)
    assert (_types(mapping, returnShipment="1"), _types(mapping, returnShipment="0")) == ("return", "purchase")


@pytest.mark.parametrize("column", ["Subscription Status", "Coupon_Status", "Marital status"])
def test_the_status_of_somebody_or_something_else_says_nothing_of_the_sale(tmp_path: Path, column: str):
    _draft(tmp_path, "orders.csv", **{column: ("Used", "Not Used", "Clicked")})
    assert column not in draft_source([str(tmp_path / "orders.csv")], "shop", tmp_path).text
