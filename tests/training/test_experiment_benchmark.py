"""The benchmark of experiments knows what it plants: a peeked z-test is fooled, the evidence is not."""

import numpy as np

from benchmarks.experiment import _arms, _interleaving, _ratios


def test_the_evidence_holds_where_a_peeked_test_is_fooled():
    random = np.random.default_rng(3)
    nothing = _arms(random, 100, (0.1, 0.1), 0.5)
    assert nothing.verdicts <= 0.05
    assert nothing.naive_wins > 0.1
    assert _arms(random, 50, (0.1, 0.13), 0.5).wins > 0.9
    assert _arms(random, 50, (0.13, 0.1), 0.5).wins == 0


def test_lost_users_and_better_releases_are_found():
    random = np.random.default_rng(4)
    found = _ratios(random, 50)
    assert (found["0% lost"], found["10% lost"]) == (0.0, 1.0)
    beside = _interleaving(random, 20)
    assert beside["interleaving"]["20000"] >= beside["ab"]["20000"] > 0
