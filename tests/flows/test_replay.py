"""Held rows judged again: what a mended mapping can read lands as if the export had been clean from the start."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from feature_repo.schema import pseudonym
from flows import lake
from flows.ingest import open_export
from flows.quarantine import Selection, discard, list_rows
from flows.replay import ReplayReport, replay_held
from flows.settings import Settings
from tests.conftest import settings_in
from tests.flows.tiny_shop import (
    LATER,
    MAPPING,
    NOW,
    PRODUCTS,
    SALES,
    Row,
    land,
    rows_of,
    sale,
    write_csv,
    write_jsonl,
    write_parquet,
    write_shop,
)

pytestmark = pytest.mark.slow

STOLEN = sale(sold_at="2026-10-02 12:00:00", action="stolen")
KNOWS_STOLEN = MAPPING.replace('bought = "purchase"', 'bought = "purchase", stolen = "purchase"')
TYPES = {"qty": int, "line_total": float}


def replay(settings: Settings, mapping: str, now=LATER, **selection: str) -> ReplayReport:
    return replay_held(settings, open_export(settings, mapping, None, None, None).mapping, Selection(**selection), now)


def clean_twin(settings: Settings, folder: Path, sales: list[Row], mapping: str = MAPPING) -> Settings:
    """Another home, with the same key, in which the export landed clean."""
    twin = replace(settings_in(folder / "twin-home"), pseudonym_key=settings.pseudonym_key)
    land(twin, write_shop(folder / "twin", sales, mapping))
    return twin


def same_lake(one: Settings, other: Settings) -> bool:
    tables = {"events": ("known_at",), "items": ("updated_at",)}
    return all(rows_of(one, name, *without) == rows_of(other, name, *without) for name, without in tables.items())


def files_of(settings: Settings) -> dict[str, str]:
    """Window → the data files of events in it."""
    table = lake.open_table(settings, "events")
    adds = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    return {each["partition.window"]: each["path"] for each in adds}


def test_a_mended_mapping_lands_the_held_rows_and_writes_only_their_windows(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path, [*SALES, STOLEN, sale(till="9", customer="card-2", qty="two")])
    land(settings, shop)
    before = files_of(settings)
    report = replay(settings, write_shop(tmp_path, SALES, KNOWS_STOLEN))
    assert report.sentence == "2 held rows judged again: 1 landed, 1 stay held."
    assert report.windows == (("events", "2026-10-02"),)
    after = files_of(settings)
    assert {window for window in after if after[window] != before[window]} == {"2026-10-02"}
    twin = clean_twin(settings, tmp_path, [*SALES, STOLEN], KNOWS_STOLEN)
    assert same_lake(settings, twin)
    known = {row["event_id"]: row["known_at"] for row in rows_of(settings, "events")}
    assert sorted(known.values()) == [NOW] * 6 + [LATER]
    states = {row["rule"]: (row["state"], row["settled_at"], row["note"]) for row in rows_of(settings, "quarantine")}
    assert states["event_type_allowed"] == ("replayed", LATER, "landed by a replay")
    assert states["typed"][0] == "held"


def test_a_replay_that_changes_nothing_writes_nothing(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path, [*SALES, STOLEN, sale(qty="0")])
    land(settings, shop)
    mended = write_shop(tmp_path, SALES, KNOWS_STOLEN)
    replay(settings, mended)
    before = {name: lake.table_version(settings, name) for name in ("events", "items", "quarantine", "windows")}
    again = replay(settings, mended)
    assert (again.rows, again.rows_landed, again.windows) == (1, 0, ())
    assert {name: lake.table_version(settings, name) for name in before} == before


def test_the_export_landed_again_under_the_mended_mapping_finds_nothing_to_change(settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path, [*SALES, STOLEN]))
    mended = write_shop(tmp_path, [*SALES, STOLEN], KNOWS_STOLEN)
    replay(settings, mended)
    before = rows_of(settings, "events"), rows_of(settings, "quarantine")
    land(settings, mended, LATER)
    assert (rows_of(settings, "events"), rows_of(settings, "quarantine")) == before


def test_a_row_whose_time_could_not_be_read_finds_its_window(settings: Settings, tmp_path: Path):
    german = [sale(sold_at="02.10.2026 18:00", customer="card-7"), sale(sold_at="04.10.2026 18:00")]
    land(settings, write_shop(tmp_path, [*SALES, *german]))
    assert {row["window"] for row in rows_of(settings, "quarantine")} == {"unknown"}
    reads_both = """event_time = "coalesce(try_cast(sold_at as timestamp), strptime(sold_at, '%d.%m.%Y %H:%M'))\""""
    mapping = MAPPING.replace('event_time = "sold_at"', reads_both)
    report = replay(settings, write_shop(tmp_path, SALES, mapping))
    assert report.windows == (("events", "2026-10-02"), ("events", "2026-10-04"))
    assert same_lake(settings, clean_twin(settings, tmp_path, [*SALES, *german], mapping))


