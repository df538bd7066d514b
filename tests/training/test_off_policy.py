"""Slates with drawn places tell what another order is worth: the truth is planted, and the log has never seen it."""

from dataclasses import replace

import numpy as np
import pytest

from serving.exploration import Exploration, explore
from training.off_policy import LoggedPlaces, choices, estimate

ITEMS = [f"i{number}" for number in range(8)]
#: How often a shopper clicks an item that they look at, and how often they look at a place.
LIKED = np.array([0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45])
LOOKS = np.array([0.9, 0.6, 0.4])


def logged(
    ranking: list[int],
    other: list[int],
    users: int = 20_000,
    share: float = 0.5,
    liked: np.ndarray = LIKED,
    seed: int = 11,
) -> LoggedPlaces:
    """Slates of three places by `ranking` with places drawn, beside what `other` would have put there."""
    random, rows = np.random.default_rng(seed), list[tuple]()
    pool = {ITEMS[item] for item in ranking[len(LOOKS) :]}
    for user in range(users):
        order, chances = explore(range(len(ITEMS)), len(LOOKS), Exploration(share, f"{seed} {user}"), None)
        shown = [ITEMS[ranking[row]] for row in order]
        clicks = random.random(len(LOOKS)) < liked[[ranking[row] for row in order]] * LOOKS
        ours, theirs = (choices(shown, [ITEMS[item] for item in each]) for each in (ranking, other))
        both = zip(shown, ours, theirs, strict=True)
        said = [(item == mine, item == its, mine == its, its in pool) for item, mine, its in both]
        rows += [(user, *each, *told) for *each, told in zip(chances, clicks, said, strict=True)]
    return LoggedPlaces(*(np.array(column) for column in zip(*rows, strict=True)))


def worth(ranking: list[int], beside: list[int], users: int = 20_000, share: float = 0.5) -> float:
    """Clicks a place of a ranking's choices, given what `beside` has drawn above them."""
    total = 0.0
    for user in range(users):
        order, _ = explore(range(len(ITEMS)), len(LOOKS), Exploration(share, f"{user}"), None)
        shown = [beside[row] for row in order]
        choices = [next(item for item in ranking if item not in shown[:place]) for place in range(len(LOOKS))]
        total += float((LIKED[choices] * LOOKS).mean())
    return total / users


@pytest.mark.slow
@pytest.mark.parametrize("other", [[7, 6, 5, 4, 3, 2, 1, 0], [0, 5, 2, 3, 4, 1, 6, 7], [4, 3, 7, 0, 1, 2, 5, 6]])
def test_the_estimate_finds_what_the_other_order_is_worth(other: list[int]):
    champion = list(range(8))
    found = estimate(logged(champion, other), confidence=0.999, samples=1_000)
    truth, base = worth(other, champion), worth(champion, champion)
    assert found.low < truth - base < found.high
    assert abs(found.challenger - truth) < 0.02
    assert abs(found.champion - base) < 0.01
    assert found.support == pytest.approx(1, abs=0.1)
    assert found.effective_users < found.users
    assert "could have been drawn" in found.sentence()


def test_an_order_that_the_log_hardly_could_draw_says_so():
    assert estimate(logged(list(range(8)), [1, 0, 2, 3, 4, 5, 6, 7]), samples=20).support < 0.6


def test_a_release_is_worth_as_much_as_itself():
    order = list(range(8))
    found = estimate(logged(order, order, users=2_000), samples=100)
    assert (found.difference, found.low, found.high) == (0, 0, 0)


def test_choices_that_the_log_could_not_draw_are_told():
    places = logged(list(range(8)), [1, 2, 0, *range(3, 8)], users=500)
    never = replace(places, challenger=places.challenger & places.alike, drawable=places.drawable & False)
    found = estimate(never, samples=50)
    assert found.support == never.alike.mean() < 1
    assert np.isnan(found.challenger)
    assert found.sentence().startswith("Nothing is known of the challenger")


def test_another_order_of_the_champions_own_items_is_not_told_worse_for_places_that_nothing_drew():
    alike = np.full(8, 0.5)
    for seed in range(5):
        found = estimate(logged(list(range(8)), [1, 0, *range(2, 8)], 300, 0.2, alike, seed), samples=200)
        assert not found.high < 0, found.sentence()


def test_the_bounds_hold_the_truth_where_few_of_the_challengers_choices_were_drawn():
    alike, held = np.full(8, 0.15), 0
    for seed in range(40):
        found = estimate(logged(list(range(8)), [7, *range(7)], 60, 0.2, alike, seed), samples=200)
        held += bool(np.isnan(found.low) or found.low <= 0 <= found.high)
    assert held >= 36


def test_one_user_however_busy_says_little():
    places = logged(list(range(8)), [7, *range(7)], users=400, share=0.5)
    one = estimate(
        replace(
            places, user=np.zeros_like(places.user), clicked=places.champion & (np.arange(len(places.user)) % 9 < 3)
        )
    )
    assert one.users == 1
    assert one.effective_users == pytest.approx(1)
    assert one.high > 0


def test_a_choice_is_the_best_that_does_not_stand_above():
    assert choices(["a", "b", "c"], ["a", "b", "c"]) == ["a", "b", "c"]
    assert choices(["c", "a", "b"], ["a", "b", "c"]) == ["a", "a", "b"]
    assert choices(["a", "x", "b"], ["a", "b", "c"]) == ["a", "b", "b"]
    assert choices(["a"], []) == [None]
