"""Drafts of exports as databases of sample shops have them: keys named otherwise, tables between, lines numbered."""

from pathlib import Path

from flows.settings import Settings
from tests.flows.drafted_folder import DAYS, draft_folder, rehearse_draft, write_rows


def test_lines_find_their_order_where_each_calls_its_own_number_id(settings: Settings, tmp_path: Path):
    write_rows(tmp_path / "raw_orders.csv", [
        {"id": f"o{n}", "customer": f"u{n % 5}", "ordered_at": DAYS[n], "subtotal": "9"} for n in range(28)
    ])  # fmt: skip
    lines = [{"id": f"l{n}", "order_id": f"o{n // 2}", "sku": f"S{n % 9}"} for n in range(56)]
    write_rows(tmp_path / "raw_items.csv", lines)
    write_rows(tmp_path / "raw_products.csv", [{"sku": f"S{n}", "name": f"Tea no {n}", "price": "4"} for n in range(9)])
    text, mapping = draft_folder(tmp_path)
    assert 'rename ("id" as "order_id")' in mapping["events"]["from"]
    assert "unit_price" not in mapping["events"]["columns"]
    events = rehearse_draft(settings, tmp_path, text)["events"]
    assert (events.rows, events.held) == (56, ())
    assert {pair.after["item_id"] for pair in events.pairs} <= {f"S{n}" for n in range(9)}
    assert all(str(pair.after["event_time"]).startswith("2026-01-") for pair in events.pairs)


