"""Evidence that may be looked at at any time: counted over all ways, its mean is at most 1 when nothing is there."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.experiment_analysis import VERDICT_EVIDENCE, analyse_arms, analyse_preferences
from training.sequential import (
    LEAST_OUTCOMES,
    effect_evidence,
    effect_interval,
    preference_evidence,
    ratio_evidence,
)

USERS = 5
#: Every way in which five users can meet the arms and click.
WAYS = np.array(list(product([False, True], repeat=2 * USERS)))
CHALLENGED, OUTCOME = WAYS[:, :USERS], WAYS[:, USERS:]
chances = st.floats(0.01, 0.99)
shares = st.floats(0.02, 0.98)


def expectation(log_evidence: np.ndarray, share: float, champion: float, challenger: float) -> np.ndarray:
    """The mean over all ways of the evidence after each user, for these true chances of a click."""
    chance = np.where(CHALLENGED, challenger, champion)
    weight = np.where(CHALLENGED, share, 1 - share) * np.where(OUTCOME, chance, 1 - chance)
    return (weight.prod(axis=1)[:, None] * np.exp(log_evidence)).sum(axis=0)


@settings(max_examples=60, deadline=None)
@given(shares, chances, chances, st.integers(10, 100_000))
def test_the_expected_evidence_is_at_most_one_where_it_is_false(share: float, one: float, other: float, planned: int):
    better, worse = effect_evidence(CHALLENGED, OUTCOME, share, planned)
    high, low = max(one, other), min(one, other)
    assert (expectation(better, share, high, low) <= 1 + 1e-9).all(), "it is worse or the same"
    assert (expectation(worse, share, low, high) <= 1 + 1e-9).all(), "it is better or the same"
    assert expectation(better, share, low, low)[-1] <= 1 + 1e-9


@settings(max_examples=30, deadline=None)
@given(shares)
def test_the_expected_evidence_about_the_ratio_is_one_where_the_ratio_holds(share: float):
    evidence = ratio_evidence(CHALLENGED, share)
    assert expectation(evidence, share, 0.5, 0.5) == pytest.approx(np.ones(USERS))
    wrong = 1 - share if abs(share - 0.5) > 0.2 else share / 2
    assert (expectation(evidence, wrong, 0.5, 0.5)[-1]) > 1


def test_the_expected_evidence_of_preferences_is_at_most_one_where_nobody_has_one():
    ways = np.array(list(product([-1.0, 0.0, 1.0], repeat=6)))
    better, worse = preference_evidence(ways, 100)
    for draws in (0.0, 0.3, 0.9):
        weight = np.where(ways == 0, draws, (1 - draws) / 2).prod(axis=1)
        for evidence in (better, worse):
            assert (weight @ np.exp(evidence) <= 1 + 1e-9).all()


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60), shares)
def test_what_comes_later_changes_nothing_that_was_said_before(users: list, share: float):
    challenged, outcome = (np.array(each) for each in zip(*users, strict=True))
    whole = [*effect_evidence(challenged, outcome, share, 100), ratio_evidence(challenged, share)]
    part = slice(0, len(users) // 2 + 1)
    before = [*effect_evidence(challenged[part], outcome[part], share, 100), ratio_evidence(challenged[part], share)]
    for now, then in zip(whole, before, strict=True):
        np.testing.assert_allclose(now[part], then)


def planted(champion: float, challenger: float, share: float = 0.5, users: int = 30_000) -> tuple:
    random = np.random.default_rng(7)
    challenged = random.random(users) < share
    return challenged, random.random(users) < np.where(challenged, challenger, champion)


@pytest.mark.parametrize(
    ("champion", "challenger", "verdict"), [(0.1, 0.13, "better"), (0.13, 0.1, "worse"), (0.1, 0.1, "open")]
)
def test_a_planted_effect_gets_its_verdict_and_lies_in_its_interval(champion: float, challenger: float, verdict: str):
    challenged, outcome = planted(champion, challenger)
    found = analyse_arms(challenged, outcome, 0.5, 10_000)
    assert found.verdict == verdict
    assert (found.decided_after is None) == (verdict == "open")
    assert found.low[-1] < challenger - champion < found.high[-1]
    assert abs(found.effect[-1] - (challenger - champion)) < 0.01
    assert sum(found.users) == 30_000
    assert {"better": "is better", "worse": "is worse", "open": "no verdict"}[verdict] in found.sentence()


def test_arms_without_their_shares_are_not_to_be_trusted_whatever_they_show():
    challenged, outcome = planted(0.1, 0.2, share=0.45)
    found = analyse_arms(challenged, outcome, 0.5, 10_000)
    assert (found.verdict, found.better[-1] > VERDICT_EVIDENCE) == ("not to be trusted", True)
    assert "neither may be believed" in found.sentence()


def test_no_interval_is_told_before_each_arm_has_had_outcomes():
    challenged, outcome = planted(0.05, 0.05, share=0.1, users=5_000)
    _, low, high = effect_interval(challenged, outcome, 0.1, 10_000)
    first = int((np.cumsum(challenged & outcome) >= LEAST_OUTCOMES).argmax())
    assert np.isinf(low[:first]).all()
    assert np.isfinite(high[first:]).all()


def test_preferences_of_interleaved_slates_get_their_verdict():
    random = np.random.default_rng(3)
    preferred = random.choice([-1.0, 0.0, 1.0], p=[0.1, 0.77, 0.13], size=20_000)
    found = analyse_preferences(preferred, 10_000)
    assert (found.verdict, found.users) == ("better", 20_000)
    assert analyse_preferences(-preferred, 10_000).verdict == "worse"
    assert analyse_preferences(np.zeros(100), 10_000).sentence().endswith("no verdict yet.")


def test_an_experiment_without_users_has_no_verdict():
    nobody = np.zeros(0, bool)
    found = analyse_arms(nobody, nobody, 0.5, 1_000)
    assert (found.verdict, found.users) == ("open", (0, 0))
    assert found.sentence() == "No user counts yet, so there is no verdict."
