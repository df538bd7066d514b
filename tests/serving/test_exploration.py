"""Exploration under caps: it draws, keeps to the caps, and tells the true probability; and what stands undrawn."""

from collections import Counter
from dataclasses import replace
from typing import Any

import orjson
import pytest

from feature_repo.slate_rules import publication, read_rules_file
from serving.arrangement import Limits, room_of
from serving.catalogue import Item
from serving.exploration import Exploration, explore
from serving.history import UserRow
from serving.metrics import make_metrics
from serving.placement import Wishes
from serving.plain_slates import plain_items
from serving.recommender import UNDRAWN, Question, recommend, recommend_many
from serving.release import Release
from serving.shelf_rules import bind_rules
from tests.serving.propensities import assert_true_propensities
from tests.serving.tiny_shop import AS_OF, STRANGER
from training.off_policy import choices

PINS = """
[[pin]]
item = "i05"
place = 3
[[pin]]
item = "i02"
place = 8
"""


def logged(question: Question) -> dict[str, Any]:
    """A question of nobody known, as a row of the answer log has it."""
    return {"question": orjson.dumps(question), "features": orjson.dumps(UserRow()), "as_of": AS_OF.isoformat()}


def with_shelves(release: Release) -> Release:
    """The shop with a first category for each shelf."""
    items = [
        replace(item, category=(item.category or "").removeprefix("GROCERY > ")) for item in release.catalogue.items
    ]
    return replace(release, catalogue=replace(release.catalogue, items=tuple(items)))


def test_with_caps_as_many_places_are_drawn_as_asked_for_and_the_caps_hold(release: Release):
    shop, drawn, places = with_shelves(release), 0, 0
    for seed in range(300):
        wishes = Wishes(Limits(per_category=2), exploration=Exploration(0.5, str(seed)))
        answer = recommend(shop, Question(STRANGER, 8, wishes=wishes), AS_OF, make_metrics())
        assert max(Counter(item.category for item in answer.slate).values()) <= 2
        assert len(answer.slate) == 8
        assert answer.notes == []
        drawn += sum("exploration" in item.sources for item in answer.slate)
        places += len(answer.slate)
    assert drawn / places == pytest.approx(0.5, abs=0.06)


def test_under_caps_the_told_propensity_is_how_often_an_item_stands_there(release: Release):
    shelves = [None, "a", "a", "b", "a", "b", "b", "c"]
    items = tuple(Item(f"x{at}", f"X {at}", shelf, None, None, None) for at, shelf in enumerate(shelves))
    catalogue = replace(release.catalogue, items=items)

    def draw(seed: int) -> tuple[list[int], list[float | None]]:
        room = room_of(catalogue, Limits(per_category=2))
        shown, propensities = explore(range(1, 8), 3, Exploration(0.4, str(seed)), "u", room)
        assert max(Counter(shelves[item] for item in shown).values()) <= 2
        return shown, propensities

    assert_true_propensities(draw)


def test_where_the_caps_leave_nothing_to_draw_the_answer_says_so(release: Release):
    wishes = Wishes(Limits(per_brand=24), exploration=Exploration(0.5, "a"))
    whole = recommend(release, Question(STRANGER, 24, wishes=wishes), AS_OF, make_metrics())
    assert whole.notes[-1] == UNDRAWN, "the whole catalogue is in the slate"


@pytest.mark.parametrize("diversity", [0.0, 0.3])
def test_what_was_not_drawn_is_what_the_same_release_would_have_shown(release: Release, diversity: float):
    published, _ = publication(1, read_rules_file(PINS), "now")
    shop = replace(release, rules=bind_rules(published, release.catalogue, None))
    undrawn = 0
    for seed in range(20):
        wishes = Wishes(diversity=diversity, exploration=Exploration(0.3, str(seed)))
        question = Question(STRANGER, 5, wishes=wishes)
        (answer,) = recommend_many(shop, [question], AS_OF, make_metrics(), rows=[UserRow()])
        plain = plain_items(shop, logged(question), make_metrics())
        for item, choice in zip(answer.slate, choices([each.item_id for each in answer.slate], plain), strict=True):
            if not {"pin", "exploration"} & {*item.sources}:
                undrawn += 1
                assert item.item_id == choice, (seed, plain)
        assert len(plain) >= 10
    assert undrawn > 40
