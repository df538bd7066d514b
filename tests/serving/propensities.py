"""Holds what drawing says of its own chances against how often each slate comes."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest

DRAWS = 20_000


def assert_true_propensities(draw: Callable[[int], tuple[Sequence[int], Sequence[float | None]]]) -> None:
    """Draw a slate with each of many seeds: each comes as often as the product of its propensities says."""
    counts, told = Counter[tuple[int, ...]](), dict[tuple[int, ...], float]()
    for seed in range(DRAWS):
        shown, propensities = draw(seed)
        counts[tuple(shown)] += 1
        probability = float(np.prod(propensities))
        assert told.setdefault(tuple(shown), probability) == pytest.approx(probability)
    assert sum(told.values()) == pytest.approx(1.0), "every slate that can come, came"
    for shown, probability in told.items():
        error = 4.5 * np.sqrt(probability * (1 - probability) / DRAWS)
        assert counts[shown] / DRAWS == pytest.approx(probability, abs=error)
