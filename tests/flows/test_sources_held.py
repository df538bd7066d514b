"""Held rows read again: what the quarantine does not keep of them is never guessed."""

import json
from pathlib import Path

import pytest

from flows.settings import Settings
from tests.flows.test_replay import KNOWS_STOLEN, STOLEN, clean_twin, replay, same_lake
from tests.flows.tiny_shop import LATER, MAPPING, SALES, Row, land, rows_of, sale, write_parquet, write_shop

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
