"""What files of an export say of each other, and what lies within their cells: drafts of shops in tiny files."""

import csv
import json
from pathlib import Path
from typing import Any

from flows.settings import Settings
from flows.sources.draft_files import glob_of
from tests.flows.drafted_folder import DAYS, draft_folder, rehearse_draft, write_rows
from tests.flows.tiny_shop import write_jsonl

Rows = list[dict[str, Any]]


def _views(count: int = 28) -> list[dict[str, str]]:
    return [{"user_id": f"u{n % 5}", "item_id": f"i{n % 9}", "date": DAYS[n % 28]} for n in range(count)]


def _columns(section: dict[str, Any], *names: str) -> tuple[str, ...]:
    return tuple(section["columns"][name] for name in names)


def test_each_file_of_one_deed_is_a_section_of_its_own_and_no_glob_takes_anothers_rows(
    settings: Settings, tmp_path: Path
):
    for name in ("train_sessions_1", "train_sessions_2", "train_purchases", "train_carts"):
        write_rows(tmp_path / f"{name}.csv", _views())
    text, mapping = draft_folder(tmp_path)
    told = {section["files"]: section["columns"]["event_type"] for section in mapping["events"]}
    assert told == {
        "train_carts.csv": "'add_to_cart'",
        "train_purchases.csv": "'purchase'",
        "train_sessions_*.csv": "'view'",
    }
    assert rehearse_draft(settings, tmp_path, text)["events"].rows == 4 * 28


def test_files_that_no_glob_names_alone_stand_for_themselves():
    every = ["/x/a-views.csv", "/x/a-sales.csv", "/x/b-views.csv"]
    assert glob_of(["/x/a-views.csv", "/x/b-views.csv"], every) == "/x/*-views.csv"
    assert glob_of(["/x/a-views.csv", "/x/a-sales.csv"], every) == "/x/a-*.csv"
    assert glob_of(["/x/a-views.csv", "/x/b-views.csv"], [*every, "/x/c-views.csv"]) is None


def test_where_no_name_speaks_of_items_the_column_with_another_files_keys_does(settings: Settings, tmp_path: Path):
    seen = [{"I_DATE": DAYS[n % 28], "VIEW_hash": f"c{n % 20:03}", "USER_ID_hash": f"u{n % 7}"} for n in range(60)]
    write_rows(tmp_path / "visit.csv", seen)
    write_rows(
        tmp_path / "list.csv", [{"CAPSULE": "Spa", "COUPON_hash": f"c{n:03}", "GENRE": "Spa"} for n in range(20)]
    )
    text, mapping = draft_folder(tmp_path)
    assert _columns(mapping["events"], "item_id", "user_id") == ("VIEW_hash", "USER_ID_hash")
    assert "its values are those of COUPON_hash in list.csv" in text
    assert mapping["items"]["columns"]["item_id"] == "COUPON_hash"
    assert rehearse_draft(settings, tmp_path, text)["events"].held == ()


def test_small_numbers_that_a_key_happens_to_have_name_no_item(tmp_path: Path):
    write_rows(
        tmp_path / "log.csv",
        [{"user_id": f"u{n % 7}", "when": DAYS[n % 28], "age": str(20 + n % 30)} for n in range(60)],
    )
    write_rows(tmp_path / "things.csv", [{"nr": str(n), "label": f"Tea no {n}"} for n in range(900)])
    assert draft_folder(tmp_path)[1]["events"]["columns"]["item_id"] == "null::varchar"


def test_kinds_of_kinds_are_joined_one_behind_the_other_and_what_has_times_and_amounts_is_not(
    settings: Settings, tmp_path: Path
):
    sales = [{"OrderDate": "1/2/2017", "OrderNumber": f"SO{n}", "ProductKey": str(n % 9), "CustomerKey": str(n % 5),
              "OrderQuantity": "1"} for n in range(30)]  # fmt: skip
    write_rows(tmp_path / "Sales.csv", sales)
    write_rows(tmp_path / "Products.csv", [
        {"ProductKey": str(n), "SubcategoryKey": str(n % 3), "ProductName": f"Tea {n}"} for n in range(9)
    ])  # fmt: skip
    write_rows(tmp_path / "Subcategories.csv", [
        {"SubcategoryKey": str(n), "SubcategoryName": ["Pots", "Cups", "Teas"][n], "CategoryKey": str(n % 2)}
        for n in range(3)
    ])  # fmt: skip
    write_rows(
        tmp_path / "Categories.csv", [{"CategoryKey": str(n), "CategoryName": ["Ware", "Food"][n]} for n in range(2)]
    )
    write_rows(
        tmp_path / "Returned.csv", [{"ReturnDate": "1/3/2017", "ProductKey": str(n), "Quantity": "1"} for n in range(4)]
    )
    text, mapping = draft_folder(tmp_path)
    assert {Path(each["files"]).name for each in mapping["inputs"].values()} == {
        "Products.csv", "Subcategories.csv", "Categories.csv"
    }  # fmt: skip
    items = rehearse_draft(settings, tmp_path, text)["items"]
    assert {pair.after["category"] for pair in items.pairs} == {"Ware > Pots", "Food > Cups", "Ware > Teas"}


