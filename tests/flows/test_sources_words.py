"""What a draft makes of words: those for deeds and for a status, names of columns, and names that tell of a person."""

import csv
import tomllib
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.sources.column_names import plain_name
from flows.sources.drafting import draft_source
from flows.sources.event_words import came_back, likely_meant_by, only_offered

_DAYS = [f"2026-01-{day:02} 10:00:00" for day in range(1, 29)]


def _draft(folder: Path, rows: list[dict[str, str]], file: str = "log.csv") -> tuple[str, dict[str, Any]]:
    with (folder / file).open("w", newline="") as text:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    text = draft_source([str(folder / file)], "shop", folder).text
    return text, tomllib.loads(text)


def _deeds(words: list[str]) -> list[dict[str, str]]:
    """Rows of users and items, the words for what was done in turn."""
    return [{"user_id": f"u{n % 9}", "product_id": f"p{n % 7}", "event_name": words[n % len(words)], "timestamp": day}
            for n, day in enumerate(_DAYS * len(words))]  # fmt: skip


@pytest.mark.parametrize(("words", "meant"), [
    (("Purchase Completed", "Completed Order", "Payment Success", "ecommerceOrder", "af_purchase",
      "fb_mobile_purchase", "Fulfilled Order", "Product Purchased"), "purchase"),
    (("Cancelled Order", "order_cancelled", "Cancelled by seller", "Storno", "Order Refunded"), "return"),
    (("af_content_view", "Viewed Product", "content:interact:product_clicked"), "view"),
    (("Item Favorited", "Added to Wishlist"), "like"), (("Search Submitted",), "search"),
    (("Payment Failed", "Checkout Started", "Cart Abandoned", "Removed from Cart", "Order Page Viewed",
      "payment_details", "UI App Opened", "session_start", "begin_checkout"), None),
    (("looked", "Angesehen", "Produktansicht", "consulté", "visualização", "просмотр", "浏览", "閲覧", "조회"), "view"),
    (("In den Warenkorb", "ajout au panier", "agregar_al_carrito", "добавление в корзину", "加入购物车", "カートに追加",
      "장바구니", "sepete ekle"), "add_to_cart"),
    (("gekauft", "achat", "compra", "acquisto", "покупка", "下单", "購入", "구매", "satın alma"), "purchase"),
    (("收藏", "お気に入り", "избранное", "Favoris"), "like"), (("検索", "Suche", "поиск"), "search"),
    (("取消收藏", "移出购物车", "待支付"), None),
])  # fmt: skip
def test_words_for_deeds_are_known_in_any_order_and_tense(words: tuple[str, ...], meant: str | None):
    assert {word: likely_meant_by(word) for word in words} == dict.fromkeys(words, meant)


def test_a_status_says_within_a_phrase_and_in_other_languages_what_came_back():
    back = ("Shipped - Returned to Seller", "Rejected by Buyer", "Cancelado", "Annulé", "Anulowane", "Отменен",
            "キャンセル確定", "取消", "Batal", "Reembolsado", "Remboursé", "CANCELLED")  # fmt: skip
    assert [word for word in back if not came_back(word)] == []
    kept = ("Shipped", "not cancelled", "partially_refunded", "Pending", "Delivered to Buyer")
    assert [word for word in kept if came_back(word)] == []
    assert only_offered("Angebot")
    assert only_offered("pending")
    assert not only_offered("Pending - Waiting for Pick Up")


def test_an_offer_is_no_purchase_and_what_a_phrase_says_came_back_is_none(tmp_path: Path):
    states = ("Shipped", "Shipped - Returned to Seller", "Quotation")
    rows = [{"Order ID": str(n), "Customer ID": str(n % 9), "SKU": str(n % 5), "Date": _DAYS[n % 28],
             "Status": states[n % 3]} for n in range(60)]  # fmt: skip
    _, mapping = _draft(tmp_path, rows)
    made = mapping["events"]["columns"]["event_type"]
    of = {state: duckdb.sql(f"select {made} from (select '{state}' as \"Status\")").fetchone() for state in states}
    assert of == {"Shipped": ("purchase",), "Shipped - Returned to Seller": ("return",), "Quotation": ("offer",)}
    assert mapping["events"]["event_types"] == {"offer": "leave_out"}


def test_rare_words_of_many_are_taken_and_the_rest_is_left_out_by_one_condition(tmp_path: Path):
    noise = [f"UI Step {letter}" for letter in "ABCDEFGHIJKLMNOP"]
    rows = _deeds(noise + noise + ["Product Viewed", "Product Purchased"])
    text, mapping = _draft(tmp_path, [*rows, *_deeds(noise)])
    assert mapping["events"]["event_types"] == {"Product Purchased": "purchase", "Product Viewed": "view"}
    assert mapping["events"]["where"] == "\"event_name\" in ('Product Purchased', 'Product Viewed')"
    assert "UI Step L and 4 more" in text
    assert "UI Step M" not in text


def test_a_word_whose_rows_alone_have_orders_is_taken_for_a_purchase_where_no_other_is(tmp_path: Path):
    rows = [{**row, "order_id": f"o{n}" if row["event_name"] == "Osto" else ""}
            for n, row in enumerate(_deeds(["viewed", "Osto"]))]  # fmt: skip
    text, mapping = _draft(tmp_path, rows)
    assert mapping["events"]["event_types"] == {"Osto": "purchase", "viewed": "view"}
    assert "unsure: only rows of Osto have order_id, so it is taken for a purchase" in text
    text, _ = _draft(tmp_path, _deeds(["viewed", "scrolled"]))
    assert "no word means a purchase" in text


