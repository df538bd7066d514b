"""What drift says in words: what the reference let expect, and what came."""

import math
from collections.abc import Sequence

import numpy as np

from expectations.drift_profile import BUCKETS_A_LOGARITHM, ZERO_BUCKET


def words_of_volume(expected: float, change: float) -> str:
    """Rows expected and come, from logarithms."""
    came = f"{math.exp(expected + change) - 0.5:,.0f} came ({_percent(change)})"
    return f"{math.exp(expected) - 0.5:,.0f} rows expected, {came}"


def words_of_level(expected: float, change: float) -> str:
    """Geometric means, from logarithms."""
    return f"mean {math.exp(expected):.3g} expected, {math.exp(expected + change):.3g} came ({_percent(change)})"


def words_of_hours(expected: float, change: float) -> str:
    """The middle hour of the day."""
    return f"middle of the day at {expected % 24:.1f} h expected, at {(expected + change) % 24:.1f} h now"


def _percent(change: float) -> str:
    return f"{100 * math.expm1(change):+.0f} %"


def words_of_share(buckets: Sequence[str], before: np.ndarray, now: np.ndarray) -> str:
    """A share of rows, before and now."""
    place = buckets.index("missing") if "missing" in buckets else 0
    return f"{100 * before[place] / before.sum():.1f} % of rows before, {100 * now[place] / now.sum():.1f} % now"


def words_of_mix(buckets: Sequence[str], before: np.ndarray, now: np.ndarray) -> str:
    """The value whose share changed most."""
    p, q = now / now.sum(), before / before.sum()
    place = int(np.argmax(np.abs(p - q)))
    return f"{buckets[place]}: {100 * q[place]:.1f} % of rows before, {100 * p[place]:.1f} % now"


def words_of_numbers(buckets: Sequence[str], before: np.ndarray, now: np.ndarray) -> str:
    """The medians."""
    return f"median {_median(buckets, before):.3g} before, {_median(buckets, now):.3g} now"


def _median(buckets: Sequence[str], counts: np.ndarray) -> float:
    place = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
    number = int(buckets[min(place, len(buckets) - 1)])
    return 0.0 if number == ZERO_BUCKET else math.exp((number + 0.5) / BUCKETS_A_LOGARITHM)
