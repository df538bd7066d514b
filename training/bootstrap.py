"""Bounds of a mean by drawing the users again (percentile bootstrap: Efron and Tibshirani, 1993, ch. 13).

Of a handful of users the bootstrap is too sure: one user drawn again is the same user. The sign test is exact there.
"""

import numpy as np
from scipy.special import bdtrc


def paired_bounds(
    difference: np.ndarray, confidence: float = 0.95, samples: int = 4000, seed: int = 0
) -> tuple[float, float]:
    """Return the lower and the upper one-sided bound of the mean of a difference per user; NaN without users."""
    if not len(difference):
        return float("nan"), float("nan")
    random = np.random.default_rng(seed)
    chances = np.full(len(difference), 1 / len(difference))
    means = [
        random.multinomial(len(difference), chances, size=min(500, samples)) @ difference
        for _ in range(max(1, samples // 500))
    ]
    low, high = np.quantile(np.concatenate(means) / len(difference), [1 - confidence, confidence])
    return float(low), float(high)


def sign_chance(better: int, worse: int) -> float:
    """Return the chance that so many or more of the users who differ are better off, were it a coin's throw for each.

    The exact one-sided sign test (Conover, Practical Nonparametric Statistics, 1999, ch. 3.4); 1 where nobody differs.
    """
    return float(bdtrc(better - 1, better + worse, 0.5)) if better else 1.0