def test_one_word_of_many_kinds_of_things_is_no_deed(tmp_path: Path):
    kinds = [f"kind {letter}" for letter in "ABCDEFGHIJKLMNOP"] + ["Basket"]
    rows = [{"product_type" if name == "event_name" else name: value for name, value in row.items()} | {"qty": "2"}
            for row in _deeds(kinds)]  # fmt: skip
    assert _draft(tmp_path, rows)[1]["events"]["columns"]["event_type"] == "'purchase'"


def test_what_is_fulfilled_counts_once_beside_what_was_ordered(tmp_path: Path):
    _, mapping = _draft(tmp_path, _deeds(["Placed Order", "Fulfilled Order", "Viewed Product"]))
    assert mapping["events"]["event_types"] == {
        "Fulfilled Order": "leave_out", "Placed Order": "purchase", "Viewed Product": "view"}  # fmt: skip


def test_names_of_other_languages_and_systems_become_plain_english():
    plain = {"Número do Pedido": "order_number", "No. Pesanan": "order_no", "注文番号": "order_number", "Дата": "date",
             "商品ID": "product_id", "Код номенклатуры": "product_code", "VBELN": "order_number", "Größe": "groesse",
             "SALESORDERSTATUS": "sales_order_status", "customer_id:token": "customer_id", "Product(s)": "products",
             "Nome do comprador": "buyer_name", "Member Número": "member_number",
             "Date of birth": "date_birth"}  # fmt: skip
    assert {name: plain_name(name) for name in plain} == plain


@pytest.mark.parametrize(("role", "better", "worse"), [
    ("event_time", "collector_tstamp", "etl_tstamp"), ("event_time", "created_at", "updated_at"),
    ("event_time", "ORDERCREATIONDATETIME", "REQUESTEDSHIPPINGDATE"), ("session_id", "domain_sessionid", "sessionidx"),
    ("user_id", "distinct_id", "$device_id"), ("item_id", "ti_sku", "items"),
    ("unit_price", "final_unit_price", "original_unit_price"),
])  # fmt: skip
def test_of_columns_named_about_as_well_the_telling_one_is_taken(tmp_path: Path, role: str, better: str, worse: str):
    values = {"event_time": lambda n: _DAYS[n % 28], "unit_price": lambda n: f"{n % 6}.5"}
    value = values.get(role, lambda n: str(n % 7))
    others = {"user_id": "u1", "product_id": "p1", "event_time": _DAYS[0], "session_id": "s", "unit_price": "1.5"}
    named = {"item_id": "product_id"}.get(role, role)
    rest = {name: filler for name, filler in others.items() if name != named and name != role}
    rows = [{**rest, worse: str(n % 3), better: value(n)} if role == "item_id" else
            {**rest, worse: value(n + 1), better: value(n)} for n in range(60)]  # fmt: skip
    assert _draft(tmp_path, rows)[1]["events"]["columns"][role] == better


def test_a_day_goes_behind_a_clock_and_an_empty_column_behind_all(tmp_path: Path):
    rows = [{"user_id": f"u{n % 9}", "customer_id": "", "video_id": str(n % 7), "date": "20260105",
             "time_ms": str(1_767_600_000_000 + n * 7_000_000)} for n in range(60)]  # fmt: skip
    columns = _draft(tmp_path, rows)[1]["events"]["columns"]
    assert (columns["user_id"], columns["event_time"]) == ("user_id", "time_ms")


def test_things_sold_are_a_quantity_and_sales_in_a_currency_are_amounts(tmp_path: Path):
    rows = [{"Member No": f"m{n % 9}", "Item Number": str(n % 7), "Date": _DAYS[n % 28], "Bottles Sold": str(n % 5 + 2),
             "Sale (Dollars)": f"{n}.50", "Card Brand": "Visa"} for n in range(60)]  # fmt: skip
    columns = _draft(tmp_path, rows)[1]["events"]["columns"]
    assert columns["user_id"] == "Member No"
    assert columns["quantity"] == 'nullif("Bottles Sold", 0)'
    assert columns["unit_price"] == '"Sale (Dollars)" / nullif("Bottles Sold", 0)'


def test_a_file_of_users_items_and_amounts_is_of_purchases(tmp_path: Path):
    rows = [{"User_ID": str(n % 9), "Product_ID": str(n % 7), "Purchase": str(1000 + n)} for n in range(60)]
    columns = _draft(tmp_path, rows)[1]["events"]["columns"]
    assert (columns["event_type"], columns["unit_price"]) == ("'purchase'", "Purchase")


def test_columns_that_tell_of_persons_by_name_or_by_their_values_are_private(tmp_path: Path):
    told = {"Buyer Name": "Anna", "Ship To Name": "Anna", "Ship Zipcode": "1010", "Buyer City": "Graz",
            "Alamat": "Jl. 1", "Nome do comprador": "Ana", "CPF / CNPJ": "1", "注文者姓": "x", "ИНН": "77",
            "PAN Suffix": "22", "password": "x", "note": "anna@mail.example", "reach": "+43 1 5550100",
            "seen from": "81.2.186.7",
            "name": "Anna"}  # fmt: skip
    rows = [{"user_id": f"u{n % 9}", "product_id": f"p{n % 7}", "Date": _DAYS[n % 28], "shipping_method_name": "DHL",
             **told} for n in range(28)]  # fmt: skip
    rows = [{**row, "name": f"Anna {row['user_id']}"} for row in rows]
    text, mapping = _draft(tmp_path, rows)
    assert set(mapping["private"]) == set(told)
    assert "title" not in text
