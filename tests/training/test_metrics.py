import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import metrics

RANKED = np.array([[3, 1, 2], [4, 5, 6], [1, 2, 3]])
STARTS = np.array([0, 2, 3, 3])
ITEMS = np.array([1, 2, 9])


def test_hand_made_lists_have_the_values_of_the_formulas() -> None:
    hit, wanted = metrics.hits(RANKED, STARTS, ITEMS), np.diff(STARTS)
    assert hit.tolist() == [[False, True, True], [False, False, False], [False, False, False]]
    assert metrics.recall(hit, wanted, 3)[:2].tolist() == [1.0, 0.0]
    assert metrics.recall(hit, wanted, 2)[0] == 0.5
    ideal = 1 + 1 / math.log2(3)
    assert metrics.ndcg(hit, wanted, 3)[0] == pytest.approx((1 / math.log2(3) + 1 / 2) / ideal)
    assert metrics.reciprocal_rank(hit, wanted)[0] == 0.5
    assert metrics.coverage(RANKED, 1, 10) == pytest.approx(0.3)


def test_a_user_who_wanted_nothing_is_left_out_of_every_mean() -> None:
    hit, wanted = metrics.hits(RANKED, STARTS, ITEMS), np.diff(STARTS)
    values = metrics.ndcg(hit, wanted, 3)
    assert math.isnan(values[2])
    assert metrics.mean(values) == pytest.approx(values[:2].mean())
    assert math.isnan(metrics.mean(np.array([math.nan])))


def test_padding_is_never_a_hit_but_an_unknown_item_still_counts_as_wanted() -> None:
    ranked, starts, items = np.array([[0, 1]]), np.array([0, 2]), np.array([0, 1])
    hit = metrics.hits(ranked, starts, items)
    assert hit.tolist() == [[False, True]]
    assert metrics.recall(hit, np.diff(starts), 2)[0] == 0.5


@st.composite
def rankings(draw: st.DrawFn) -> tuple[list[list[int]], list[list[int]]]:
    queries = draw(st.integers(1, 5))
    width = draw(st.integers(1, 12))
    ranked = [draw(st.permutations(range(1, 13)))[:width] for _ in range(queries)]
    wanted = [sorted(draw(st.sets(st.integers(1, 15), max_size=8))) for _ in range(queries)]
    return ranked, wanted


@given(rankings())
def test_metrics_agree_with_a_slow_plain_loop(case: tuple[list[list[int]], list[list[int]]]) -> None:
    ranked, wanted = case
    starts = np.concatenate(([0], np.cumsum([len(items) for items in wanted])))
    flat = np.array([item for items in wanted for item in items], dtype=np.int64)
    hit, counts = metrics.hits(np.array(ranked), starts, flat), np.diff(starts)
    got = metrics.ndcg(hit, counts, 10), metrics.recall(hit, counts, 10), metrics.reciprocal_rank(hit, counts)
    for row, (items, truth) in enumerate(zip(ranked, wanted, strict=True)):
        if not truth:
            assert all(math.isnan(values[row]) for values in got)
            continue
        gain = sum(1 / math.log2(place + 2) for place, item in enumerate(items[:10]) if item in truth)
        ideal = sum(1 / math.log2(place + 2) for place in range(min(10, len(truth))))
        found = sum(item in truth for item in items[:10]) / len(truth)
        first = next((1 / (place + 1) for place, item in enumerate(items) if item in truth), 0.0)
        assert [values[row] for values in got] == pytest.approx([gain / ideal, found, first])


def test_the_bootstrap_interval_holds_the_mean_and_narrows_with_more_users() -> None:
    random = np.random.default_rng(0)
    few, many = random.random(50), random.random(5000)
    (low, high), (tight_low, tight_high) = metrics.bootstrap_interval(few), metrics.bootstrap_interval(many)
    assert low < few.mean() < high
    assert tight_high - tight_low < (high - low) / 4
    assert metrics.bootstrap_interval(few) == (low, high)


def test_the_bootstrap_interval_is_that_of_all_draws_at_once_and_holds_few_of_them() -> None:
    values = np.random.default_rng(1).random(2000)
    draws = np.random.default_rng(0).multinomial(len(values), np.full(len(values), 1 / len(values)), size=1000)
    low, high = np.quantile(draws @ values / len(values), [0.025, 0.975])
    tracemalloc.start()
    came = metrics.bootstrap_interval(values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert came == (low, high)
    assert peak < draws.nbytes / 8


def test_a_paired_interval_of_equal_models_is_nothing() -> None:
    values = np.array([0.1, 0.9, 0.4])
    assert metrics.paired_interval(values, values) == (0.0, 0.0)


KINDS = np.array([0, 1, 1, 2, 2])


def test_miscalibration_worked_by_hand() -> None:
    history, ranked = np.array([[1, 2, 3, 0], [1, 3, 0, 0], [0, 0, 0, 0]]), np.array([[1, 3], [1, 2], [1, 2]])
    found = metrics.miscalibration(ranked, history, KINDS)
    first = 2 / 3 * math.log((2 / 3) / (0.99 / 2 + 0.01 * 2 / 3))
    first += 1 / 3 * math.log((1 / 3) / (0.99 / 2 + 0.01 / 3))
    second = 0.5 * math.log(0.5 / (0.99 + 0.005)) + 0.5 * math.log(0.5 / 0.005)
    assert found[:2] == pytest.approx([first, second])
    assert math.isnan(found[2])


@given(st.lists(st.integers(1, 4), min_size=1, max_size=8), st.integers(1, 5))
def test_a_list_with_the_shares_of_the_history_is_calibrated_and_no_list_is_better(items: list[int], seed: int) -> None:
    history = np.array([items])
    same = metrics.miscalibration(np.array([items * 2]), history, KINDS)[0]
    other = metrics.miscalibration(np.random.default_rng(seed).integers(1, 5, (1, 6)), history, KINDS)[0]
    assert same == pytest.approx(0, abs=1e-12)
    assert other >= -1e-12
