"""A shop corrects the time of an event that has an id of its own: the lake has it once, where it is now."""

from pathlib import Path

import pytest

from flows.settings import Settings
from tests.flows.test_replay import replay
from tests.flows.tiny_shop import LATER, MAPPING, Row, land, rows_of, sale, write_shop

pytestmark = pytest.mark.slow

NUMBERED = MAPPING.replace("[events.columns]", '[events.columns]\nevent_id = "number"').replace(
    'event_id = ["user_id", "event_time", "item_id", "event_type"]\n', ""
)
BY_NUMBER = MAPPING.replace('["user_id", "event_time", "item_id", "event_type"]', '["number"]')


def receipt(number: str, day: str, **changes: str) -> Row:
    return sale(sold_at=f"2026-10-{day} 10:00:00", number=number, **changes)


FIRST, OTHER, LAST = receipt("1", "01"), receipt("2", "01"), receipt("3", "09")


def days(settings: Settings) -> list[str]:
    return sorted(str(row["event_time"])[8:10] for row in rows_of(settings, "events"))


@pytest.mark.parametrize("mapping", [NUMBERED, BY_NUMBER])
@pytest.mark.parametrize("whole", [True, False])
def test_an_event_whose_time_is_corrected_moves_to_its_new_window(
    settings: Settings, tmp_path: Path, mapping: str, whole: bool
):
    land(settings, write_shop(tmp_path, [FIRST, OTHER, LAST], mapping))
    corrected = receipt("1", "05")
    land(settings, write_shop(tmp_path, [corrected, OTHER, LAST] if whole else [corrected], mapping), LATER)
    assert days(settings) == ["01", "05", "09"]
    land(settings, write_shop(tmp_path, [corrected, OTHER, LAST], mapping), LATER)
    assert days(settings) == ["01", "05", "09"]


def test_the_only_event_of_a_window_leaves_it_empty_and_may_come_back(settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path, [FIRST, LAST], NUMBERED))
    land(settings, write_shop(tmp_path, [receipt("1", "05")], NUMBERED), LATER)
    assert days(settings) == ["05", "09"]
    land(settings, write_shop(tmp_path, [FIRST, LAST], NUMBERED), LATER)
    assert days(settings) == ["01", "09"]


def test_a_correction_that_is_held_takes_nothing_away(settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path, [FIRST, LAST], NUMBERED))
    land(settings, write_shop(tmp_path, [receipt("1", "05", qty="-3"), receipt("3", "some")], NUMBERED), LATER)
    assert days(settings) == ["01", "09"]
    assert len(rows_of(settings, "quarantine")) == 2


@pytest.mark.parametrize("mapping", [NUMBERED, BY_NUMBER])
def test_a_replay_does_not_land_an_event_again_that_lies_at_another_time(
    settings: Settings, tmp_path: Path, mapping: str
):
    land(settings, write_shop(tmp_path, [FIRST, LAST], mapping))
    land(settings, write_shop(tmp_path, [receipt("1", "05", action="stolen")], mapping), LATER)
    mended = mapping.replace('bought = "purchase"', 'bought = "purchase", stolen = "purchase"')
    report = replay(settings, write_shop(tmp_path, [LAST], mended))
    assert days(settings) == ["01", "09"]
    assert [(table, rule) for table, rule, *_ in report.still_held] == [("events", "event_id_unique")]


def test_an_event_whose_id_says_its_time_is_another_event_at_another_time(settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path, [FIRST, LAST]))
    land(settings, write_shop(tmp_path, [receipt("1", "05")]), LATER)
    assert days(settings) == ["01", "05", "09"]
