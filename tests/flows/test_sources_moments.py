"""Drafts of exports with several times, lists of users in a cell, days between orders, signs of two scripts."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.settings import Settings
from flows.sources.text_signs import encoding_of
from tests.flows.drafted_folder import DAYS, draft_folder, rehearse_draft, write_rows


def test_the_time_that_stands_with_the_user_is_that_of_the_deed(settings: Settings, tmp_path: Path):
    write_rows(tmp_path / "reviews.csv", [
        {"id": f"p{n % 20}", "dateAdded": DAYS[n % 20], "name": f"Thing {n % 20}", "reviews.date": DAYS[n % 28],
         "reviews.username": f"u{n % 40}", "reviews.text": "Good", "asins": f"B0{n % 20}"} for n in range(200)
    ])  # fmt: skip
    text, mapping = draft_folder(tmp_path)
    columns = mapping["events"]["columns"]
    assert (columns["event_time"], columns["text"]) == ("reviews.date", "reviews.text")
    assert rehearse_draft(settings, tmp_path, text)["events"].rows_held == 0


def test_a_time_that_all_rows_have_alike_is_no_deeds(tmp_path: Path):
    write_rows(tmp_path / "views.csv", [
        {"created_at": DAYS[27], "user_id": f"u{n % 40}", "item_id": f"i{n % 20}", "seen_date": DAYS[n % 28]}
        for n in range(200)
    ])  # fmt: skip
    _, mapping = draft_folder(tmp_path)
    assert mapping["events"]["columns"]["event_time"] == "seen_date"


@pytest.mark.parametrize(("moved", "named"), [(0, "startTime"), (86_400 * 30, "date")])
def test_a_moment_goes_before_its_day_but_not_before_another_one(tmp_path: Path, moved: int, named: str):
    began = int(datetime(2026, 1, 1, 9, 30, tzinfo=UTC).timestamp())
    times = [began + 86_400 * (n % 28) + 7 * n for n in range(300)]
    write_rows(tmp_path / "visits.csv", [
        {"date": f"{datetime.fromtimestamp(at, UTC):%Y%m%d}", "user_id": f"u{n % 40}", "item_id": f"i{n % 20}",
         "startTime": str(at + moved)} for n, at in enumerate(times)
    ])  # fmt: skip
    _, mapping = draft_folder(tmp_path)
    assert mapping["events"]["columns"]["event_time"] == named


def test_each_of_several_users_in_a_cell_has_a_row(settings: Settings, tmp_path: Path):
    write_rows(tmp_path / "amazon.csv", [
        {"product_id": f"B{n}", "product_name": f"Thing {n}", "rating": "4.2",
         "user_id": f"AG{n % 9}X,AH{n % 11}Y,AK{n % 7}Z", "review_id": f"R{n},S{n},T{n}", "review_content": "Good,Bad"}
        for n in range(60)
    ])  # fmt: skip
    text, mapping = draft_folder(tmp_path)
    assert (mapping["events"]["unnest"], mapping["events"]["separator"]) == ("user_id", ",")
    assert "text" not in mapping["events"]["columns"], "it is the words of all of them"
    events = rehearse_draft(settings, tmp_path, text)["events"]
    assert (events.rows, events.rows_held) == (180, 0)


@pytest.mark.parametrize("ids", ["17,5", "Doe, Jane"])
def test_a_number_or_a_name_with_a_comma_is_no_list_of_users(tmp_path: Path, ids: str):
    write_rows(tmp_path / "reviews.csv", [
        {"user_id": ids, "item_id": f"i{n % 20}", "at": DAYS[n % 28], "rating": "4"} for n in range(60)
    ])  # fmt: skip
    _, mapping = draft_folder(tmp_path)
    assert "unnest" not in mapping["events"]


def test_lines_that_say_how_many_days_after_the_last_order_they_were_have_times(settings: Settings, tmp_path: Path):
    since = {1: "", 2: "7.0", 3: "3.0"}
    write_rows(tmp_path / "sold.csv", [
        {"order_id": f"70{number}", "user_id": "1", "order_number": str(number),
         "order_hour_of_day": str(8 + number), "days_since_prior_order": since[number], "product_id": f"p{line}"}
        for number in (1, 2, 3) for line in range(1 + number)
    ])  # fmt: skip
    text, _ = draft_folder(tmp_path)
    events = rehearse_draft(settings, tmp_path, text)["events"]
    assert events.rows_held == 0
    assert {(pair.after["basket_id"][-1], str(pair.after["event_time"])[:16]) for pair in events.pairs} == {
        ("1", "2000-01-01 09:00"), ("2", "2000-01-08 10:00"), ("3", "2000-01-11 11:00"),
    }  # fmt: skip


def test_a_subcategory_stands_below_its_category_even_with_fewer_words(tmp_path: Path):
    write_rows(tmp_path / "views.csv", [
        {"user_id": f"u{n % 40}", "item_id": f"i{n % 24}", "at": DAYS[n % 28],
         "subcategory": ["Hot", "Cold"][n % 2], "category": ["Tea", "Juice", "Milk"][n % 3]} for n in range(200)
    ])  # fmt: skip
    _, mapping = draft_folder(tmp_path)
    told = mapping["items"].get("columns", {})["category"]
    assert told == 'category_path(["category", "subcategory"])'


@pytest.mark.parametrize(
    ("words", "encoding"), [("年龄,26-35岁,56岁以上", "gb18030"), ("訂單編號,會員,商品名稱", "cp950")]
)
def test_simplified_signs_are_told_from_traditional_ones(words: str, encoding: str):
    assert encoding_of(f"user,age\n{words}\n".encode(encoding)) == encoding
