"""What a draft makes of names: the id before what it is of, abbreviations, and words of more languages."""

import csv
import tomllib
from pathlib import Path
from typing import Any

import pytest

from flows.sources.column_names import plain_name
from flows.sources.drafting import draft_source

_DAYS = [f"2026-01-{day:02} 10:00:00" for day in range(1, 29)] * 4


def _write(folder: Path, file: str, rows: list[dict[str, object]]) -> str:
    with (folder / file).open("w", newline="") as text:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(folder / file)


def _draft(folder: Path, **files: list[dict[str, object]]) -> dict[str, Any]:
    paths = [_write(folder, f"{name}.csv", rows) for name, rows in files.items()]
    return tomllib.loads(draft_source(paths, "shop", folder).text)


def _lines(*names: str, **more: object) -> list[dict[str, object]]:
    """Lines of orders under these names for time, order, user, item and quantity, and columns of one value."""
    return [
        dict(zip(names, (day, f"o{n // 2}", f"c{n % 13}", f"p{n % 17}", n % 3 + 1), strict=True)) | more
        for n, day in enumerate(_DAYS)
    ]


@pytest.mark.parametrize(("name", "plain"), [
    ("clienteId", "customer_id"), ("produtoId", "product_id"), ("Número de Cliente", "customer_number"),
    ("id_barang", "item_id"), ("descricao_produto", "product_description"), ("situacao", "status"),
    ("Titre Ligne de commande", "order_line_title"), ("Prénom livraison", "delivery_firstname"),
    ("商品コード", "product_code"), ("お名前", "customer_name"), ("订单编号", "order_number"),
    ("商品名称", "product_name"), ("会员编号", "member_number"), ("訂單編號", "order_number"),
    ("구매자 휴대폰", "buyer_phone"),
    ("상품코드", "product_code"), ("Sipariş Numarası", "order_number"), ("Ürün Adı", "product_name"),
    ("Birim Fiyatı", "unit_price"), ("Kod produktu", "product_code"), ("Тип документа", "document_type"),
    ("Кол-во", "quantity"), ("Price (INR)", "price"), ("Subtotal (inc tax)", "subtotal"),
    ("Email (Billing)", "email_billing"), ("Keeping Unit (SKU)", "keeping_unit_sku"),
    ("주문번호", "order_number"), ("회원번호", "member_number"),
])  # fmt: skip
def test_names_of_more_languages_are_read(name: str, plain: str):
    assert plain_name(name) == plain


@pytest.mark.parametrize("names", [
    ("tanggal", "id_invoice", "id_customer", "id_barang", "jumlah_barang"),
    ("dataPedido", "pedidoId", "clienteId", "produtoId", "quantidade"),
    ("注文日時", "注文コード", "会員番号", "商品コード", "数量"),
    ("주문일시", "주문번호", "회원번호", "상품코드", "수량"),
    ("DATE", "TXN_ID", "LYLTY_CARD_NBR", "PROD_NBR", "PROD_QTY"),
])  # fmt: skip
def test_users_items_and_baskets_are_found_by_their_ids(tmp_path: Path, names: tuple[str, ...]):
    columns = _draft(tmp_path, lines=_lines(*names))["events"]["columns"]
    time, basket, user, item, quantity = names
    assert (columns["event_time"], columns["user_id"], columns["item_id"]) == (time, user, item)
    assert columns["basket_id"] == basket
    assert f'"{quantity}"' in columns["quantity"]


def test_how_many_items_an_order_has_names_none(tmp_path: Path):
    lines = [
        line | {"num_of_item": n % 3 + 1} for n, line in enumerate(_lines("date", "order_id", "user_id", "sku", "qty"))
    ]
    assert _draft(tmp_path, lines=lines)["events"]["columns"]["item_id"] == "sku"
    orders = [{key: line[key] for key in ("date", "order_id", "user_id", "num_of_item")} for line in lines]
    assert "num_of_item" not in str(_draft(tmp_path, orders=orders)["events"])


def test_the_catalogue_is_that_of_things_and_not_that_of_customers(tmp_path: Path):
    people = [{"id_customer": f"c{n}", "level": "gold", "nama": f"n{n}"} for n in range(13)]
    things = [{"kode_barang": f"p{n}", "nama_barang": f"thing {n}"} for n in range(17)]
    lines = _lines("tanggal", "id_invoice", "id_customer", "id_barang", "jumlah_barang")
    draft = _draft(tmp_path, lines=lines, pelanggan=people, barang=things)
    assert draft["items"]["files"] == "barang.csv"
    assert draft["users"]["files"] == "pelanggan.csv"


