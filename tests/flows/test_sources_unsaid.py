"""Drafts of exports that leave something unsaid: no times, no deed, no user of an order, fields in one line only."""

import shutil
import tomllib
from pathlib import Path

from flows.settings import Settings
from flows.sources.draft_length import MOST_LINES, lines_of, shortened
from tests.flows.drafted_folder import DAYS, draft_folder, rehearse_draft, write_rows


def test_rows_without_any_time_get_days_by_chance_that_stay_the_same(settings: Settings, tmp_path: Path):
    write_rows(tmp_path / "to_read.csv", [{"user_id": f"u{n % 9}", "book_id": f"b{n % 31}"} for n in range(120)])
    text, mapping = draft_folder(tmp_path)
    made = mapping["events"]["columns"]["event_time"]
    assert made == """after('2026-01-01', days := hash("user_id", "book_id") % 60)"""
    assert "# unsure: no column of times was found" in text
    first = rehearse_draft(settings, tmp_path, text)["events"]
    shutil.rmtree(tmp_path / "scratch")
    again = rehearse_draft(settings, tmp_path, text)["events"]
    assert (first.rows, first.rows_held, first.pairs) == (120, 0, again.pairs)


def test_seconds_from_an_unknown_moment_are_times(settings: Settings, tmp_path: Path):
    rows = [{"uid": f"u{n % 9}", "item_id": f"b{n % 31}", "timestamp": str(5 * n + 11)} for n in range(3_000)]
    write_rows(tmp_path / "listens.csv", rows)
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["columns"]["event_time"] == """after('2000-01-01', seconds := "timestamp")"""
    assert rehearse_draft(settings, tmp_path, text)["events"].rows_held == 0


def test_a_few_times_of_broken_clocks_do_not_make_a_week_a_span_of_decades(tmp_path: Path):
    times = [1_511_600_000 + 600 * n for n in range(600)]
    times[7], times[400] = -62_168, 2_122_867_355
    rows = [{"uid": f"u{n % 9}", "item_id": f"b{n % 31}", "timestamp": str(at)} for n, at in enumerate(times)]
    write_rows(tmp_path / "clicks.csv", rows)
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["time_format"] == "epoch_s"
    assert "window" not in mapping
    assert "spans" not in text


def test_a_flag_of_each_deed_says_which_rows_are_deeds(settings: Settings, tmp_path: Path):
    write_rows(tmp_path / "log.csv", [
        {"user_id": f"u{n % 9}", "video_id": f"v{n % 31}", "at": DAYS[n % 28], "is_click": str(n % 2),
         "is_like": str(int(n % 10 == 1))} for n in range(100)
    ])  # fmt: skip
    text, mapping = draft_folder(tmp_path)
    assert "is_click" in mapping["events"]["where"]
    events = rehearse_draft(settings, tmp_path, text)["events"]
    assert (events.rows, events.left_out, events.rows_held) == (50, 50, 0)
    assert {pair.after["event_type"] for pair in events.pairs} == {"view", "like"}