def test_orders_without_a_header_are_told_by_how_often_their_ids_come(tmp_path: Path):
    with (tmp_path / "jewelry.csv").open("w", newline="") as text:
        for n in range(200):
            order, user = 1924719191579951782 + n - n % 4 // 3, 1515915625207851155 + n % 60
            item = 1842195256808833386 + n % 25
            csv.writer(text).writerow([f"{DAYS[n % 28]} UTC", order, item, 1 + n % 3, "ring", f"{n % 40}.56", user])
    events = draft_folder(tmp_path)[1]["events"]
    assert _columns(events, "basket_id", "item_id", "user_id") == ("column2", "column3", "column7")
    assert _columns(events, "event_type", "quantity", "unit_price") == ("'purchase'", 'nullif("column4", 0)', "column6")


def test_a_session_with_prices_behind_it_is_no_order_with_users(tmp_path: Path):
    with (tmp_path / "yoochoose-buys.dat").open("w", newline="") as text:
        for n in range(200):
            csv.writer(text).writerow([420374 + n, f"{DAYS[n % 28]}", 214537888 + n % 60, 1000 + n % 40, 1 + n % 3])
    events = draft_folder(tmp_path)[1]["events"]
    assert _columns(events, "user_id", "item_id") == ("column1", "column3")


def test_the_ending_of_a_files_name_tells_whose_rows_it_has(tmp_path: Path):
    (tmp_path / "u.data").write_text("".join(f"{n % 7}\t{n % 9}\t{1 + n % 5}\t{881250949 + n}\n" for n in range(60)))
    (tmp_path / "u.item").write_text("".join(f"{n}|Tea no {n}|01-Jan-1995||http://tea.example/{n}\n" for n in range(9)))
    (tmp_path / "u.user").write_text("".join(f"{n}|{20 + n}|F|writer|94043\n" for n in range(7)))
    mapping = draft_folder(tmp_path)[1]
    assert mapping["events"]["files"] == "u.data"
    assert (mapping["items"]["files"], mapping["items"]["columns"]["title"]) == ("u.item", "column2")
    assert (mapping["users"]["files"], mapping["users"]["columns"]["user_id"]) == ("u.user", "column1")


def _tracked(number: int, event: str, **properties: object) -> dict[str, object]:
    user = f"u{number % 5}" if number % 3 else None
    named = {"messageId": f"m{number}-{event}", "event": event, "userId": user, "anonymousId": f"a{number % 5}"}
    return {**named, "timestamp": f"2026-01-{1 + number % 28:02}T10:00:00.123Z", "properties": properties}


def test_what_lies_in_an_object_or_in_a_list_within_it_becomes_events(settings: Settings, tmp_path: Path):
    tea = [{"product_id": f"t{n}", "name": f"Tea no {n}", "price": 1.5} for n in range(9)]
    rows: Rows = [_tracked(n, "Product Viewed", **tea[n % 9], currency="EUR") for n in range(40)]
    rows += [_tracked(n, "Products Searched", query="green tea") for n in range(50)]
    rows += [{**_tracked(n, "", path="/home"), "event": None} for n in range(20)]
    rows += [
        _tracked(n, "Order Completed", order_id=f"o{n}", currency="USD", products=[
            {**tea[n % 9], "quantity": 2}, tea[(n + 1) % 9]
        ]) for n in range(30)
    ]  # fmt: skip
    write_jsonl(tmp_path / "segment.jsonl", rows)
    text, mapping = draft_folder(tmp_path)
    section = mapping["events"]
    assert section["unnest"] == ["properties.products", "properties"]
    assert section["event_id"] == ["messageId", "item_id"]
    assert section["where"] == (
        """"event" is not null and ("product_id" is not null or "event" in ('Products Searched'))"""
    )
    assert section["columns"]["user_id"] == 'coalesce("userId", "anonymousId")'
    assert section["columns"]["basket_id"] == "order_id"
    tables = rehearse_draft(settings, tmp_path, text)
    assert (tables["events"].rows, tables["events"].held, tables["items"].rows) == (40 + 50 + 60, (), 9)


def test_a_list_of_other_things_than_the_objects_own_is_a_section_of_its_own(tmp_path: Path):
    rows: Rows = [_tracked(n, "Product Viewed", sku=f"t{n % 9}", price=2) for n in range(40)]
    rows += [
        _tracked(n, "Order Completed", lines=[{"product_id": f"p{k}", "price": 3}]) for n in range(30) for k in (1, 2)
    ]
    write_jsonl(tmp_path / "tracked.jsonl", rows)
    assert [section["unnest"] for section in draft_folder(tmp_path)[1]["events"]] == ["properties", "properties.lines"]


