"""What the comparison with peers counts: ranks against hand-made answers, and when a curve passes a mark."""

import math

import numpy as np
import pytest

from benchmarks.training_speed import compare, quality, seconds_to_pass, table

CURVE = [(10.0, 0.02), (20.0, 0.05), (30.0, 0.04), (40.0, 0.06)]


def test_a_wanted_item_earns_by_its_place_and_a_missing_one_nothing() -> None:
    answers = np.array([[7, 1, 2], [1, 2, 7], [1, 2, 3]])
    assert quality(answers, np.array([7, 7, 7])) == pytest.approx((1 + 1 / math.log2(4)) / 3)
    assert quality(answers, np.array([9, 9, 9])) == 0


def test_a_mark_is_passed_at_the_first_epoch_above_it() -> None:
    assert seconds_to_pass(CURVE, 0.045) == 20
    assert seconds_to_pass(CURVE, 0.05) == 40
    assert seconds_to_pass(CURVE, 0.06) is None


def test_the_ratio_holds_the_peers_best_epoch_against_our_first_better_one() -> None:
    peer = {"n10_test": 0.03, "n10_validation": 0.07, "seconds_to_best": 200.0, "seconds": 300.0, "ended": "time"}
    found = compare(peer, CURVE)
    assert (found["ratio"], found["ratio_whole"]) == (10, 15)
    assert found["ratio_same_cut"] is None
    assert "never" in table({"peer": found})
