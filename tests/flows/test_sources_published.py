"""Drafts of exports in the forms in which data sets are published: bare columns, owners of things, odd names."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from flows.settings import Settings
from flows.sources.draft_length import MOST_LINES, lines_of, shortened
from flows.sources.event_words import likely_meant_by
from flows.sources.mapping_keys import ExportRejected
from tests.flows.drafted_folder import DAYS, draft_folder, rehearse_draft, write_rows


def _bare(folder: Path, file: str, rows: list[str]) -> dict[str, Any]:
    """The drafted events of a file of these lines, without a header."""
    (folder / file).write_text("\n".join(rows) + "\n")
    return dict(draft_folder(folder)[1]["events"])


def test_things_may_stand_before_people_whose_ids_say_so(tmp_path: Path):
    rows = [f"B00{n % 41:07},A3F{n % 37:011},{n % 5 + 1}.0,{1_400_000_000 + n * 90_000}" for n in range(300)]
    columns = _bare(tmp_path, "All_Tools.csv", rows)["columns"]
    assert (columns["item_id"], columns["user_id"], columns["event_type"]) == ("column1", "column2", "'review'")


def test_a_number_that_is_always_the_same_is_no_rating(tmp_path: Path):
    rows = [f"{n % 23}\tv{n % 41}\tcafe {n % 41}\t-240\t{DAYS[n % 28]}" for n in range(200)]
    assert _bare(tmp_path, "NYC_2012.txt", rows)["columns"]["event_type"] == "'view'"


def test_two_words_in_many_rows_are_kinds_of_rows_and_no_users(tmp_path: Path):
    rows = [f"{('Head', 'Line')[n % 2]}|{4_496_000 + n // 2}|{n % 29}|{n % 5}" for n in range(200)]
    assert _bare(tmp_path, "details.csv", rows)["columns"]["user_id"] != "column1"


def test_lines_that_nothing_cuts_are_told_to_be_no_events(tmp_path: Path):
    rows = [f" {n % 60:05} 1997{n % 12 + 1:02}{n % 28 + 1:02}  {n % 4}  {n % 40}.31" for n in range(120)]
    (tmp_path / "master.txt").write_text("\n".join(rows))
    with pytest.raises(ExportRejected, match="No file seems to tell what users did"):
        draft_folder(tmp_path)


def test_the_title_of_a_bare_catalogue_is_what_differs_most(settings: Settings, tmp_path: Path):
    (tmp_path / "shop_info.txt").write_text("".join(f"{n},Graz,8{n % 3},Cafe {n // 2}\n" for n in range(90)))
    rows = [f"{n % 31},{n % 90},{DAYS[n % 28]}" for n in range(200)]
    (tmp_path / "user_pay.txt").write_text("\n".join(rows) + "\n")
    text, mapping = draft_folder(tmp_path)
    assert mapping["items"]["columns"]["title"] == "column4"
    assert "unsure: the first column of words that differ" in text
    assert mapping["events"]["columns"]["event_type"] == "'purchase'"
    assert rehearse_draft(settings, tmp_path, text)["events"].rows_held == 0


def test_things_may_name_whose_they_are(tmp_path: Path):
    ads = [{"adgroup_id": n + 1, "campaign_id": n // 2, "customer": n // 3, "brand": f"b{n % 7}"} for n in range(60)]
    write_rows(tmp_path / "ad_feature.csv", ads)
    shown = [
        {"user": n % 23, "time_stamp": 1_494_000_000 + n, "adgroup_id": n % 60 + 1, "clk": n % 2} for n in range(300)
    ]
    write_rows(tmp_path / "raw_sample.csv", shown)
    mapping = draft_folder(tmp_path)[1]
    columns = mapping["events"]["columns"]
    assert (mapping["events"]["files"], mapping["items"]["files"]) == ("raw_sample.csv", "ad_feature.csv")
    assert (columns["user_id"], columns["item_id"]) == ("user", "adgroup_id")


def test_users_who_come_again_without_a_time_may_have_done_something(tmp_path: Path):
    write_rows(tmp_path / "artists.csv", [{"id": n + 51, "name": f"Band {n}"} for n in range(60)])
    write_rows(tmp_path / "plays.csv", [{"userID": n % 23, "artistID": n % 60 + 51, "weight": n} for n in range(300)])
    columns = draft_folder(tmp_path)[1]["events"]["columns"]
    assert (columns["user_id"], columns["item_id"]) == ("userID", "artistID")


def test_a_user_of_an_odd_name_is_found_by_the_file_of_people(tmp_path: Path):
    write_rows(tmp_path / "members.csv", [{"msno": f"m{n}=", "city": n % 3} for n in range(23)])
    heard = [{"msno": f"m{n % 23}=", "song_id": f"s{n % 41}", "source_screen_name": f"Tab {n % 2}"} for n in range(300)]
    write_rows(tmp_path / "train.csv", heard)
    assert draft_folder(tmp_path)[1]["events"]["columns"]["user_id"] == "msno"


@pytest.mark.parametrize("name", ["id", "uuid"])
def test_a_bare_id_that_comes_again_may_be_a_user(tmp_path: Path, name: str):
    rows = [{name: f"x{n % 23}", "category": n % 17, "brand": n % 11, "date": DAYS[n % 28], "purchaseamount": "2.5"}
            for n in range(300)]  # fmt: skip
    write_rows(tmp_path / "transactions.csv", rows)
    text, mapping = draft_folder(tmp_path)
    columns = mapping["events"]["columns"]
    assert (columns["user_id"], columns["item_id"]) == (name, """"category" || '-' || "brand\"""")
    assert "# unsure: no column is named as users are; it comes again and again" in text