def test_an_export_landed_again_frees_rows_that_were_held_for_want_of_a_time(settings: Settings, tmp_path: Path):
    german = sale(sold_at="02.10.2026 18:00", customer="card-7")
    land(settings, write_shop(tmp_path, [*SALES, german]))
    reads_both = """event_time = "coalesce(try_cast(sold_at as timestamp), strptime(sold_at, '%d.%m.%Y %H:%M'))\""""
    land(settings, write_shop(tmp_path, [*SALES, german], MAPPING.replace('event_time = "sold_at"', reads_both)), LATER)
    assert [row["state"] for row in rows_of(settings, "quarantine")] == ["replayed"]


def test_a_pseudonym_is_not_made_of_a_pseudonym(settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path, [*SALES, sale(customer="card-4711", action="stolen")]))
    replay(settings, write_shop(tmp_path, SALES, KNOWS_STOLEN))
    assert pseudonym("card-4711", settings.pseudonym_key) in {row["user_id"] for row in rows_of(settings, "events")}


def test_what_needs_the_shops_own_user_id_stays_held_and_says_so(settings: Settings, tmp_path: Path):
    own = "[events.columns]\nevent_id = \"customer || '/' || sold_at || sku\""
    before, after = (text.replace("[events.columns]", own) for text in (MAPPING, KNOWS_STOLEN))
    land(settings, write_shop(tmp_path, [*SALES, STOLEN], before))
    mended = write_shop(tmp_path, [*SALES, STOLEN], after)
    report = replay(settings, mended)
    assert (report.rows_landed, report.windows) == (0, ())
    assert "events.event_id is made of customer" in report.still_held[0][2]
    land(settings, mended, LATER)
    assert [row["state"] for row in rows_of(settings, "quarantine")] == ["replayed"]
    assert len(rows_of(settings, "events")) == 7


def test_keys_over_raw_columns_give_the_id_of_the_clean_export(settings: Settings, tmp_path: Path):
    keyed = (text.replace('"event_type"]', '"till", "customer"]') for text in (MAPPING, KNOWS_STOLEN))
    before, after = keyed
    land(settings, write_shop(tmp_path, [*SALES, STOLEN], before))
    replay(settings, write_shop(tmp_path, SALES, after))
    assert same_lake(settings, clean_twin(settings, tmp_path, [*SALES, STOLEN], after))


def test_a_copy_of_a_landed_row_stays_held_and_the_landed_row_stays(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path, [*SALES, SALES[0], sale(till="9"), {**SALES[0], "action": "stolen"}])
    land(settings, shop)
    report = replay(settings, write_shop(tmp_path, SALES, KNOWS_STOLEN.replace('"event_type"]', '"qty"]')))
    assert report.rows_landed == 1  # other columns name an event now, and so the stolen one is another
    again = replay(settings, str(tmp_path / "shop.toml"))
    assert {rule for _, rule, _, _ in again.still_held} == {"event_id_unique"}


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_typed_raw_columns_come_back_as_they_were(settings: Settings, tmp_path: Path, kind: str):
    write = {"parquet": write_parquet, "jsonl": write_jsonl}[kind]
    before, after = (
        text.replace("sales*.csv", f"sales.{kind}").replace('numbers = ["qty", "line_total"]\n', numbers)
        for text in (MAPPING, KNOWS_STOLEN)
        for numbers in [{"parquet": "", "jsonl": 'numbers = ["qty", "line_total"]\n'}[kind]]
    )
    rows = [{k: TYPES.get(k, str)(v) if v else None for k, v in row.items()} for row in [*SALES, STOLEN]]
    for folder in (tmp_path, tmp_path / "twin"):
        write_shop(folder, SALES, before)
        write(folder / f"sales.{kind}", rows)
    land(settings, str(tmp_path / "shop.toml"))
    (tmp_path / "shop.toml").write_text(after)
    assert replay(settings, str(tmp_path / "shop.toml")).rows_landed == 1
    assert same_lake(settings, clean_twin(settings, tmp_path, SALES, after))


