"""The shop's own id of a user is not kept, and blanks are the id of nobody."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from feature_repo.schema import pseudonym
from serving.contract import BatchRequest, Event, RecommendationRequest
from serving.event_intake import Intake, take_events
from serving.metrics import make_metrics
from serving.release import Release
from serving.spool import open_spool
from tests.serving.tiny_shop import AS_OF, KEY, MILK


@pytest.mark.parametrize(("user", "visit"), [("anna@mail.at", "anna@mail.at/7"), ("17", "visit_17-a"), ("17", "17")])
def test_a_user_id_within_other_ids_of_an_event_is_the_pseudonym_in_the_spool(
    release: Release, tmp_path: Path, user: str, visit: str
):
    names = {"event_id": f"{visit}.1", "session_id": visit, "basket_id": f"order {visit}"}
    event = Event(user_id=user, item_id=MILK, event_type="view", **names)
    intake = Intake(open_spool(tmp_path), KEY, make_metrics())
    assert [take_events(intake, release, [event], AS_OF).duplicates for _ in range(2)] == [0, 1]
    (path,) = tmp_path.glob("events-*.jsonl")
    kept = visit.replace(user, pseudonym(user, KEY))
    assert f'"session_id":"{kept}","basket_id":"order {kept}"' in path.read_text()
    assert f'"event_id":"{kept}.1"' in path.read_text()


def test_blanks_around_a_user_id_are_no_part_of_it(release: Release, tmp_path: Path):
    event = Event(user_id=" anna@mail.at ", item_id=MILK, event_type="view", session_id="anna@mail.at/7")
    take_events(Intake(open_spool(tmp_path), KEY, make_metrics()), release, [event], AS_OF)
    (path,) = tmp_path.glob("events-*.jsonl")
    user = pseudonym("anna@mail.at", KEY)
    assert f'"user_id":"{user}"' in path.read_text()
    assert f'"session_id":"{user}/7"' in path.read_text()


def test_an_id_that_has_the_user_id_as_a_part_of_another_word_stays(release: Release, tmp_path: Path):
    event = Event(user_id="17", item_id=MILK, event_type="view", event_id="e170", session_id="s17", basket_id="2017-1")
    take_events(Intake(open_spool(tmp_path), KEY, make_metrics()), release, [event], AS_OF)
    (path,) = tmp_path.glob("events-*.jsonl")
    assert all(f'"{name}"' in path.read_text() for name in ("e170", "s17", "2017-1"))


def test_blanks_are_no_user_so_that_all_who_have_no_id_do_not_become_one_person():
    for ask in (
        lambda: Event(user_id="  ", item_id=MILK, event_type="view"),
        lambda: RecommendationRequest(user_id=" "),
        lambda: BatchRequest(user_ids=["a", "\t"]),
    ):
        with pytest.raises(ValidationError, match="at least 1 character"):
            ask()


def test_blanks_around_a_user_id_make_no_other_person_and_hide_it_from_no_search(release: Release, tmp_path: Path):
    names = {"session_id": "1228/7", "basket_id": "for 1228", "event_id": "e1"}
    event = Event(user_id="\t1228 ", item_id=MILK, event_type="view", **names)
    take_events(Intake(open_spool(tmp_path), KEY, make_metrics()), release, [event], AS_OF)
    (path,) = tmp_path.glob("events-*.jsonl")
    one = pseudonym("1228", KEY)
    assert f'"user_id":"{one}"' in path.read_text()
    assert "1228" not in path.read_text()
    assert RecommendationRequest(user_id=" 1228").user_id == "1228"
    assert BatchRequest(user_ids=["1228\n"]).user_ids == ["1228"]
    assert pseudonym(" 1228 ", KEY) == one
