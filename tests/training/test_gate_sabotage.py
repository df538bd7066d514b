"""Twenty spoilt models are refused, each for its own fault, and five honest better ones pass (`benchmarks.gate`).

The shop is planted, so that each model is known to be what its name says.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gate import foreign_signature
from benchmarks.gate_sabotage import (
    Bench,
    honest_entries,
    judge_entry,
    open_bench,
    sabotaged_entries,
    with_future,
)
from benchmarks.gate_shop import Shop, plant_shop
from training.dataset import Cut
from training.gate import rank_both
from training.gate_checks import GateLimits
from training.gate_inputs import input_checks
from training.gate_slices import compare_slices


@pytest.fixture(scope="module")
def shop() -> Shop:
    return plant_shop()


@pytest.fixture(scope="module")
def bench(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return open_bench(shop, tmp_path_factory.mktemp("gate") / "models")


@pytest.mark.slow
def test_twenty_of_twenty_spoilt_models_are_refused_each_for_its_own_fault(bench: Bench, tmp_path: Path) -> None:
    told: dict[str, tuple[str, ...]] = {}
    wrong: dict[str, tuple[str, ...]] = {}
    for name, expected, entry in sabotaged_entries(bench):
        report = judge_entry(bench, entry)
        told[name] = report.reasons
        if report.passed or not any(re.search(expected, reason) for reason in report.reasons):
            wrong[name] = report.reasons
    assert wrong == {}
    assert len(told) == 19
    assert "of the key" in foreign_signature(tmp_path)


@pytest.mark.slow
def test_five_of_five_honest_better_models_pass(bench: Bench) -> None:
    reports = {name: judge_entry(bench, entry) for name, entry in honest_entries(bench)}
    assert len(reports) == 5
    assert {name: report.reasons for name, report in reports.items() if not report.passed} == {}
    assert all(report.comparison.low > 0 for report in reports.values())


def failed_inputs(shop: Shop, **changes: np.ndarray) -> dict[str, str]:
    """Return the checks of the inputs that fail when arrays of the test cut are replaced."""
    test = shop.training_set.test
    training_set = replace(shop.training_set, test=Cut(replace(test.queries, **changes), test.truth))
    checks = input_checks(training_set, GateLimits())
    return {check.name: check.observed for check in checks if not check.passed}


def test_the_inputs_of_an_honest_shop_are_sound(shop: Shop) -> None:
    assert failed_inputs(shop) == {}


def test_events_of_the_future_in_the_inputs_are_found(shop: Shop) -> None:
    queries = shop.training_set.test.queries
    ages = queries.history_ages.copy()
    ages[:30, -1] = -2.5
    found = failed_inputs(shop, history_ages=ages)
    assert found["features after T"].startswith("inputs of the future in 30 of 300 rows of test, up to 2.5 days after")


@pytest.mark.parametrize("age", [0.5, 20.0])
def test_what_users_will_want_is_found_in_their_past_whatever_its_age(shop: Shop, age: float) -> None:
    checks = input_checks(with_future(shop.training_set, age), GateLimits())
    (found,) = [check for check in checks if check.name == "target in input"]
    assert not found.passed
    assert "of them items that the user wants in the test week" in found.observed


def test_inputs_that_end_weeks_ago_are_stale(shop: Shop) -> None:
    queries = shop.training_set.test.queries
    items = np.where(queries.history_ages < 30, 0, queries.history_items)
    assert failed_inputs(shop, history_items=items)["fresh inputs"] == "the newest is 30.5 days old"


def test_columns_in_each_others_place_are_found(shop: Shop) -> None:
    queries = shop.training_set.test.queries
    swapped = failed_inputs(shop, history_types=queries.history_items)
    assert "event types up to 60" in swapped["columns"]
    assert "ages that grow" in failed_inputs(shop, history_ages=queries.history_ages[:, ::-1])["columns"]


def test_a_slice_that_lost_by_chance_refuses_nobody_and_one_that_fell_does(bench: Bench) -> None:
    catalogue, cut, limits = bench.shop.training_set.catalogue, bench.shop.training_set.test, GateLimits()
    entry = next(entry for name, entry in honest_entries(bench) if name == "the rule itself")
    ranked = rank_both(entry.contender, bench.champion, catalogue, cut)
    random = np.random.default_rng(2)
    chance = {f"{n}": np.isin(np.arange(300), random.choice(300, int(random.integers(3, 40)))) for n in range(60)}
    slices = compare_slices(ranked, catalogue, cut, chance, limits)
    assert min(each.ndcg10 - each.incumbent_ndcg10 for each in slices) < 0
    assert [each.name for each in slices if each.fell] == []
    assert {each.name for each in slices} >= {"cold users", "tail items", "category Shelf 0", "channel 7"}
    blind = ranked.ours.copy()
    blind[bench.shop.channels["store"][ranked.rows]] = 0
    slices = compare_slices(replace(ranked, ours=blind), catalogue, cut, bench.shop.channels, limits)
    assert "channel store" in {each.name for each in slices if each.fell}
    assert "channel web" not in {each.name for each in slices if each.fell}
