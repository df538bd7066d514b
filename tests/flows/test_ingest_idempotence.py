"""Landing twice, in another order, in pieces, or late gives one lake; nothing is rewritten in silence."""

import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from feature_repo.schema import pseudonym
from flows import lake
from flows.ingest import open_export
from flows.settings import Settings
from flows.sources.mapping import load_mapping
from flows.sources.staging import Export, stage_table
from tests.conftest import settings_in
from tests.flows.staged_files import rows_in
from tests.flows.tiny_shop import LATER, NOW, SALES, end_state, land, land_export, rows_of, sale, write_csv, write_shop

pytestmark = pytest.mark.slow

BAD = sale(sold_at="2026-10-02 11:00:00", line_total="-4")
#: With a row twice, and one event told in two ways: which of them stays must not hang on their order.
TWINS = [*SALES, BAD, sale(), sale(qty="1")]


def test_landing_the_same_export_again_skips_every_window_and_writes_no_version(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path, [*SALES, BAD])
    first = land(settings, shop)
    before = {name: lake.table_version(settings, name) for name in ("events", "items", "quarantine", "windows")}
    again = land(settings, shop, LATER)
    assert (first["events"].windows_landed, first["events"].windows_skipped) == (3, 0)
    assert (again["events"].windows_landed, again["events"].windows_skipped) == (0, 3)
    assert again["events"].rows_written == first["events"].rows_written == 6
    assert {name: lake.table_version(settings, name) for name in before} == before


@hypothesis_settings(max_examples=12, deadline=None)
@given(rows=st.permutations(TWINS))
def test_the_order_of_the_raw_rows_changes_no_staged_row(rows: list[dict[str, str]]):
    assert _staged(rows) == _staged(TWINS)


def test_the_order_of_the_raw_rows_changes_neither_the_lake_nor_what_is_held(settings: Settings, tmp_path: Path):
    other = replace(settings_in(tmp_path / "other"), pseudonym_key=settings.pseudonym_key)
    land(settings, write_shop(tmp_path, TWINS))
    land(other, write_shop(tmp_path, TWINS[::-1]))
    assert end_state(settings) == end_state(other)
    assert len(rows_of(settings, "quarantine")) == 3


def _staged(rows: list[dict[str, str]]) -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as name:
        mapping = load_mapping(write_shop(Path(name), rows))
        staged = stage_table(Export(mapping), "events", Path(name), b"key")
        return rows_in(staged)


def test_a_late_event_gets_a_later_known_at_and_the_others_keep_theirs(settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path), NOW)
    late = sale(sold_at="2026-10-02 23:59:59", customer="card-late")
    summaries = land(settings, write_shop(tmp_path, [*SALES, late]), LATER)
    assert (summaries["events"].windows_landed, summaries["events"].windows_skipped) == (1, 2)
    known = {(row["user_id"], row["known_at"]) for row in rows_of(settings, "events")}
    newcomer = pseudonym("card-late", settings.pseudonym_key)
    assert {moment for user, moment in known if user != newcomer} == {NOW}
    assert {moment for user, moment in known if user == newcomer} == {LATER}


def test_an_export_in_pieces_of_one_window_loses_none_of_them(settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path / "one", SALES[:2]))
    land(settings, write_shop(tmp_path / "two", SALES[2:]), LATER)
    pieces = rows_of(settings, "events", "known_at")
    whole = settings_in(tmp_path / "whole")
    whole = replace(whole, pseudonym_key=settings.pseudonym_key)
    land(whole, write_shop(tmp_path / "three"))
    assert pieces == rows_of(whole, "events", "known_at")


def test_a_corrected_row_takes_the_place_of_the_former_one(settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path, [sale(), sale(sku="B2")]))
    land(settings, write_shop(tmp_path, [sale(line_total="6.00"), sale(sku="B2")]), LATER)
    rows = rows_of(settings, "events")
    assert sorted(row["unit_price"] for row in rows) == [2.5, 3.0]
    assert {row["known_at"] for row in rows} == {NOW}


def test_an_unchanged_item_keeps_its_moment_and_a_changed_one_gets_a_new_one(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path)
    land(settings, shop)
    products = [
        {"sku": "A1", "name": "Oat milk", "shelf": "Dairy > Milk", "price": "2.50"},
        {"sku": "B2", "name": "Rye bread", "shelf": "Bakery", "price": "1.30"},
    ]
    write_csv(tmp_path / "products.csv", products)
    land(settings, shop, LATER)
    assert {row["item_id"]: row["updated_at"] for row in rows_of(settings, "items")} == {"A1": NOW, "B2": LATER}


def test_an_event_of_an_unknown_item_lands_once_the_catalogue_knows_it(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path, [*SALES, sale(sku="C3")])
    assert land(settings, shop)["events"].rows_held == 1
    text = (tmp_path / "products.csv").read_text() + "C3,Plum jam,Jam,3.10\n"
    (tmp_path / "products.csv").write_text(text)
    summaries = land(settings, shop, LATER)
    assert (summaries["events"].rows_held, summaries["events"].windows_landed) == (0, 1)
    assert "C3" in {row["item_id"] for row in rows_of(settings, "events")}
    assert {row["state"] for row in rows_of(settings, "quarantine")} == {"replayed"}


def test_a_row_that_is_still_bad_stays_held_when_its_window_lands_again(settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path, [*SALES, BAD]))
    late = sale(sold_at="2026-10-02 23:00:00", customer="card-late")
    land(settings, write_shop(tmp_path, [*SALES, BAD, late]), LATER)
    land(settings, write_shop(tmp_path, SALES[3:5]), LATER)
    assert [row["state"] for row in rows_of(settings, "quarantine")] == ["held"]


def test_since_and_until_land_only_the_events_between(settings: Settings, tmp_path: Path):
    from_to = (datetime(2026, 10, 2, tzinfo=UTC), datetime(2026, 10, 3, tzinfo=UTC))
    export = open_export(settings, write_shop(tmp_path), None, *from_to)
    summaries = land_export(settings, export)
    assert summaries["events"].rows_written == 2
    assert {row["event_time"].day for row in rows_of(settings, "events")} == {2}


def test_a_raw_user_id_is_nowhere_in_the_lake(settings: Settings, tmp_path: Path):
    rows = [*SALES, BAD, sale(customer="card-4711", qty="0"), sale(customer="card-4712", qty="two")]
    land(settings, write_shop(tmp_path, rows))
    for file in settings.home.rglob("*"):
        if file.is_file():
            assert b"card-" not in file.read_bytes(), file
    raws = [str(row["raw"]) for row in rows_of(settings, "quarantine")]
    assert len(raws) == 3
    assert any(pseudonym("card-4711", settings.pseudonym_key) in raw for raw in raws)
    assert not any("card-" in str(row) for name in ("events", "quarantine") for row in rows_of(settings, name))
    users = {row["user_id"] for row in rows_of(settings, "events")}
    assert users == {pseudonym(card, settings.pseudonym_key) for card in ("card-17", "card-99", "card-5")}


def test_two_exports_of_the_same_rows_give_the_same_event_ids_and_other_rows_others(settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path))
    ids = [row["event_id"] for row in rows_of(settings, "events")]
    assert len(set(ids)) == len(SALES)
    assert all(len(str(event_id)) == 34 for event_id in ids)