def test_a_column_of_deeds_may_be_called_anything(tmp_path: Path):
    words = ("pv", "pv", "pv", "cart", "fav", "buy")
    rows = [
        {"user": n % 23, "time_stamp": 1_494_000_000 + n, "btag": words[n % 6], "item_id": n % 41} for n in range(300)
    ]
    write_rows(tmp_path / "log.csv", rows)
    events = draft_folder(tmp_path)[1]["events"]
    assert events["columns"]["event_type"] == "btag"
    assert events["event_types"] == {"buy": "purchase", "cart": "add_to_cart", "fav": "like", "pv": "view"}


@pytest.mark.parametrize(("column", "meant"), [("text", "review"), ("is_recommended", "review"), ("hours", "purchase")])
def test_what_was_said_is_a_review(tmp_path: Path, column: str, meant: str):
    rows = [{"user_id": n % 23, "item_id": n % 41, "date": DAYS[n % 28][:10], column: f"so {n}"} for n in range(100)]
    write_rows(tmp_path / "tips.csv", rows)
    assert draft_folder(tmp_path)[1]["events"]["columns"]["event_type"] == f"'{meant}'"


def test_reviews_are_no_sales_that_may_be_alike(tmp_path: Path):
    rows = [{"author_id": n % 23, "product_id": n % 41, "rating": n % 5 + 1, "submission_time": DAYS[n % 28],
             "price_usd": "9.5"} for n in range(100)]  # fmt: skip
    write_rows(tmp_path / "reviews_0-250.csv", rows)
    assert "duplicates" not in draft_folder(tmp_path)[1]["events"]


def test_an_id_of_lines_is_one_beside_rows_that_are_empty(tmp_path: Path):
    lines = [
        {"item_id": f"{n}.0", "sku": f"s{n % 41}", "Customer ID": n % 23, "created_at": DAYS[n % 28]}
        for n in range(100)
    ]
    write_rows(tmp_path / "lines.csv", [*lines, *[dict.fromkeys(lines[0], "")] * 9])
    assert draft_folder(tmp_path)[1]["events"]["columns"]["item_id"] == "sku"


def test_counted_days_have_a_clock_and_money_is_that_of_the_line(tmp_path: Path):
    rows = [{"upc": n % 41, "dollar_sales": n / 7, "units": n % 3 + 1, "time_of_transaction": f"{n % 24:02}05",
             "household": n % 23, "basket": n // 2, "day": n % 60 + 1} for n in range(100)]  # fmt: skip
    write_rows(tmp_path / "transactions.csv", rows)
    columns = draft_folder(tmp_path)[1]["events"]["columns"]
    assert columns["event_time"] == """after('2000-01-01', days := "day", clock := "time_of_transaction")"""
    assert columns["unit_price"] == '"dollar_sales" / nullif("units", 0)'


@pytest.mark.parametrize(("word", "meant"), [
    ("ITEM_DETAIL", "view"), ("product_page", "view"), ("clickout item", "view"), ("search for item", "search"),
    ("BOOKING", "purchase"), ("BOOKMARK", "like"), ("page", None), ("order_detail", None),
])  # fmt: skip
def test_words_for_deeds_of_media_and_travel_are_known(word: str, meant: str | None):
    assert likely_meant_by(word) == meant


def test_rows_in_which_nothing_stands_are_no_deeds_of_guests(settings: Settings, tmp_path: Path):
    lines = [{"order_id": n // 2, "sku": f"s{n % 41}", "Customer ID": n % 23, "at": DAYS[n % 28]} for n in range(100)]
    write_rows(tmp_path / "lines.csv", [*lines, *[dict.fromkeys(lines[0], "")] * 9])
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["columns"]["user_id"] == "Customer ID"
    assert "9 rows of the sample are empty" in text
    events = rehearse_draft(settings, tmp_path, text)["events"]
    assert (events.rows, events.left_out, events.rows_held) == (100, 9, 0)


def test_lines_that_name_kinds_alone_are_joined_to_their_orders(settings: Settings, tmp_path: Path):
    write_rows(tmp_path / "List of Orders.csv", [
        {"Order ID": f"B-{n}", "Order Date": DAYS[n % 28], "CustomerName": f"c{n % 9}"} for n in range(60)
    ])  # fmt: skip
    kinds = ("Stole", "Saree", "Chairs", "Phones")
    write_rows(tmp_path / "Order Details.csv", [
        {"Order ID": f"B-{n // 3}", "Amount": n + 5, "Quantity": n % 4 + 1, "Sub-Category": kinds[n % 4]}
        for n in range(180)
    ])  # fmt: skip
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["from"] == 'lines left join orders using ("Order ID")'
    assert mapping["events"]["columns"]["item_id"] == "Sub-Category"
    assert "# unsure: no column names items; Sub-Category is the nearest" in text
    assert rehearse_draft(settings, tmp_path, text)["events"].rows_held == 0


def test_a_draft_of_many_sections_has_the_last_ones_columns_in_one_line():
    column = [f'# sure: its name {n}\nc{n} = """a ||\' {n}\'"""' for n in range(9)]
    section = "\n".join(["[[events]]", 'files = "f"', "[events.columns]", *column, ""])
    text = "\n".join(['source = "s"', "", section, section, section, '[items]\nfiles = "i"', ""])
    short = shortened(text)
    assert lines_of(short) <= MOST_LINES < lines_of(text)
    assert "# sure: c3: its name 3" in short
    every = tomllib.loads(text)["events"]
    assert tomllib.loads(short)["events"] == every