def test_a_price_of_one_goes_before_that_of_all(tmp_path: Path):
    lines = _lines("BelegDatum", "Belegnummer", "KundenNr", "ArtikelID", "BEAnzahl")
    for line in lines:
        line |= {"NettoPreisEinzel": 2.5, "NettoPreisGesamt": 2.5 * float(str(line["BEAnzahl"]))}
    columns = _draft(tmp_path, lines=lines)["events"]["columns"]
    assert columns["unit_price"] == "NettoPreisEinzel"
    assert '"BEAnzahl"' in columns["quantity"]


def test_documents_are_bought_or_come_back_by_their_type(tmp_path: Path):
    lines = _lines("BelegDatum", "Belegnummer", "KundenNr", "ArtikelID", "Menge")
    for n, line in enumerate(lines):
        line["DocumentType"] = "Gutschrift" if n % 9 == 0 else "Rechnung"
    assert _draft(tmp_path, lines=lines)["events"]["event_types"] == {"Gutschrift": "return", "Rechnung": "purchase"}


def test_an_invoice_that_is_paid_is_bought_once(tmp_path: Path):
    lines = _lines("date", "invoice_no", "customer_id", "product_id", "qty")
    for n, line in enumerate(lines):
        line["event_type"] = "Payment" if n % 2 else "Invoice"
    assert _draft(tmp_path, lines=lines)["events"]["event_types"] == {"Invoice": "purchase", "Payment": "leave_out"}


def test_what_waits_for_its_payment_is_not_bought_yet(tmp_path: Path):
    lines = _lines("dataPedido", "pedidoId", "clienteId", "produtoId", "quantidade")
    for n, line in enumerate(lines):
        line["status"] = "AGUARDANDO_PAGAMENTO" if n % 9 == 0 else "AGUARDANDO_ENVIO"
    events = _draft(tmp_path, lines=lines)["events"]
    assert events["columns"]["event_type"] == (
        "case when \"status\" in ('AGUARDANDO_PAGAMENTO') then 'offer' else 'purchase' end"
    )
    assert events["event_types"] == {"offer": "leave_out"}


def test_users_come_from_the_file_that_is_called_after_them(tmp_path: Path):
    targets = [{"customer_id": f"c{n}", "on_time": 90, "in_full": 80, "both": 70} for n in range(13)]
    people = [{"customer_id": f"c{n}", "city": "Graz"} for n in range(13)]
    lines = _lines("order_date", "order_id", "customer_id", "product_id", "qty")
    draft = _draft(tmp_path, lines=lines, dim_targets=targets, dim_customers=people)
    assert draft["users"]["files"] == "dim_customers.csv"


def test_names_streets_and_phones_of_buyers_are_private_in_more_languages(tmp_path: Path):
    theirs = {
        "Prénom livraison": "Zoé", "Nom facturation": "Petit", "Rue facturation": "Rue A", "documento": "1.2.3",
        "Contact_Number": "42 1", "apellidos": "Ruiz",
    }  # fmt: skip
    lines = _lines("order_date", "order_id", "customer_id", "product_id", "qty", **theirs)
    assert set(_draft(tmp_path, lines=lines)["private"]) == set(theirs)


def test_a_price_whose_name_says_line_goes_before_one_that_says_nothing(tmp_path: Path):
    lines = _lines("Date", "Numéro de commande", "customer_id", "Sku", "Quantité")
    lines = [line | {"Prix": 7 + n % 5, "Prix ligne de commande": 3 + n % 2} for n, line in enumerate(lines)]
    assert _draft(tmp_path, lines=lines)["events"]["columns"]["unit_price"] == "Prix ligne de commande"


def test_what_is_open_in_portuguese_is_not_bought_yet(tmp_path: Path):
    lines = _lines("dataPedido", "pedidoId", "clienteId", "produtoId", "quantidade")
    lines = [line | {"situacao": ("Em aberto", "Entregue", "ABERTO")[n % 3]} for n, line in enumerate(lines)]
    made = _draft(tmp_path, lines=lines)["events"]["columns"]["event_type"]
    assert made == "case when \"situacao\" in ('ABERTO', 'Em aberto') then 'offer' else 'purchase' end"


def test_the_detail_of_a_product_is_its_title(tmp_path: Path):
    lines = _lines("transaction_date", "transaction_id", "customer_id", "product_id", "qty")
    lines = [line | {"product_type": "Tea", "product_detail": f"Tea {line['product_id']}"} for line in lines]
    assert "product_detail" in str(_draft(tmp_path, lines=lines)["items"])


def test_a_person_is_a_user_and_a_salesperson_is_none(tmp_path: Path):
    lines = [line | {"salesperson_id": "s1"} for line in _lines("date", "order_id", "person", "sku", "qty")]
    assert _draft(tmp_path, lines=lines)["events"]["columns"]["user_id"] == "person"