def test_what_was_taken_leads_over_its_copies_to_the_film(settings: Settings, tmp_path: Path):
    write_rows(tmp_path / "rental.csv", [
        {"rental_id": str(n), "rental_date": DAYS[n % 28], "inventory_id": str(1 + n % 40), "customer_id": str(n % 7),
         "last_update": DAYS[0]} for n in range(120)
    ])  # fmt: skip
    write_rows(tmp_path / "inventory.csv", [
        {"inventory_id": str(n), "film_id": str(1 + n // 4), "last_update": DAYS[0]} for n in range(1, 41)
    ])  # fmt: skip
    write_rows(tmp_path / "film.csv", [{"film_id": str(n), "title": f"The film no {n}"} for n in range(1, 12)])
    write_rows(tmp_path / "film_category.csv", [{"film_id": str(n), "category_id": str(n % 3)} for n in range(1, 12)])
    write_rows(
        tmp_path / "category.csv", [{"category_id": str(n), "name": ["Action", "Drama", "Music"][n]} for n in range(3)]
    )
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["from"].startswith("deeds left join (select")
    assert mapping["inputs"]["products"]["files"] == "film.csv"
    assert mapping["items"]["columns"]["category"] == "category name"
    assert mapping["events"]["event_id"] == ["rental_id"]
    events = rehearse_draft(settings, tmp_path, text)["events"]
    assert (events.rows, events.held) == (120, ())
    assert {pair.after["item_id"] for pair in events.pairs} <= {str(n) for n in range(1, 12)}


def test_the_number_of_a_line_within_its_order_is_no_item(settings: Settings, tmp_path: Path):
    write_rows(tmp_path / "orders.csv", [
        {"order_id": str(n), "customer_id": str(n % 5), "order_date": DAYS[n]} for n in range(28)
    ])  # fmt: skip
    write_rows(tmp_path / "order_items.csv", [
        {"order_id": str(n // 3), "item_id": str(1 + n % 3), "product_id": str(1 + n % 20), "quantity": "1"}
        for n in range(84)
    ])  # fmt: skip
    write_rows(tmp_path / "products.csv", [
        {"product_id": str(n), "product_name": f"Bike no {n}", "brand_id": str(n % 4)} for n in range(1, 21)
    ])  # fmt: skip
    write_rows(tmp_path / "brands.csv", [{"brand_id": str(n), "brand_name": f"Velo {n}"} for n in range(4)])
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["columns"]["item_id"] == "product_id"
    assert mapping["items"]["columns"]["brand"] == "brand_name"
    tables = rehearse_draft(settings, tmp_path, text)
    assert tables["events"].held == tables["items"].held == ()
    assert tables["items"].pairs[0].after["brand"].startswith("Velo ")


def test_orders_that_name_their_first_item_leave_the_word_to_their_lines(tmp_path: Path):
    write_rows(tmp_path / "orders.csv", [
        {"order_id": str(n), "created_at": DAYS[n], "user_id": str(n % 5), "primary_product_id": str(n % 4)}
        for n in range(28)
    ])  # fmt: skip
    write_rows(tmp_path / "order_items.csv", [
        {"order_item_id": str(n), "created_at": DAYS[n // 2], "order_id": str(n // 2), "product_id": str(n % 4)}
        for n in range(56)
    ])  # fmt: skip
    write_rows(tmp_path / "order_item_refunds.csv", [
        {"order_item_refund_id": str(n), "created_at": DAYS[n], "order_item_id": str(n), "order_id": str(n // 2)}
        for n in range(9)
    ])  # fmt: skip
    _, mapping = draft_folder(tmp_path)
    assert mapping["events"]["from"] == 'lines left join orders using ("order_id")'
    assert mapping["inputs"]["lines"]["files"] == "order_items.csv"
    assert mapping["events"]["columns"]["item_id"] == "product_id"


def test_a_trade_with_words_of_its_own_is_told_by_its_ids(settings: Settings, tmp_path: Path):
    write_rows(tmp_path / "tastings.csv", [
        {"winery_id": str(n % 12), "tasted": DAYS[n % 28], "vintage_id": str(n % 30), "nickname": f"n{n % 11}"}
        for n in range(120)
    ])  # fmt: skip
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["columns"]["item_id"] == "vintage_id"
    assert mapping["events"]["columns"]["user_id"] == "nickname"
    assert "no column is named as items are" in text
    assert rehearse_draft(settings, tmp_path, text)["events"].held == ()


def test_an_id_that_another_file_has_a_row_for_names_the_user(tmp_path: Path):
    write_rows(tmp_path / "purchases.csv", [
        {"Order Date": DAYS[n % 28], "ASIN": f"B{n % 20:03}", "Price Per Unit": "4.5", "ResponseID": f"R_{n % 15}"}
        for n in range(90)
    ])  # fmt: skip
    write_rows(tmp_path / "survey.csv", [{"ResponseID": f"R_{n}", "Q1": "35 - 44 years"} for n in range(15)])
    text, mapping = draft_folder(tmp_path)
    columns = mapping["events"]["columns"]
    assert (columns["user_id"], columns["item_id"], columns["event_time"]) == ("ResponseID", "ASIN", "Order Date")
    assert "unsure: survey.csv has a row for each of its values" in text


def test_words_made_of_a_deed_and_of_what_it_was_done_to_are_understood(tmp_path: Path):
    words = ("product_detail_viewed", "content:interact:product_clicked", "productWanted", "view_cart_failed")
    write_rows(tmp_path / "log.csv", [
        {"action": words[n % 4], "user": f"u{n % 9}", "item": f"i{n % 11}", "time": DAYS[n % 28]} for n in range(80)
    ])  # fmt: skip
    _, mapping = draft_folder(tmp_path)
    assert mapping["events"]["event_types"] == {
        "content:interact:product_clicked": "view",
        "product_detail_viewed": "view",
        "productWanted": "like",
        "view_cart_failed": "leave_out",
    }


def test_what_was_watched_was_not_bought(tmp_path: Path):
    write_rows(tmp_path / "seen.csv", [
        {"user_id": f"u{n % 9}", "item_id": f"i{n % 11}", "last_watch_dt": DAYS[n % 28][:10], "watched_pct": "80"}
        for n in range(80)
    ])  # fmt: skip
    _, mapping = draft_folder(tmp_path)
    assert mapping["events"]["columns"]["event_type"] == "'view'"


def test_what_a_thing_cost_the_shop_is_not_its_price(tmp_path: Path):
    write_rows(tmp_path / "sales.csv", [
        {"customer": f"u{n % 9}", "productCode": f"P{n % 11}", "sold_at": DAYS[n % 28]} for n in range(80)
    ])  # fmt: skip
    write_rows(tmp_path / "products.csv", [
        {"productCode": f"P{n}", "productName": f"Car no {n}", "productLine": "Old", "buyPrice": "4", "MSRP": "9",
         "productDescription": "It has wheels"} for n in range(11)
    ])  # fmt: skip
    _, mapping = draft_folder(tmp_path)
    columns = mapping["items"]["columns"]
    assert (columns["price"], columns["category"]) == ("MSRP", "productLine")
    assert columns["description"] == "productDescription"