def test_events_and_their_catalogue_come_back_together(settings: Settings, tmp_path: Path):
    """The catalogue is made of events: what an event could not tell of its item is told when it lands."""
    start = MAPPING.index("[items]")
    made = MAPPING[:start] + '[items]\nfrom_events = true\n[items.columns]\ntitle = "till"\nprice = "line_total"\n'
    euros = (
        made.replace('"qty", "line_total"]', '"qty"]')
        .replace(
            '"line_total / nullif(qty, 0)"', "\"try_cast(replace(line_total, ' EUR', '') as double) / nullif(qty, 0)\""
        )
        .replace('price = "line_total"', "price = \"replace(line_total, ' EUR', '')\"")
    )
    sales = [
        *SALES,
        sale(sku="C3", till="old", sold_at="2026-10-02 08:00:00"),
        sale(sku="C3", till="new", sold_at="2026-10-03 08:00:00", line_total="7 EUR"),
        sale(sku="D4", till="first", sold_at="nonsense"),
    ]
    land(settings, write_shop(tmp_path, sales, made))
    report = replay(settings, write_shop(tmp_path, SALES, euros))
    assert report.landed == {"events": 1}
    assert report.windows == (("items", "all"), ("events", "2026-10-03"))
    assert len(report.still_held) == 1
    twin = clean_twin(settings, tmp_path, sales, euros)
    assert same_lake(settings, twin)
    assert {row["title"] for row in rows_of(settings, "items")} == {"3", "new"}


def test_items_come_back_and_with_them_the_events_that_name_them(settings: Settings, tmp_path: Path):
    shop = write_shop(tmp_path, [*SALES, sale(sku="C3")])
    write_csv(
        tmp_path / "products.csv", [*PRODUCTS, {"sku": "C3", "name": "Plum jam", "shelf": "Jam", "price": "3.10 EUR"}]
    )
    land(settings, shop)
    assert len(rows_of(settings, "quarantine")) == 2
    (tmp_path / "shop.toml").write_text(MAPPING.replace('price = "price"', "price = \"replace(price, ' EUR', '')\""))
    report = replay(settings, shop)
    assert report.landed == {"items": 1, "events": 1}
    assert {row["item_id"] for row in rows_of(settings, "items")} == {"A1", "B2", "C3"}
    assert len(rows_of(settings, "events")) == 7


def test_a_row_that_is_bad_again_is_held_again_and_a_discarded_one_is_not(settings: Settings, tmp_path: Path):
    old, mended = (text.replace('"event_type"]', '"till"]') for text in (MAPPING, KNOWS_STOLEN))
    other = sale(sold_at="2026-10-02 13:00:00", qty="0")
    shop = write_shop(tmp_path, [*SALES, STOLEN, other], old)
    land(settings, shop)
    assert discard(settings, Selection(rule="quantity_in_bounds"), "a till that was tested", LATER) == 1
    assert discard(settings, Selection(rule="quantity_in_bounds"), "a till that was tested", LATER) == 0
    replay(settings, write_shop(tmp_path, [*SALES, STOLEN, other], mended))
    assert len(rows_of(settings, "events")) == 7
    late = sale(sold_at="2026-10-02 23:00:00")
    land(settings, write_shop(tmp_path, [*SALES, STOLEN, other, late], old), LATER)
    states = {row["rule"]: (row["state"], row["note"]) for row in rows_of(settings, "quarantine")}
    assert states["event_type_allowed"] == ("held", None)
    assert states["quantity_in_bounds"] == ("discarded", "a till that was tested")
    assert len(rows_of(settings, "events")) == 7


def test_rows_that_the_mended_mapping_leaves_out_are_held_no_more(settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path, [*SALES, STOLEN]))
    mapping = KNOWS_STOLEN.replace('stolen = "purchase"', 'stolen = "leave_out"')
    report = replay(settings, write_shop(tmp_path, SALES, mapping))
    assert report.sentence == "1 held rows judged again: 0 landed, 1 left out by the mapping, 0 stay held."
    assert [row["state"] for row in rows_of(settings, "quarantine")] == ["discarded"]
    assert same_lake(settings, clean_twin(settings, tmp_path, [*SALES, STOLEN], mapping))


def test_a_choice_of_rows_leaves_the_others_alone(settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path, [*SALES, STOLEN, sale(sold_at="2026-10-03 12:00:00", action="stolen")]))
    mended = write_shop(tmp_path, SALES, KNOWS_STOLEN)
    assert replay(settings, mended, window="2026-10-03").windows == (("events", "2026-10-03"),)
    (left,) = list_rows(settings, Selection()).to_pylist()
    assert (left["window"], json.loads(left["raw"])["action"]) == ("2026-10-02", "stolen")
    assert replay(settings, mended, row_id=left["row_id"][:8]).rows_landed == 1


def test_a_quarantine_of_before_the_origin_was_kept_still_counts(settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path, [*SALES, STOLEN]))
    rows = lake.read_table(settings, "quarantine").drop_columns(["origin", "settled_at", "note"])
    old = replace(settings, lake_uri=str(tmp_path / "old"))
    lake.write_deltalake(str(tmp_path / "old" / "quarantine"), rows, partition_by=["source", "window"])
    assert len(list_rows(old, Selection())) == 1
    assert discard(old, Selection(source="corner_shop"), "too old to be read", LATER) == 1
    assert [row["state"] for row in rows_of(old, "quarantine")] == ["discarded"]
