"""What a draft makes of columns, files and cells as strangers' shops have them: general rules, tiny files."""

from pathlib import Path

from flows.rehearsal import next_steps
from flows.settings import Settings
from tests.flows.drafted_folder import DAYS, draft_folder, rehearse_draft, write_rows


def test_an_id_of_nineteen_digits_is_an_id_and_no_time(tmp_path: Path):
    rows = [{"event_time": day, "order_id": f"22943599320545{place:05}", "product_id": "1515966223509088671",
             "user_id": f"15159156254400{place:05}", "price": "1.5"} for place, day in enumerate(DAYS)]  # fmt: skip
    write_rows(tmp_path / "kz.csv", rows)
    columns = draft_folder(tmp_path)[1]["events"]["columns"]
    assert (columns["user_id"], columns["item_id"], columns["basket_id"]) == ("user_id", "product_id", "order_id")


def test_a_type_behind_a_columns_name_is_none_of_it(settings: Settings, tmp_path: Path):
    (tmp_path / "ml.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n7\t9\t3\t881250949\n"
    )
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["columns"]["user_id"] == "user_id:token"
    assert rehearse_draft(settings, tmp_path, text)["events"].pairs[0].after["item_id"] == "9"


def test_events_name_items_by_the_column_that_the_catalogue_has(tmp_path: Path):
    rows = [{"user_id": "u", "asin": f"B{number}", "parent_asin": f"P{number // 2}", "timestamp": day}
            for number, day in enumerate(DAYS)]  # fmt: skip
    write_rows(tmp_path / "reviews.csv", rows)
    write_rows(
        tmp_path / "meta.csv", [{"parent_asin": f"P{number}", "title": f"Tea no {number}"} for number in range(14)]
    )
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["columns"]["item_id"] == "parent_asin"
    assert "it has the items of parent_asin in the items' file; could also be asin" in text


def test_an_id_that_differs_in_each_row_names_the_line_and_not_the_item(tmp_path: Path):
    rows = [
        {"item_id": str(n), "sku": f"tea-{n % 9}", "Customer ID": str(n % 7), "created_at": DAYS[n % 28]}
        for n in range(60)
    ]
    write_rows(tmp_path / "lines.csv", rows)
    assert draft_folder(tmp_path)[1]["events"]["columns"]["item_id"] == "sku"


def test_files_are_told_by_their_names_and_by_having_a_row_a_thing(tmp_path: Path):
    write_rows(tmp_path / "order_items.csv", [
        {"id": str(n), "order_id": str(n), "user_id": str(n % 9), "product_id": str(n % 14), "created_at": DAYS[n]}
        for n in range(28)
    ])  # fmt: skip
    write_rows(tmp_path / "inventory_items.csv", [
        {"id": str(n), "product_id": str(n % 14), "product_name": "Tea pot", "product_brand": "A", "category": "B"}
        for n in range(28)
    ])  # fmt: skip
    write_rows(tmp_path / "products.csv", [{"id": str(n), "name": f"Tea pot {n}", "brand": "A"} for n in range(14)])
    write_rows(tmp_path / "users.csv", [
        {"id": str(n), "email": f"a{n}@example.com", "state": "BE", "created_at": DAYS[0]} for n in range(9)
    ])  # fmt: skip
    mapping = draft_folder(tmp_path)[1]
    assert mapping["items"]["files"] == "products.csv"
    assert (mapping["users"]["files"], mapping["users"]["columns"]["user_id"]) == ("users.csv", "id")


