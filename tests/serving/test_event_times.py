"""Events without a time or an id: each counts, whatever the clocks of those who sent the ones before."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from feature_repo.schema import pseudonym
from serving.contract import Event
from serving.event_intake import Intake, take_events
from serving.history import Interaction
from serving.metrics import make_metrics
from serving.release import Release
from serving.spool import open_spool
from tests.serving.conftest import Server
from tests.serving.tiny_shop import AS_OF, BREAD, COFFEE, KEY, MILK

NOW = AS_OF + timedelta(hours=1, milliseconds=400)
SECOND = int(NOW.timestamp())
AHEAD = NOW + timedelta(minutes=4)
SKEWED = pseudonym("skewed", KEY)


@pytest.fixture
def intake(tmp_path: Path) -> Intake:
    return Intake(open_spool(tmp_path / "spool"), KEY, make_metrics())


def event(
    item_id: str = MILK, event_type: str = "purchase", at: datetime | None = None, name: str | None = None
) -> Event:
    return Event(user_id="skewed", item_id=item_id, event_type=event_type, event_time=at, event_id=name)


def history(release: Release) -> list[tuple[str, str, int]]:
    assert release.online is not None
    return [tuple(entry) for entry in release.online.read(SKEWED).history]


def test_purchases_without_a_time_all_count_while_the_newest_known_deed_lies_ahead_of_the_clock(
    release: Release, intake: Intake
):
    take_events(intake, release, [event(COFFEE, "view", AHEAD)], NOW)
    receipts = [take_events(intake, release, [event()], NOW + timedelta(seconds=later)) for later in (1, 2, 3)]
    assert [(receipt.accepted, receipt.duplicates) for receipt in receipts] == [(1, 0)] * 3
    assert len({receipt.event_ids[0] for receipt in receipts}) == 3
    ahead = int(AHEAD.timestamp())
    bought = [Interaction(MILK, "purchase", ahead + place) for place in (1, 2, 3)]
    assert history(release) == [Interaction(COFFEE, "view", ahead), *bought]
    assert release.online is not None
    assert release.online.read(SKEWED).habits[0].purchases == 3.0
    (path,) = intake.spool.folder.glob("events-*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [datetime.fromisoformat(line["event_time"]) for line in lines] == sorted(
        datetime.fromisoformat(line["event_time"]) for line in lines
    )
    assert all(line["event_time"] <= line["known_at"] for line in lines)


def test_the_same_deed_twice_in_a_second_and_in_a_request_counts_twice(release: Release, intake: Intake):
    receipt = take_events(intake, release, [event(), event(BREAD), event()], NOW)
    assert (receipt.accepted, receipt.duplicates) == (3, 0)
    take_events(intake, release, [event()], NOW)
    assert release.online is not None
    habits = {habit.item_id: habit.purchases for habit in release.online.read(SKEWED).habits}
    assert habits == {MILK: 3.0, BREAD: 1.0}


def test_deeds_of_one_moment_are_not_moved_apart(release: Release, intake: Intake):
    take_events(intake, release, [event(MILK), event(BREAD), event(COFFEE)], NOW)
    assert history(release) == [Interaction(item_id, "purchase", SECOND) for item_id in (MILK, BREAD, COFFEE)]


def test_an_event_with_a_time_or_an_id_is_known_again(release: Release, intake: Intake):
    for again in (event(at=NOW - timedelta(days=1)), event(name="one")):
        assert take_events(intake, release, [again], NOW).duplicates == 0
        assert take_events(intake, release, [again], NOW + timedelta(seconds=5)).duplicates == 1
    assert len(history(release)) == 2


def test_an_event_is_known_when_it_arrives_whatever_its_sender_or_the_release_clock_says(
    release: Release, intake: Intake
):
    before, ahead = datetime.now(UTC), datetime.now(UTC) + timedelta(seconds=90)
    take_events(intake, release, [event(at=ahead)], before)
    take_events(intake, release, [event(COFFEE)], NOW)
    (path,) = intake.spool.folder.glob("events-*.jsonl")
    known = [datetime.fromisoformat(json.loads(line)["known_at"]) for line in path.read_text().splitlines()]
    assert len(known) == 2
    assert all(before <= moment <= datetime.now(UTC) for moment in known)
    assert release.online is not None
    assert release.online.read(SKEWED).history_stored_at == (known[-1] - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )


def test_a_deed_without_a_time_comes_after_one_ahead_of_the_clock_in_the_same_request(release: Release, intake: Intake):
    take_events(intake, release, [event(COFFEE), event(MILK, at=AHEAD)], NOW)
    assert [item_id for item_id, _, _ in history(release)] == [MILK, COFFEE]


def test_a_server_takes_what_is_bought_again_after_a_deed_ahead_of_its_clock(served: Server):
    def push(**more: object) -> dict:
        body = {"events": [{"user_id": "ahead of us", "item_id": MILK, **more}]}
        answer = httpx.post(f"{served.url}/v1/events", json=body, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()

    as_of = httpx.post(f"{served.url}/v1/recommendations", json={"k": 1}, trust_env=False).json()["as_of"]
    ahead = datetime.fromisoformat(as_of) + timedelta(minutes=3)
    push(event_type="view", event_time=ahead.isoformat())
    assert [push(event_type="purchase")["accepted"] for _ in range(3)] == [1, 1, 1]
    question = {"user_id": "ahead of us", "k": 24}
    answer = httpx.post(f"{served.url}/v1/recommendations", json=question, trust_env=False).json()
    (milk,) = [item for item in answer["slate"] if item["item_id"] == MILK]
    assert milk["reason"]["text"].startswith("You bought this 3 times")
