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
    """The medians, or where both are in one bucket the numbers of which most came or went."""
    medians = [_median_place(buckets, counts) for counts in (before, now)]
    if medians[0] != medians[1]:
        was, is_ = (_number(buckets[place]) for place in medians)
        return f"median {was:.3g} before, {is_:.3g} now"
    p, q = now / now.sum(), before / before.sum()
    place = int(np.argmax(np.abs(p - q)))
    return f"about {_number(buckets[place]):.3g}: {100 * q[place]:.1f} % of rows before, {100 * p[place]:.1f} % now"


def _median_place(buckets: Sequence[str], counts: np.ndarray) -> int:
    return min(int(np.searchsorted(np.cumsum(counts), counts.sum() / 2)), len(buckets) - 1)


def _number(bucket: str) -> float:
    return 0.0 if int(bucket) == ZERO_BUCKET else math.exp((int(bucket) + 0.5) / BUCKETS_A_LOGARITHM)
