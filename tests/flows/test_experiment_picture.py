"""What the pictures of an experiment show: percent and whole users, and a word where there is nothing to draw yet."""

import numpy as np
import pytest

from flows.experiment_picture import arms_figure, preference_figure, shadow_figure
from flows.shadow_comparisons import ShadowComparisons
from training.experiment_analysis import analyse_arms, analyse_preferences


def arms_of(challenged: list[int], clicked: list[int]):
    """The four charts of a small experiment."""
    arms, outcome = np.array(challenged, bool), np.array(clicked, bool)
    return arms_figure(analyse_arms(arms, outcome, 0.5, 1_000), arms, outcome, 0.5).axes


def test_before_the_effect_can_be_told_its_chart_says_what_it_waits_for():
    effect = arms_of([0, 1, 0, 1], [1, 0, 0, 1])[0]
    assert "20 users of each arm have clicked" in effect.texts[0].get_text()
    assert not len(effect.get_xticks())
    told = arms_of([0, 1] * 100, [1] * 200)[0]
    assert not told.texts


def test_shares_are_told_in_percent_and_users_as_whole_numbers():
    _, _, rates, ratio = arms_of([0, 1] * 2_000, [1, 0, 0, 1] * 1_000)
    for axes in (rates, ratio):
        assert axes.yaxis.get_major_formatter()(0.25) == "25%"
        assert axes.xaxis.get_major_formatter()(2_000, 0) == "2,000"
        assert all(float(tick).is_integer() for tick in axes.get_xticks())


@pytest.mark.parametrize("users", [1, 3])
def test_few_users_are_seen_as_points_and_an_arm_without_users_has_no_share(users: int):
    _, _, rates, _ = arms_of([0] * users, [1] * users)
    challenger, champion = rates.get_lines()
    assert np.isnan(challenger.get_ydata()).all()
    assert list(champion.get_ydata()) == [1.0] * users
    assert champion.get_marker() == "."
    figure = preference_figure(analyse_preferences(np.ones(users), 1_000), np.ones(users))
    assert all(float(tick).is_integer() for axis in (figure.axes[0].get_xticks(),) for tick in axis)


def test_the_bars_of_a_shadow_experiment_count_whole_slates_and_name_what_they_count():
    flags, numbers = np.zeros(3, bool), np.array([0.0, 0.5, 1.0])
    overlap, correlation, times = shadow_figure(ShadowComparisons(numbers, numbers, numbers, flags, flags, flags)).axes
    for axes in (overlap, correlation):
        assert axes.get_ylabel() == "slates"
        assert all(float(tick).is_integer() for tick in axes.get_yticks())
    assert overlap.xaxis.get_major_formatter()(0.5) == "50%"
    assert (times.get_xlabel(), times.get_ylabel()) == ("slates, in the order of their answers", "ms")
