"""Corners of an ingest in which a row, a private word or a day of the past could be lost in silence."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows import judging, lake
from flows.ingest import open_export, require_whole
from flows.landing import staging_folder
from flows.settings import Settings
from flows.sources.mapping_keys import ExportRejected
from flows.sources.staging import stage_table
from tests.flows.test_known_lake import moment_between_commits
from tests.flows.test_replay import replay
from tests.flows.tiny_shop import (
    LATER,
    MAPPING,
    PRODUCTS,
    SALES,
    Row,
    land,
    land_export,
    rows_of,
    sale,
    write_csv,
    write_shop,
)

JOINED = """
source = "corner_shop"
currency = "EUR"
channel = "store"
[inputs]
sales = { files = "sales*.csv", numbers = ["qty", "line_total"] }
[events]
from = "RELATION"
event_types = { bought = "purchase", looked = "view" }
[events.columns]
event_time = "sold_at"
user_id = "customer"
item_id = "sku"
event_type = "action"
quantity = "QUANTITY"
"""


def held_raw(settings: Settings) -> str:
    return "\n".join(str(row["raw"]) for row in rows_of(settings, "quarantine"))


def test_an_item_without_an_id_removes_no_other_from_the_catalogue(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path)
    land(settings, shop)
    third = {"sku": "C3", "name": "Plum jam", "shelf": "Jam", "price": "3.10"}
    write_csv(tmp_path / "products.csv", [third, {**third, "sku": ""}])
    land(settings, shop, LATER)
    assert [row["item_id"] for row in rows_of(settings, "items")] == ["A1", "B2", "C3"]
    assert len(rows_of(settings, "quarantine")) == 1


def test_a_catalogue_made_of_events_keeps_the_newest_words_of_an_item_in_whichever_order_they_come(
    settings: Settings, tmp_path: Path
):
    made = MAPPING.partition("[items]")[0] + '[items]\nfrom_events = true\n[items.columns]\ntitle = "till"\n'
    land(settings, write_shop(tmp_path, [sale(till="new", sold_at="2026-10-20 10:00:00")], made))
    land(settings, write_shop(tmp_path, [sale(till="old", sold_at="2026-10-03 10:00:00")], made), LATER)
    assert [row["title"] for row in rows_of(settings, "items")] == ["new"]
    land(settings, write_shop(tmp_path, [sale(till="newest", sold_at="2026-10-21 10:00:00")], made), LATER)
    assert [row["title"] for row in rows_of(settings, "items")] == ["newest"]


@pytest.mark.parametrize(
    "bad",
    [{"sold_at": "2099-01-01 10:00:00"}, {"line_total": "-5.00"}, {"line_total": "five"}],
    ids=str,
)
def test_one_bad_event_does_not_hold_the_item_that_the_catalogue_makes_of_it_with_all_its_events(
    settings: Settings, tmp_path: Path, bad: dict[str, str]
):
    made = MAPPING.partition("[items]")[0] + '[items]\nfrom_events = true\n[items.columns]\nprice = "line_total"\n'
    newest = sale(**{"sold_at": "2026-10-20 10:00:00", **bad})
    land(settings, write_shop(tmp_path, [*SALES, newest], made))
    assert len(rows_of(settings, "events")) == len(SALES)
    assert {row["item_id"] for row in rows_of(settings, "items")} == {"A1", "B2"}
    assert [row["table_name"] for row in rows_of(settings, "quarantine")] == ["events"]


@pytest.mark.parametrize("torn", [False, True])
def test_users_and_private_words_stay_hidden_however_the_mapping_spells_their_columns(
    settings: Settings, tmp_path: Path, torn: bool
):
    spelt = 'private = ["Till"]\n' + MAPPING.replace('user_id = "customer"', 'user_id = "Customer"')
    shop = write_shop(tmp_path, [*SALES, sale(customer="card-secret", till="shady", action="stolen")], spelt)
    if torn:
        lines = (tmp_path / "sales.csv").read_text().splitlines()
        (tmp_path / "sales.csv").write_text("\n".join([*lines[:-1], lines[-1] + ",more,and,more"]) + "\n")
    land(settings, shop)
    assert len(rows_of(settings, "quarantine")) == 1
    assert "secret" not in held_raw(settings)
    assert "shady" not in held_raw(settings)


def test_private_words_of_a_torn_json_line_are_not_kept(settings: Settings, tmp_path: Path):
    spelt = 'private = ["till"]\n' + MAPPING.replace("sales*.csv", "sales*.jsonl").replace(
        "numbers", "format='jsonl'\nnumbers"
    )
    shop = write_shop(tmp_path, SALES, spelt)
    good = [json.dumps(row) for row in SALES]
    (tmp_path / "sales.jsonl").write_text("\n".join([*good, '{"customer": "card-17", "till": "shady", "sku": ']) + "\n")
    land(settings, shop)
    assert len(rows_of(settings, "quarantine")) == 1
    assert "shady" not in held_raw(settings)
    assert "card-17" not in held_raw(settings)


@pytest.mark.parametrize(
    ("mapping", "column"),
    [
        (MAPPING.replace("[events.columns]", "where = \"till <> '4'\"\n[events.columns]"), "till"),
        (MAPPING.replace('quantity = "qty"', 'quantity = "QTY"'), "qty"),
        (JOINED.replace("RELATION", "select *, till as desk from sales").replace("QUANTITY", "qty"), "till"),
    ],
)
def test_a_file_that_lacks_a_column_is_told_wherever_the_mapping_uses_it(
    settings: Settings, tmp_path: Path, mapping: str, column: str
):
    shop = write_shop(tmp_path, SALES, mapping)
    write_csv(tmp_path / "sales2.csv", [{name: value for name, value in sale().items() if name != column}])
    with pytest.raises(ExportRejected, match=f"lacks the column '{column}'"):
        land(settings, shop)


def test_rows_that_cannot_be_found_again_for_the_quarantine_stop_the_ingest(settings: Settings, tmp_path: Path):
    mapping = JOINED.replace("RELATION", "select *, cast(uuid() as varchar) as line from sales")
    shop = write_shop(tmp_path, [*SALES, sale(action="stolen")], mapping.replace("QUANTITY", "qty"))
    with pytest.raises(ExportRejected, match="uuid"):
        land(settings, shop)
    assert rows_of(settings, "events") == rows_of(settings, "quarantine") == []


def test_a_part_of_an_export_is_not_judged_by_rows_without_a_time_which_each_part_has(
    settings: Settings, tmp_path: Path
):
    days: list[Row] = [
        sale(sold_at=f"2026-10-{day:02} 09:{minute:02}:00") for day in range(1, 31) for minute in range(30)
    ]
    shop = write_shop(tmp_path, [*days, *(sale(sold_at=f"some day {n}") for n in range(15))])
    whole = open_export(settings, shop, None, None, None)
    part = replace(whole, since=datetime(2026, 10, 2, tzinfo=UTC), until=datetime(2026, 10, 3, tzinfo=UTC))
    for export, passes in ((whole, True), (part, True)):
        with staging_folder(settings) as folder:
            staged = [stage_table(export, "events", folder, settings.pseudonym_key)]
            judged = judging.judge_tables(settings, export.mapping, staged, folder, LATER, export.whole)
            assert judged[0].verdict is not None
            assert (judged[0].verdict.passed, judged[0].verdict.rows_held) == (passes, 15)


@pytest.mark.parametrize("mended", ['nulls = ["", "n/a"]\n', 'timezone = "Europe/Vienna"\n'])
def test_a_held_row_that_lands_otherwise_than_by_a_replay_is_held_no_more(
    settings: Settings, tmp_path: Path, mended: str
):
    odd = sale(sold_at="2026-10-02 00:30:00", till="9", qty="n/a", line_total="3.00")
    land(settings, write_shop(tmp_path, [odd], MAPPING))
    assert [row["state"] for row in rows_of(settings, "quarantine")] == ["held"]
    shop = write_shop(tmp_path, [odd], mended + 'nulls = ["", "n/a"]\n' * ("nulls" not in mended) + MAPPING)
    land(settings, shop, LATER)
    replay(settings, shop)
    assert [row["state"] for row in rows_of(settings, "quarantine")] == ["replayed"]
    assert len(rows_of(settings, "events")) == 1


def test_a_lake_that_was_restored_from_a_copy_has_its_past(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path)
    land(settings, shop)
    then = moment_between_commits()
    write_csv(tmp_path / "sales.csv", [*SALES, sale(sold_at="2026-10-04 09:00:00")])
    land(settings, shop, LATER)
    shutil.copytree(settings.home / "lake", tmp_path / "copy", copy_function=shutil.copyfile)
    shutil.rmtree(settings.home / "lake")
    shutil.move(tmp_path / "copy", settings.home / "lake")
    past = replace(settings, known_at=then)
    assert (len(rows_of(settings, "events")), len(rows_of(past, "events"))) == (len(SALES) + 1, len(SALES))
    assert lake.open_table(replace(settings, known_at=datetime(2020, 1, 1, tzinfo=UTC)), "events") is None
    assert len(PRODUCTS) == len(rows_of(past, "items"))


def test_a_mended_mapping_tells_of_rows_that_it_reads_otherwise_and_takes_their_place_where_it_may(
    settings: Settings, tmp_path: Path
):
    land(settings, write_shop(tmp_path))
    vienna = 'timezone = "Europe/Vienna"\n' + MAPPING
    shop = write_shop(tmp_path, SALES, vienna)
    told = land(settings, shop, LATER)["events"]
    assert (told.rows_of_before, len(rows_of(settings, "events"))) == (6, 12)
    assert "--replace" in told.told_of_before(False)
    twin = replace(settings, home=tmp_path / "twin")
    land(twin, shop, LATER)
    replaced = land_export(settings, open_export(settings, shop, None, None, None), LATER, replace=True)["events"]
    assert (replaced.rows_written, len(rows_of(settings, "events"))) == (6, 6)
    assert rows_of(settings, "events", "known_at") == rows_of(twin, "events", "known_at")
    again = land_export(settings, open_export(settings, shop, None, None, None), LATER, replace=True)["events"]
    assert (again.rows_of_before, len(rows_of(settings, "events"))) == (0, 6)


def test_a_day_that_the_mended_times_have_no_row_of_is_emptied(settings: Settings, tmp_path: Path):
    sales = [sale(sold_at=f"2026-10-0{day}") for day in ("1 12:00:00", "2 00:30:00", "3 12:00:00")]
    land(settings, write_shop(tmp_path, sales))
    shop = write_shop(tmp_path, sales, 'timezone = "Europe/Vienna"\n' + MAPPING)
    land_export(settings, open_export(settings, shop, None, None, None), LATER, replace=True)
    days = sorted(str(row["event_time"])[:10] for row in rows_of(settings, "events"))
    assert days == ["2026-10-01", "2026-10-01", "2026-10-03"]


def test_a_part_of_an_export_never_takes_the_place_of_all(settings: Settings, tmp_path: Path):
    export = open_export(settings, write_shop(tmp_path), None, datetime(2026, 10, 2, tzinfo=UTC), None)
    with pytest.raises(ValueError, match="expected a whole export"):
        require_whole(export, replace=True)


def test_blanks_around_a_brand_and_runs_of_them_in_a_title_or_category_do_not_land(settings: Settings, tmp_path: Path):
    source = write_shop(tmp_path, mapping=MAPPING + 'brand = "maker"\n')
    odd = [{**PRODUCTS[0], "shelf": " Dairy  >  Milk ", "maker": "Nike\u00a0 Kids ", "name": "Oat\tmilk   1 l\u00a0"},
           {**PRODUCTS[1], "maker": " "}]  # fmt: skip
    write_csv(tmp_path / "products.csv", odd)
    land(settings, source)
    landed = {row["item_id"]: (row["title"], row["brand"], row["category"]) for row in rows_of(settings, "items")}
    assert landed["A1"] == ("Oat milk 1 l", "Nike Kids", "Dairy > Milk")
    assert landed["B2"][1:] == (None, "Bakery")