def test_orders_that_name_no_user_give_their_times_to_their_lines(settings: Settings, tmp_path: Path):
    write_rows(tmp_path / "orders.csv", [
        {"order_id": str(n), "date": DAYS[n % 28][:10], "time": f"{9 + n % 9:02}:30:00"} for n in range(60)
    ])  # fmt: skip
    write_rows(tmp_path / "order_details.csv", [
        {"order_details_id": str(n), "order_id": str(n // 2), "pizza_id": f"p{n % 24}", "quantity": "1"}
        for n in range(120)
    ])  # fmt: skip
    write_rows(tmp_path / "pizzas.csv", [
        {"pizza_id": f"p{n}", "pizza_type_id": f"t{n // 2}", "size": "SM"[n % 2], "price": "9.5"} for n in range(24)
    ])  # fmt: skip
    kinds = [{"pizza_type_id": f"t{n}", "name": f"The pizza no {n}", "category": "AB"[n % 2]} for n in range(12)]
    write_rows(tmp_path / "pizza_types.csv", kinds)
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["event_id"] == ["order_details_id"]
    tables = rehearse_draft(settings, tmp_path, text)
    assert {name: (each.rows, each.rows_held) for name, each in tables.items()} == {
        "events": (120, 0),
        "items": (12, 0),
    }
    assert {pair.after["title"] for pair in tables["items"].pairs} <= {each["name"] for each in kinds}
    assert all(str(pair.after["event_time"])[10:].replace(" ", "T") >= "T09:30" for pair in tables["events"].pairs)


def test_what_an_order_says_in_its_first_line_alone_holds_for_all_of_them(settings: Settings, tmp_path: Path):
    rows = [
        {"order_id": str(n // 3), "email": f"{n // 3 % 7}@mail.example", "created_at": "" if n % 3 else DAYS[n // 3],
         "sku": f"S{n % 11}", "quantity": "1"} for n in range(84)
    ]  # fmt: skip
    write_rows(tmp_path / "orders.csv", rows)
    text, mapping = draft_folder(tmp_path)
    assert 'first_value("created_at" ignore nulls)' in mapping["events"]["from"]
    events = rehearse_draft(settings, tmp_path, text)["events"]
    assert (events.rows, events.rows_held) == (84, 0)


def test_an_id_that_stands_for_nobody_is_no_user_and_ids_within_other_columns_stay_private(
    settings: Settings, tmp_path: Path
):
    rows = [
        {"order_id": str(1_000 + n), "customer_id": "0" if n % 4 == 0 else f"K{10_000 + n % 60}", "sku": f"S{n % 11}",
         "created_at": DAYS[n % 28], "where": f"{'x' if n % 4 == 0 else f'K{10_000 + n % 60}'} AT HOME"}
        for n in range(240)
    ]  # fmt: skip
    write_rows(tmp_path / "sales.csv", rows)
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["columns"]["user_id"] == """coalesce(nullif("customer_id", '0'), 'guest ' || "order_id")"""
    assert "where" in mapping["private"]
    assert rehearse_draft(settings, tmp_path, text)["events"].rows_held == 0


def test_a_column_that_is_called_as_ours_and_means_something_else_is_not_taken(settings: Settings, tmp_path: Path):
    rows = [
        {"user_id": f"u{n % 9}", "sku": f"S{n % 11}", "request_time": DAYS[n % 28],
         "channel": ("wechat", "pc", "mobile")[n % 3], "discount": "a lot"} for n in range(90)
    ]  # fmt: skip
    write_rows(tmp_path / "clicks.csv", rows)
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["columns"]["discount"] == "null"
    events = rehearse_draft(settings, tmp_path, text)["events"]
    assert events.rows_held == 0
    assert {pair.after["channel"] for pair in events.pairs} <= {"app", "social", "web"}


def test_a_long_draft_says_the_same_in_thirty_lines(tmp_path: Path):
    sections = "".join(
        f'# why\n[[events]]\nfiles = "{n}.csv"\n[events.columns]\n# sure\nevent_time = "at"\nuser_id = "u"\n\n'
        for n in range(7)
    )
    items = '[items]\nfiles = "i.csv"\n[items.columns]\nitem_id = "i"\n\n'
    users = '# people\n[users]\nfiles = "u.csv"\n# kept\ntraits = ["a", "b"]\ncolumns.user_id = "u"\n\n# Not used: x.\n'
    text = f'source = "s"\n\n{sections}{items}{users}'
    short = shortened(text)
    assert (lines_of(text), lines_of(short)) == (44, MOST_LINES)
    assert short.count("#") == text.count("#")
    assert tomllib.loads(short) == tomllib.loads(text)


def test_lines_of_more_orders_than_the_users_have_are_events_of_guests(settings: Settings, tmp_path: Path):
    write_rows(tmp_path / "abroad.csv", [
        {"CUSTOMER": f"u{n % 5}", "SKU": f"S{n % 11}", "DATE": DAYS[n % 28][:10], "Qty": "2"} for n in range(60)
    ])  # fmt: skip
    write_rows(tmp_path / "sale report.csv", [
        {"Order ID": f"o{n // 2}", "SKU": f"S{n % 11}", "Date": DAYS[n % 28][:10], "Qty": "1"} for n in range(90)
    ])  # fmt: skip
    text, mapping = draft_folder(tmp_path)
    assert [each["columns"]["user_id"] for each in mapping["events"]] == ["CUSTOMER", "Order ID"]
    assert rehearse_draft(settings, tmp_path, text)["events"].rows == 150
