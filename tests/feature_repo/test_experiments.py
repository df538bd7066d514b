"""Who sees what in an experiment: each user one arm, by a fair draw that nothing but the salt decides."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.experiments import (
    CHALLENGER,
    CHAMPION,
    INTERLEAVED,
    Bounds,
    Experiment,
    ExperimentError,
    arm_of,
    checked,
    content_of,
    draw_of,
    publication,
    read_experiment,
)
from feature_repo.schema import pseudonym

AB = Experiment("x1", "ab", "r1", "r2", "0" * 64, 0.3, "a salt", "2026-11-28T00:00:00+00:00")
USERS = [pseudonym(str(number), b"key") for number in range(40_000)]
#: The value that chi-square with 99 degrees of freedom exceeds once in 10,000 times.
CHI_SQUARE_99 = 161.3


@pytest.mark.parametrize("salt", ["a salt", "another", ""])
def test_users_fall_evenly_over_the_range_whatever_the_salt(salt: str):
    counts = [0] * 100
    for user in USERS:
        counts[int(100 * draw_of(salt, user))] += 1
    expected = len(USERS) / 100
    assert sum((count - expected) ** 2 / expected for count in counts) < CHI_SQUARE_99


def test_two_salts_have_nothing_to_do_with_each_other():
    both = sum(draw_of("one", user) < 0.5 and draw_of("two", user) < 0.5 for user in USERS)
    assert abs(both - len(USERS) / 4) < 4 * math.sqrt(len(USERS) * 3 / 16)


def test_the_arms_have_their_shares_and_say_their_propensity():
    arms = [arm_of(AB, user) for user in USERS]
    assert {(CHALLENGER, 0.3), (CHAMPION, 0.7)} == set(arms)
    assert abs(arms.count((CHALLENGER, 0.3)) - 0.3 * len(USERS)) < 4 * math.sqrt(len(USERS) * 0.21)
    assert {arm for arm, _ in (arm_of(replace(AB, mode="interleave"), user) for user in USERS)} == {
        INTERLEAVED,
        CHAMPION,
    }


@given(st.text(), st.floats(0.01, 0.5), st.floats(0.01, 0.49))
def test_a_user_stays_in_the_challengers_arm_when_its_share_grows(user: str, share: float, more: float):
    if arm_of(replace(AB, share=share), user)[0] == CHALLENGER:
        assert arm_of(replace(AB, share=share + more), user)[0] == CHALLENGER


def test_what_is_published_is_read_again_and_signed_over_the_same_bytes():
    experiment = replace(AB, bounds=Bounds(slow_ms=20), stopped_at="2026-11-29", reason="errors: 5 – enough")
    found = read_experiment(publication(experiment, {"algorithm": "none"}))
    assert found.experiment == experiment
    assert found.signed == content_of(experiment)
    assert not found.experiment.running


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mode": "guess"}, "mode of shadow"),
        ({"challenger": "r1"}, "other than the champion"),
        ({"share": 0}, "share above 0"),
        ({"share": 1}, "share below 1"),
        ({"bounds": Bounds(errors=2)}, "errors above 0"),
        ({"bounds": Bounds(slow_ms=math.nan)}, "slow_ms above 0"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(change: dict, said: str):
    with pytest.raises(ExperimentError, match=said):
        checked(replace(AB, **change))


@pytest.mark.parametrize("broken", [b"", b"[]", b'{"schema": 2}', b'{"schema": 1, "experiment": {"mode": "ab"}}'])
def test_what_is_no_experiment_is_refused(broken: bytes):
    with pytest.raises(ExperimentError, match=r"experiment\.json|schema"):
        read_experiment(broken)


def test_an_unknown_field_is_refused():
    content = json.loads(publication(AB, {}))
    content["experiment"]["surprise"] = 1
    with pytest.raises(ExperimentError):
        read_experiment(json.dumps(content).encode())
