"""The gate with few users: the bootstrap of a handful is too sure of itself, so a sign test must agree."""

import math
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.training.planted import T_TEST, build_training_set
from training import popularity
from training.bootstrap import sign_chance
from training.export import write_model
from training.gate import FEW_USERS, _not_better, compare, judge
from training.gate_checks import GateLimits
from training.gate_slices import Ranked
from training.model import silent, tiny_settings
from training.onnx_ranking import Contender


def reasons(ours: list[int], theirs: list[int]) -> list[str]:
    """What the gate has against a challenger; 1 where a model names the user's one wanted item first, else 0."""
    users = len(ours)
    tops = [np.tile(np.arange(100, 110), (users, 1)) for _ in range(2)]
    for top, found in zip(tops, (ours, theirs), strict=True):
        top[np.array(found, dtype=bool), 0] = 1
    ranked = Ranked(np.arange(users), *tops, np.arange(users + 1), np.ones(users, dtype=np.int64))
    return _not_better(compare("champion", ranked, GateLimits()))


@pytest.mark.parametrize("users", [1, 2, 3, 4])
def test_up_to_four_users_release_nothing_however_much_better_off_they_are(users: int) -> None:
    assert "not surely better than champion by" in reasons([1] * users, [0] * users)[0]


def test_five_users_who_are_all_better_off_release_a_model() -> None:
    assert reasons([1] * 5, [0] * 5) == []


def test_one_user_who_is_worse_off_asks_for_more_who_are_better_off() -> None:
    assert reasons([1] * 6 + [0], [0] * 6 + [1])
    assert reasons([1] * 7 + [0], [0] * 7 + [1]) == []


def test_many_users_of_whom_few_differ_are_the_bootstraps_to_judge() -> None:
    same = [1] * FEW_USERS
    assert reasons([*same, *[1] * 4], [*same, *[0] * 4]) == []
    few = same[: FEW_USERS - 5]
    assert "sign test" in reasons([*few, *[1] * 4], [*few, *[0] * 4])[0]


def test_a_shop_of_one_item_has_a_release(tmp_path: Path) -> None:
    times = [T_TEST + timedelta(days=days) for days in range(-60, 7, 2)]
    shop = build_training_set(
        [(user, "soap", "purchase", time) for user in ("a", "b") for time in times], {"soap": "soap"}
    )
    model = popularity.fit(shop, tiny_settings(), silent)
    write_model(model.module(), 1, tmp_path / "model.onnx")
    report = judge(Contender("popularity", tmp_path / "model.onnx", ["soap"]), model.module(), None, shop)
    assert report.reasons == ()


def test_an_equal_model_rarely_passes_with_few_users() -> None:
    random = np.random.default_rng(3)
    passed = sum(not reasons(*random.integers(0, 2, (2, 8)).tolist()) for _ in range(200))
    assert passed <= 15


def test_the_sign_test_is_the_sum_of_binomial_chances() -> None:
    expected = [sum(math.comb(9, k) for k in range(n, 10)) / 512 for n in range(10)]
    assert [sign_chance(better, 9 - better) for better in range(10)] == pytest.approx(expected)
    assert sign_chance(0, 0) == 1
