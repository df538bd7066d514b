"""Drafts of exports as warehouses and interfaces write them: stars of tables, workbooks of sheets, objects in rows."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook

from flows.settings import Settings
from flows.sources.mapping_keys import ExportRejected
from tests.flows.drafted_folder import DAYS, draft_folder, rehearse_draft, write_rows
from tests.flows.test_nested_lists import rows_of
from tests.flows.tiny_shop import write_jsonl


def test_a_name_that_two_tables_have_is_told_apart_where_they_are_joined(settings: Settings, tmp_path: Path):
    lines = [{"LineId": str(n), "InvoiceId": str(n // 2), "TrackId": str(n % 9), "Quantity": "1"} for n in range(56)]
    write_rows(tmp_path / "InvoiceLine.csv", lines)
    write_rows(
        tmp_path / "Invoice.csv",
        [{"InvoiceId": str(n), "CustomerId": str(n % 5), "InvoiceDate": DAYS[n]} for n in range(28)],
    )
    write_rows(tmp_path / "Track.csv", [
        {"TrackId": str(n), "Name": f"Song {n}", "GenreId": str(n % 3), "AlbumId": str(n % 4)} for n in range(9)
    ])  # fmt: skip
    write_rows(tmp_path / "Album.csv", [{"AlbumId": str(n), "Label": f"A{n}"} for n in range(4)])
    write_rows(tmp_path / "Genre.csv", [{"GenreId": str(n), "Name": ["Rock", "Jazz", "Folk"][n]} for n in range(3)])
    text, mapping = draft_folder(tmp_path)
    assert 'rename ("Name" as "Genre Name")' in mapping["items"]["from"]
    assert "AlbumId" not in mapping["items"]["from"]
    assert "# Not used: Album.csv: nothing of it is used beside AlbumId." in text
    items = rehearse_draft(settings, tmp_path, text)["items"]
    assert {(pair.after["title"][:5], pair.after["category"]) for pair in items.pairs} == {
        ("Song ", "Rock"), ("Song ", "Jazz"), ("Song ", "Folk")
    }  # fmt: skip


def test_facts_find_their_day_in_the_table_of_days(settings: Settings, tmp_path: Path):
    write_rows(tmp_path / "sales_fact.csv", [
        {"product_id": str(n % 9), "time_id": str(367 + n % 28), "customer_id": str(n % 5), "unit_sales": "2",
         "store_sales": "3.00"} for n in range(60)
    ])  # fmt: skip
    write_rows(tmp_path / "time_by_day.csv", [
        {"time_id": str(367 + n), "the_date": day[:10], "the_month": "January"} for n, day in enumerate(DAYS)
    ])  # fmt: skip
    write_rows(tmp_path / "product.csv", [{"product_id": str(n), "product_name": f"Tea no {n}"} for n in range(9)])
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["from"] == 'lines left join orders using ("time_id")'
    events = rehearse_draft(settings, tmp_path, text)["events"]
    assert (events.rows, events.held) == (60, ())
    first = events.pairs[0].after
    assert (str(first["event_time"])[:10], first["unit_price"]) == ("2026-01-01", 1.5)
    assert "basket_id" not in mapping["events"]["columns"]


def test_the_day_on_which_a_thing_came_into_the_catalogue_is_not_that_of_a_deed(tmp_path: Path):
    rows = [{"user_id": str(n % 5), "item_id": str(n % 28), "quantity": "1"} for n in range(60)]
    write_rows(tmp_path / "sales.csv", rows)
    write_rows(
        tmp_path / "items.csv", [{"item_id": str(n), "title": "Tea", "added": day[:10]} for n, day in enumerate(DAYS)]
    )
    mapping = draft_folder(tmp_path)[1]
    assert mapping["events"]["columns"]["event_time"].startswith("after('2026-01-01', days := hash(")
    assert mapping["items"]["files"] == "items.csv"


def test_a_day_in_three_columns_is_put_together(settings: Settings, tmp_path: Path):
    write_rows(tmp_path / "clicks.csv", [
        {"year": "2008", "month": "4", "day": str(1 + n % 28), "session_id": f"s{n % 9}", "product_id": f"p{n % 9}",
         "quantity": "3"} for n in range(40)
    ])  # fmt: skip
    events = rehearse_draft(settings, tmp_path, draft_folder(tmp_path)[0])["events"]
    assert (events.held, str(events.pairs[0].after["event_time"])[:10]) == ((), "2008-04-01")


def test_the_number_of_a_deeds_own_row_is_no_item(tmp_path: Path):
    write_rows(tmp_path / "events.csv", [
        {"id": str(n), "user_id": str(n % 7), "created_at": DAYS[n % 28], "event_type": "purchase"} for n in range(60)
    ])  # fmt: skip
    write_rows(tmp_path / "stock.csv", [{"id": str(n), "label": f"Tea no {n}"} for n in range(90)])
    assert draft_folder(tmp_path)[1]["events"]["columns"]["item_id"] == "null::varchar"


def test_an_object_with_the_customer_within_each_order_names_the_user(settings: Settings, tmp_path: Path):
    orders = [
        {"id": 500 + n, "created_at": f"2026-01-{1 + n:02}T10:00:00-05:00",
         "customer": {"id": n % 5, "email": "a@b.example"},
         "line_items": [{"id": 9 * n, "product_id": n % 9, "quantity": 1, "price": "2.50"},
                        {"id": 9 * n + 1, "product_id": 3}]}
        for n in range(28)
    ]  # fmt: skip
    write_jsonl(tmp_path / "orders.jsonl", orders)
    shelf = [
        {"id": n, "title": f"Tea no {n}", "price": {"amount": 2.5}, "category": {"l1": "Home", "l2": "Tea"}}
        for n in range(9)
    ]
    write_jsonl(tmp_path / "products.jsonl", shelf)
    text, mapping = draft_folder(tmp_path)
    assert (mapping["events"]["unnest"], mapping["events"]["objects"]) == ("line_items", ["customer"])
    assert mapping["events"]["columns"]["user_id"] == "customer_id"
    assert mapping["events"]["columns"]["basket_id"] == "id"
    assert mapping["private"] == ["customer_email"]
    tables = rehearse_draft(settings, tmp_path, text)
    assert (tables["events"].rows, tables["events"].held) == (56, ())
    item = tables["items"].pairs[0].after
    assert (item["price"], item["category"]) == (2.5, "Home > Tea")


def test_objects_of_parquet_are_opened_one_after_the_other_and_one_that_is_not_there_is_told(tmp_path: Path):
    file = tmp_path / "orders.parquet"
    pq.write_table(pa.table({"n": [1, 2], "who": [{"id": "u", "at": {"city": "Graz"}}, None]}), file)
    found = rows_of(tmp_path, file, objects=["who", "who_at"])
    assert [(row["n"], row["who_id"], row["who_at_city"]) for row in found] == [(1, "u", "Graz"), (2, None, None)]
    with pytest.raises(ExportRejected, match=r"lacks the column 'whom', which the mapping names in objects"):
        rows_of(tmp_path, file, objects=["whom"])


def _workbook(file: Path) -> None:
    book = Workbook()
    orders = book.active
    assert orders is not None
    orders.title = "Orders"
    orders.append(["Order ID", "Date Added", "Customer ID", "Model", "Quantity"])
    for n in range(28):
        orders.append([n, DAYS[n], f"c{n % 5}", f"M{n % 12}", 1])
    shelf = book.create_sheet("Products")
    shelf.append(["Model", "Product Name", "Price"])
    for n in range(12):
        shelf.append([f"M{n}", f"Tea no {n}", 2.5])
    book.save(file)


def test_each_sheet_of_a_workbook_is_a_file_where_their_columns_differ(settings: Settings, tmp_path: Path):
    _workbook(tmp_path / "export.xlsx")
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["files"] == "export.xlsx/Orders"
    assert mapping["items"]["files"] == "export.xlsx/Products"
    tables = rehearse_draft(settings, tmp_path, text)
    assert (tables["events"].rows, tables["events"].held, tables["items"].rows) == (28, (), 12)


def test_sheets_that_differ_and_a_sheet_that_is_not_there_are_told(tmp_path: Path):
    _workbook(tmp_path / "export.xlsx")
    with pytest.raises(ExportRejected, match=r'files = "export\.xlsx/Orders", one a section'):
        rows_of(tmp_path, tmp_path / "export.xlsx")
    with pytest.raises(ExportRejected, match=r"expected a sheet 'Order', but the workbook has Orders, Products"):
        rows_of(tmp_path, tmp_path / "export.xlsx" / "Order")


def test_traits_and_the_quarantine_keep_no_name_mail_or_second_line_of_an_address(tmp_path: Path):
    write_rows(tmp_path / "orders.csv", [
        {"order_id": str(n), "order_date": DAYS[n], "customer_id": str(n % 5), "product_id": f"p{n % 9}"}
        for n in range(28)
    ])  # fmt: skip
    write_rows(tmp_path / "customers.csv", [
        {"customer_id": str(n), "lname": "Nowmer", "address1": "2433 Bailey", "Email": "a@b.example", "fax": "1",
         "city": "Wien"}
        for n in range(5)
    ])  # fmt: skip
    mapping = draft_folder(tmp_path)[1]
    assert mapping["users"]["traits"] == ["city"]
    assert mapping["private"] == ["lname", "address1", "Email", "fax"]