def test_what_python_printed_into_a_cell_is_read_as_a_list(settings: Settings, tmp_path: Path):
    lines = [
        [{"product_id": n % 9, "quantity": 1, "title": f"It's tea {n % 9}"}, {"product_id": (n + 1) % 9}]
        for n in range(28)
    ]
    write_rows(tmp_path / "transactions.csv", [
        {"created_at": DAYS[n], "customer_id": str(n % 5), "product_metadata": str(each)}
        for n, each in enumerate(lines)
    ])  # fmt: skip
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["unnest"] == "product_metadata"
    events = rehearse_draft(settings, tmp_path, text)["events"]
    assert (events.rows, events.held) == (56, ())


def test_the_column_whose_words_tell_most_deeds_says_what_was_done(tmp_path: Path):
    deeds = ["detail", "add", "purchase", "remove"]
    write_rows(tmp_path / "browsing.csv", [
        {"session_id": f"s{n % 5}", "event_type": "pageview", "product_action": deeds[n % 4],
         "product_sku": f"p{n % 9}", "server_timestamp_epoch_ms": str(1550885210881 + n)} for n in range(40)
    ])  # fmt: skip
    events = draft_folder(tmp_path)[1]["events"]
    assert _columns(events, "event_type", "event_time") == ("product_action", "server_timestamp_epoch_ms")
    assert events["event_types"] == {"detail": "view", "add": "add_to_cart", "remove": "leave_out"}


def test_a_till_that_says_payment_and_refund_lands_both_and_each_line_counts(settings: Settings, tmp_path: Path):
    rows = [
        {"Date": "01/02/23", "Time": "10:00:00", "Item": f"Tea {n % 3}", "Qty": "1" if n % 9 else "-1",
         "Net Sales": "$1.50", "Transaction ID": f"T{n // 3}", "Event Type": "Payment" if n % 9 else "Refund",
         "Customer ID": f"C{n % 5}"}
        for n in range(40)
    ]  # fmt: skip
    write_rows(tmp_path / "items.csv", [*rows, rows[1]])
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["event_types"] == {"Payment": "purchase", "Refund": "return"}
    assert mapping["events"]["duplicates"] == "count"
    events = rehearse_draft(settings, tmp_path, text)["events"]
    assert (events.rows, events.held) == (41, ())


def test_a_time_as_python_and_ruby_print_it_is_read_and_one_that_often_lacks_is_not_taken(
    settings: Settings, tmp_path: Path
):
    write_jsonl(tmp_path / "reviews.jsonl", [
        {"user_id": f"u{n % 5}", "book_id": f"b{n % 9}", "rating": 4,
         "read_at": "" if n % 3 else "Fri Apr 01 11:22:26 -0700 2016",
         "date_added": f"Fri Apr {1 + n % 28:02} 11:22:26 -0700 2016"} for n in range(40)
    ])  # fmt: skip
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["columns"]["event_time"] == "date_added"
    first = rehearse_draft(settings, tmp_path, text)["events"].pairs[0].after
    assert str(first["event_time"]).startswith("2016-04-01 18:22:26")


def test_prices_of_the_catalogue_are_read_as_it_writes_them(settings: Settings, tmp_path: Path):
    write_rows(tmp_path / "bestellungen.csv", [
        {"Bestellnummer": f"SW{n}", "Bestelldatum": f"{1 + n % 28:02}.01.2026 10:00", "Kundennummer": str(n % 5),
         "Artikelnummer": f"A{n % 9}", "Menge": "1"} for n in range(40)
    ])  # fmt: skip
    write_rows(
        tmp_path / "artikel.csv", [{"Artikelnummer": f"A{n}", "Name": f"Tee {n}", "Preis": f"{n},95"} for n in range(9)]
    )
    items = rehearse_draft(settings, tmp_path, draft_folder(tmp_path)[0])["items"]
    assert (items.held, {pair.after["price"] for pair in items.pairs}) == ((), {n + 0.95 for n in range(9)})


def test_of_many_parts_with_one_header_only_the_first_are_looked_at(settings: Settings, tmp_path: Path):
    for week in range(12):
        write_rows(tmp_path / f"transactions_{week:02}.csv", [{**row, "quantity": "1"} for row in _views()])
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["files"] == "transactions_*.csv"
    assert rehearse_draft(settings, tmp_path, text)["events"].rows == 12 * 28


def test_the_mail_of_a_buyer_names_the_user_where_nothing_else_does(tmp_path: Path):
    write_rows(tmp_path / "all-orders.csv", [
        {"order-id": f"o{n}", "purchase-date": DAYS[n], "sku": f"s{n % 9}", "quantity": "1",
         "buyer-email": f"b{n % 5}@x.example"}
        for n in range(28)
    ])  # fmt: skip
    assert draft_folder(tmp_path)[1]["events"]["columns"]["user_id"] == "buyer-email"
    assert json.dumps(draft_folder(tmp_path)[1].get("private", [])) == "[]"
