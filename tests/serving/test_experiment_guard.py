"""The guard stops a challenger that breaks a bound, and is not fooled by looking: counted over all ways."""

import math
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.experiments import CHALLENGER, CHAMPION, INTERLEAVED, Bounds
from serving.experiment_guard import SPAN, Guard, Tally, evidence_above

GOOD = Tally(answers=1)


def guard(**bounds: float) -> Guard:
    return Guard(Bounds(**bounds), span_began=0.0)


def note(found: Guard, arm: str, times: int, tally: Tally, now: float = 0.0) -> None:
    for _ in range(times):
        found.note(arm, tally, now)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.005, 0.9), st.floats(0, 1), st.integers(1, 10))
def test_the_expected_evidence_is_at_most_one_up_to_the_bound(most: float, part: float, answers: int):
    share = most * part
    ways = [
        math.prod(share if bad else 1 - share for bad in way) * math.exp(evidence_above(sum(way), answers, most))
        for way in product([False, True], repeat=answers)
        if sum(way) > most * answers
    ]
    assert sum(ways) <= 1 + 1e-9


def test_evidence_grows_with_what_is_bad_and_says_nothing_within_the_bound():
    assert evidence_above(0, 1_000, 0.01) == evidence_above(10, 1_000, 0.01) == evidence_above(0, 0, 0.01) == 0
    found = [evidence_above(bad, 1_000, 0.01) for bad in range(15, 200, 10)]
    assert found == sorted(found)
    assert found[-1] > 100


@pytest.mark.parametrize("what", ["errors", "slow"])
def test_a_challenger_that_only_fails_is_stopped_after_a_few_answers(what: str):
    found, after = guard(), 0
    while found.stopped is None and after < 50:
        found.note(CHALLENGER, Tally(answers=1, **{what: 1}), 0.0)
        after += 1
    assert after <= 6
    assert found.stopped.startswith(f"{what}: {after} of the last {after} answers")


def test_what_was_good_before_does_not_excuse_what_is_bad_now():
    found = guard()
    for second in range(600):
        note(found, CHALLENGER, 50, GOOD, float(second))
    assert found.stopped is None
    for second in range(600, 660):
        note(found, CHALLENGER, 50, Tally(answers=1, errors=int(second % 2)), float(second))
    assert found.stopped is not None


def test_what_was_bad_long_ago_is_forgotten():
    found = guard(errors=0.1)
    for round_of in range(50):
        for number in range(6):
            found.note(CHALLENGER, Tally(answers=1, errors=int(number < 2)), 3 * SPAN * round_of)
    assert found.stopped is None


def test_answers_that_are_not_personal_are_held_against_the_champions_share():
    cold, warm = Tally(answers=1, fallbacks=1), GOOD
    found = guard()
    note(found, CHAMPION, 300, cold)
    note(found, CHAMPION, 700, warm)
    for _ in range(100):
        note(found, CHALLENGER, 3, cold)
        note(found, CHALLENGER, 7, warm)
    assert found.stopped is None, "as many cold users as the champion has"
    note(found, CHALLENGER, 600, cold)
    assert found.stopped.startswith("fallbacks")
    early = guard()
    note(early, CHALLENGER, 300, cold)
    assert early.stopped is None, "nothing is known of the champion yet"


def test_a_challenger_that_nobody_clicks_is_stopped_and_one_like_the_champion_is_not():
    found, lost = guard(), guard()
    for number in range(4_000):
        arm, user = (CHAMPION if number % 2 else CHALLENGER), f"u{number}"
        for each in (found, lost):
            each.note(arm, GOOD, 0.0)
            each.note_slate(arm, user, ["a", "b"])
        if number % 10 < 2:
            found.note_click(user, "a")
            found.note_click(user, "b")
            found.note_click(user, "z")
            if arm == CHAMPION:
                lost.note_click(user, "a")
    assert found.stopped is None
    assert lost.stopped.startswith("click-through: 0.00%")
    counts = found.counts()
    assert counts[CHAMPION]["clicked"] == counts[CHALLENGER]["clicked"] == 400, "one click a slate"


def test_slates_of_both_releases_are_held_against_no_click_through():
    found = Guard(Bounds(), mixed=True)
    for number in range(2_000):
        arm, user = (INTERLEAVED if number % 2 else CHAMPION), f"u{number}"
        for each in (CHAMPION, CHALLENGER) if arm == INTERLEAVED else (CHAMPION,):
            found.note(each, GOOD, 0.0)
        found.note_slate(arm, user, ["a", "b"])
        found.note_click(user, "a")
    assert found.stopped is None


def test_a_click_on_what_was_not_shown_or_by_a_stranger_counts_nothing():
    found = guard()
    found.note_slate(CHALLENGER, "u1", ["a"])
    found.note_click("u1", "b")
    found.note_click("u1", None)
    found.note_click("u2", "a")
    assert found.counts()[CHALLENGER]["clicked"] == 0