def test_files_without_headers_are_told_by_their_names(tmp_path: Path):
    (tmp_path / "ratings.dat").write_text("1::7::5::978300760\n2::8::4::978302109\n1::8::4::978302110\n")
    (tmp_path / "movies.dat").write_text("7::Toy Story::Comedy\n8::Jumanji::Drama\n")
    (tmp_path / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::70072\n")
    mapping = draft_folder(tmp_path)[1]
    assert (mapping["items"]["files"], mapping["items"]["columns"]["title"]) == ("movies.dat", "column2")
    assert (mapping["users"]["files"], mapping["users"]["columns"]["user_id"]) == ("users.dat", "column1")
    assert (mapping["delimiter"], "delimiter" in mapping["events"]) == ("::", False)


def test_a_header_stays_one_where_its_lines_have_lists_cut_by_another_sign(tmp_path: Path):
    write_rows(tmp_path / "views.csv", [{"userId": "1", "itemId": "5", "eventdate": "2026-01-02"}])
    (tmp_path / "products.csv").write_text("itemId;pricelog2;name.tokens\n" + "5;3;7917,9419,3327,5873\n" * 9)
    products = draft_folder(tmp_path)[1]
    assert "skip" not in str(products)
    assert 'qualify row_number() over (partition by "itemId")' in products["items"]["from"]


def test_a_file_that_says_not_what_was_done_is_left_where_others_say_it(tmp_path: Path):
    row = {"sessionId": "1", "userId": "NA", "itemId": "5", "eventdate": "2026-01-02"}
    write_rows(tmp_path / "train-views.csv", [row])
    write_rows(tmp_path / "train-purchases.csv", [row | {"ordernumber": "3"}])
    write_rows(
        tmp_path / "train-queries.csv",
        [{"userId": "NA", "sessionId": "1", "items": "5,6,7", "eventdate": "2026-01-02"}],
    )
    text, mapping = draft_folder(tmp_path)
    assert [section["files"] for section in mapping["events"]] == ["train-purchases.csv", "train-views.csv"]
    assert "# Not used: train-queries.csv: its rows do not say what was done" in text
    assert mapping["nulls"] == ["", "NA"]


def test_a_cell_with_several_things_and_how_many_of_each_becomes_lines(settings: Settings, tmp_path: Path):
    rows = [{"Date": DAYS[number], "Order #": str(number), "Customer": "Ann", "Product(s)": "2× Red Mug, 1× Tea"}
            for number in range(9)]  # fmt: skip
    write_rows(tmp_path / "report.csv", rows)
    events = rehearse_draft(settings, tmp_path, draft_folder(tmp_path)[0])["events"]
    assert (events.rows, events.rows_held) == (18, 0)
    assert {(pair.after["item_id"], pair.after["quantity"]) for pair in events.pairs} == {
        ("Red Mug", 2.0),
        ("Tea", 1.0),
    }


def test_a_day_without_a_year_is_read_and_the_year_is_asked_for(settings: Settings, tmp_path: Path):
    rows = [{"user_id": "1", "item_id": str(day), "time_stamp": day, "action": "buy"} for day in ("511", "1111")]
    write_rows(tmp_path / "log.csv", rows)
    text, _ = draft_folder(tmp_path)
    assert "month and day without a year: write the true year instead of 2000" in text
    moments = {
        pair.after["event_time"].strftime("%m-%d") for pair in rehearse_draft(settings, tmp_path, text)["events"].pairs
    }
    assert moments == {"05-11", "11-11"}


def test_a_time_that_no_format_reads_is_shown_with_the_lines_to_write(tmp_path: Path):
    write_rows(tmp_path / "log.csv", [{"user_id": "1", "item_id": "2", "created_at": "the 3rd of May, 2026"}])
    text, _ = draft_folder(tmp_path)
    assert (
        "# MISSING: created_at ('the 3rd of May, 2026') is named like a time but written in no way that is known"
        in text
    )
    assert 'write event_time = "created_at" here and time_format =' in text


def test_where_a_user_lacks_another_id_stands_in_or_the_row_is_left_out(tmp_path: Path):
    row = {"customer_id": "1", "customer_email": "a@b.c", "sku": "x", "date": DAYS[0]}
    write_rows(tmp_path / "a" / "log.csv", [row, row | {"customer_id": ""}])
    assert (
        draft_folder(tmp_path / "a")[1]["events"]["columns"]["user_id"] == 'coalesce("customer_id", "customer_email")'
    )
    bare = {"customer_id": "1", "sku": "x", "date": DAYS[0]}
    write_rows(tmp_path / "b" / "log.csv", [bare, bare | {"customer_id": ""}])
    assert draft_folder(tmp_path / "b")[1]["events"]["where"] == '"customer_id" is not null'


def test_where_nothing_names_items_their_kinds_stand_in(tmp_path: Path):
    rows = [{"invoice_no": str(place), "customer_id": "7", "category": kind, "invoice_date": "5/8/2022"}
            for place, kind in enumerate(("Shoes", "Books", "Toys"))]  # fmt: skip
    write_rows(tmp_path / "sales.csv", rows)
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["columns"]["item_id"] == "category"
    assert "# unsure: no column names items; category is the nearest" in text


def test_items_that_the_catalogues_file_lacks_are_made_of_the_events(settings: Settings, tmp_path: Path):
    rows = [
        {"user_id": "1", "sku_id": str(number), "time": DAYS[number], "brand": f"of {number}", "price": "2"}
        for number in range(20)
    ]
    write_rows(tmp_path / "actions.csv", rows)
    write_rows(tmp_path / "products.csv", [{"sku_id": str(number), "brand": "known"} for number in range(10)])
    text, mapping = draft_folder(tmp_path)
    assert [section.get("from_events", False) for section in mapping["items"]] == [False, True]
    tables = rehearse_draft(settings, tmp_path, text)
    assert (tables["items"].rows, tables["items"].rows_held, tables["events"].rows_held) == (20, 0, 0)
    brands = {pair.after["item_id"]: pair.after["brand"] for pair in tables["items"].pairs}
    assert "known" in brands.values()
    assert all((brand == "known") == (int(item) < 10) for item, brand in brands.items())


def test_a_rehearsal_of_a_table_that_would_be_refused_shows_the_rows_that_it_is_refused_for(
    settings: Settings, tmp_path: Path
):
    write_rows(
        tmp_path / "actions.csv", [{"user": "1", "sku": str(number), "time": DAYS[number]} for number in range(28)]
    )
    write_rows(tmp_path / "products.csv", [{"sku": "1", "name": "Tea"}])
    text = """source = "shop"\nchannel = "web"\n[events]\nfiles = "actions.csv"\n[events.columns]\nevent_time = "time"
user_id = "user"\nitem_id = "sku"\nevent_type = "'view'"\n[items]\nfiles = "products.csv"\n[items.columns]
item_id = "sku"\ntitle = "name"\n"""
    tables = rehearse_draft(settings, tmp_path, text)
    assert [(rule, count) for rule, count, _ in tables["events"].held] == [("item_id_known", 27)]
    assert any("[[items]] from_events = true" in step for step in next_steps(tuple(tables.values()), "shop.toml"))


def test_numbers_that_a_large_platform_gives_to_deeds_are_read_as_it_means_them(tmp_path: Path):
    write_rows(tmp_path / "log.csv", [
        {"user_id": str(n), "item_id": "7", "action_type": kind, "date": "2026-01-02"} for n, kind in enumerate("0002")
    ])  # fmt: skip
    text, mapping = draft_folder(tmp_path)
    assert "# event_types: unsure: numbers say what was done: 0 (75%), 2 (25%); read as Tmall numbers it" in text
    assert mapping["events"]["event_types"] == {"0": "view", "1": "add_to_cart", "2": "purchase", "3": "like"}
