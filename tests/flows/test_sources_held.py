"""Held rows read again: what the quarantine does not keep of them is never guessed."""

import json
from pathlib import Path

import pytest

from flows.settings import Settings
from tests.flows.test_replay import KNOWS_STOLEN, STOLEN, clean_twin, replay, same_lake
from tests.flows.tiny_shop import LATER, MAPPING, SALES, Row, land, rows_of, sale, write_csv, write_parquet, write_shop

STEPS = """
source = "steps"
currency = "EUR"
channel = "web"
window = "day"
[[events]]
files = "rows.csv"
where = "viewed is not null"
columns = { event_time = "viewed", user_id = "customer", item_id = "sku", event_type = "'view'" }
[[events]]
files = "rows.csv"
where = "bought is not null"
columns = { event_time = "bought", user_id = "customer", item_id = "sku", event_type = "'purchase'" }
"""
NUMBERS = 'numbers = ["qty", "line_total"]\n'


def private(mapping: str, *columns: str) -> str:
    return mapping.replace('window = "day"', f'window = "day"\nprivate = {json.dumps(columns)}')


def where(mapping: str, condition: str) -> str:
    return mapping.replace("[events]\n", f"[events]\nwhere = {json.dumps(condition)}\n")


def noted(rows: list[Row]) -> list[Row]:
    return [{**row, "note": "for Anna Maier"} for row in rows]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_rows_with_a_private_column_land(settings: Settings, tmp_path: Path, kind: str):
    before, after = (private(text, "note").replace("sales*.csv", f"sales.{kind}") for text in (MAPPING, KNOWS_STOLEN))
    if kind == "parquet":
        before, after = before.replace(NUMBERS, ""), after.replace(NUMBERS, "")
    shops = []
    for folder in (tmp_path, tmp_path / "twin"):
        shops.append(write_shop(folder, noted([*SALES, STOLEN]), before))
        if kind == "parquet":
            numbers = {"qty": float, "line_total": float}
            rows = [{k: numbers.get(k, str)(v) if v else None for k, v in row.items()} for row in [*SALES, STOLEN]]
            write_parquet(folder / "sales.parquet", [{**row, "note": "for Anna Maier"} for row in rows])
    land(settings, shops[0])
    assert [json.loads(str(row["raw"]))["note"] for row in rows_of(settings, "quarantine")] == [None]
    (tmp_path / "shop.toml").write_text(after)
    assert replay(settings, shops[0]).rows_landed == 1
    assert same_lake(settings, clean_twin(settings, tmp_path, noted([*SALES, STOLEN]), after))


def test_a_private_column_that_the_mapping_comes_to_read_is_told(settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path, noted([*SALES, STOLEN]), private(MAPPING, "note")))
    reads = KNOWS_STOLEN.replace('quantity = "qty"', 'quantity = "qty"\ndiscount = "note / 2"')
    report = replay(settings, write_shop(tmp_path, noted(SALES), private(reads, "note")))
    assert report.rows_landed == 0
    assert "events.discount is made of note, of which the quarantine keeps no more" in report.still_held[0][2]


def test_an_expression_that_fails_on_a_held_row_stops_no_replay(settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path, [*SALES, STOLEN]))
    report = replay(settings, write_shop(tmp_path, SALES, where(KNOWS_STOLEN, "cast(sku as int) > 0")))
    assert "expected SQL that works on every held row" in report.still_held[0][2]
    assert [row["state"] for row in rows_of(settings, "quarantine")] == ["held"]


@pytest.mark.parametrize(
    ("condition", "hides"),
    [("customer like 'card-%'", ()), ("cast(right(customer, 1) as int) > 0", ()), ("till <> '99'", ("till",))],
)
def test_a_where_over_what_is_not_kept_discards_nothing(
    settings: Settings, tmp_path: Path, condition: str, hides: tuple[str, ...]
):
    before, after = (private(where(text, condition), *hides) for text in (MAPPING, KNOWS_STOLEN))
    land(settings, write_shop(tmp_path, [*SALES, STOLEN], before))
    report = replay(settings, write_shop(tmp_path, [*SALES, STOLEN], after))
    assert (report.rows_landed, report.left_out) == (0, 0)
    assert "events.where is made of" in report.still_held[0][2]
    land(settings, str(tmp_path / "shop.toml"), LATER)
    assert [row["state"] for row in rows_of(settings, "quarantine")] == ["replayed"]
    assert len(rows_of(settings, "events")) == 7


def test_event_types_left_out_by_what_is_not_kept_discard_nothing(settings: Settings, tmp_path: Path):
    before, after = (
        private(text.replace('event_type = "action"', 'event_type = "coalesce(note, action)"'), "note")
        for text in (MAPPING, KNOWS_STOLEN.replace('looked = "view"', 'looked = "leave_out"'))
    )
    land(settings, write_shop(tmp_path, [{**row, "note": ""} for row in [*SALES, STOLEN]], before))
    report = replay(settings, write_shop(tmp_path, SALES, after))
    assert (report.rows_landed, report.left_out) == (0, 0)
    assert "events.event_type is made of note" in report.still_held[0][2]


def test_whether_there_is_a_user_can_be_asked_of_a_pseudonym(settings: Settings, tmp_path: Path):
    sales = [*SALES, STOLEN, sale(customer="", action="stolen", line_total="9.00")]
    land(settings, write_shop(tmp_path, sales))
    after = where(KNOWS_STOLEN, "Customer is not null")
    report = replay(settings, write_shop(tmp_path, SALES, after))
    assert (report.rows_landed, report.left_out) == (1, 1)
    assert same_lake(settings, clean_twin(settings, tmp_path, sales, after))


@pytest.mark.parametrize("step", ["viewed", "bought"])
def test_a_step_that_is_held_is_not_freed_by_another_step_of_its_row(settings: Settings, tmp_path: Path, step: str):
    days = {"viewed": 1, "bought": 2}
    rows = [
        {"customer": f"c{n}", "sku": "A", **{name: f"2026-10-0{day} 09:0{n}:00" for name, day in days.items()}}
        for n in range(4)
    ]
    rows[3][step] = f"0{days[step]}.10.2026 09:03"
    shop = tmp_path / "shop.toml"
    shop.write_text(STEPS)
    write_csv(tmp_path / "rows.csv", rows)
    land(settings, str(shop))
    more = {"customer": "c7", "sku": "A", "viewed": "2026-10-01 08:00:00", "bought": "2026-10-02 09:00:00"}
    write_csv(tmp_path / "rows.csv", [*rows, more])
    land(settings, str(shop), LATER)
    assert [row["state"] for row in rows_of(settings, "quarantine")] == ["held"]
    shop.write_text(STEPS.replace("[[events]]", '[[events]]\ntime_format = ["iso", "%d.%m.%Y %H:%M"]'))
    assert replay(settings, str(shop)).rows_landed == 1
    assert len(rows_of(settings, "events")) == 10
