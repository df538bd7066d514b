"""Drift of features: is a feature table what the tables of the weeks before it let us expect?

A feature moves slowly by its making: a count over 364 days grows through a shop's first year, and the users of one
day are those of the day before. So a snapshot is held against the one a week earlier, and the change of that week
against the weekly changes of the reference: what is usual is a step, not a state. A change counts when it is large and
far beyond the steps of the reference; a signal is in alarm on the second such day in a row.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from expectations.drift import WEEK, DriftRules, Reading, bins_of, mean_logarithm, stability_index
from expectations.drift_profile import ZERO_BUCKET, Profile, Signal
from expectations.drift_wording import words_of_level, words_of_mix, words_of_numbers, words_of_share, words_of_volume

#: Rows (users or items) that a signal needs on both days to be judged.
FEWEST_ROWS = 50
#: Weekly steps that the reference needs.
FEWEST_STEPS = 4
#: The least change that matters, beyond what the reference's steps would have brought.
SMALLEST = {"share": 0.05, "mix": 0.1, "numbers": 0.1, "new": 0.02, "vanished": 0.02}
#: The same of levels, as |log ratio|: rows, the geometric mean of a feature, and how many rows are above zero.
SMALLEST_LEVEL = {"volume": 0.2, "numbers": 0.25, "above zero": 0.3}
#: Features that follow the shop's campaigns, not its users or our code: of these only missing values are judged.
FOLLOWS_CAMPAIGNS = (
    "user_activity.event_count_",
    "user_activity.days_since_last_event",
    "user_coupons.redemption_count_",
    "user_coupons.days_since_last_redemption",
)
#: A change must be so many times the larger steps of the reference (of steps that vary as normal ones do, twice the
#: largest of 49). A third of them may be faults of the past: a fault that is mended leaves the watch as it was.
BEYOND = 5.0
_LARGER_STEPS = 0.7


#: Says what was expected and what came, from a logarithm and its change.
Words = Callable[[float, float], str]


@dataclass(frozen=True)
class _Step:
    """A signal, the judged day's position, and the reference's pairs of days a week apart."""

    signal: Signal
    position: int
    pairs: np.ndarray

    @property
    def now(self) -> np.ndarray:
        """The judged day's counts."""
        return self.signal.counts[self.position]

    @property
    def before(self) -> np.ndarray:
        """Those of a week before."""
        return self.signal.counts[self.position - WEEK]


def read_feature_day(profile: Profile, position: int, rules: DriftRules) -> list[Reading]:
    """Judge every signal of one day (its position in the profile) that has enough of a past.

    The newest days of the reference are left out, so that a change is not judged by itself.
    """
    readings = []
    for signal in profile.signals:
        if signal.name.startswith(FOLLOWS_CAMPAIGNS):
            continue
        step = _step(signal, position, rules)
        if step is not None:
            for name, kind, score, words in _judge(step):
                readings.append(Reading(name, kind, profile.days[position], score, words))
    return readings


def _step(signal: Signal, position: int, rules: DriftRules) -> _Step | None:
    rows = signal.counts.sum(axis=1)
    ends = range(max(position - WEEK * rules.weeks, 0) + WEEK, position - rules.days_in_a_row + 1)
    pairs = np.array([(day, day - WEEK) for day in ends if rows[day] > 0 and rows[day - WEEK] > 0])
    if position < WEEK or len(pairs) < FEWEST_STEPS or min(rows[position], rows[position - WEEK]) < FEWEST_ROWS:
        return None
    return _Step(signal, position, pairs)


def _judge(step: _Step) -> list[tuple[str, str, float, str]]:
    """(name, kind, score, words) of everything that is read of a signal."""
    signal = step.signal
    if signal.kind == "volume":
        rows = np.log(signal.counts.sum(axis=1) + 0.5)
        return [(signal.name, "volume", *_level(step, "volume", rows, words_of_volume))]
    if signal.kind == "share":
        return [(signal.name, "share", *_share(step))]
    found = [(signal.name, signal.kind, *_distribution(step))]
    if signal.kind == "numbers":
        levels, above = mean_logarithm(signal, np.arange(len(signal.counts))), _rows_above_zero(signal)
        found.append((f"{signal.name}, level", "numbers", *_level(step, "numbers", levels, words_of_level)))
        found.append((f"{signal.name}, above zero", "volume", *_level(step, "above zero", above, words_of_volume)))
    else:
        found += [
            (f"new {signal.name}", "new", *_appeared(step)),
            (f"vanished {signal.name}", "vanished", *_gone(step)),
        ]
    return found


def _rows_above_zero(signal: Signal) -> np.ndarray:
    """Their logarithm; most rows of a sparse feature are zero, and its distribution hardly shows the others."""
    rows = signal.counts @ np.array([float(int(bucket) != ZERO_BUCKET) for bucket in signal.buckets])
    return np.where(rows >= FEWEST_ROWS, np.log(rows + 0.5), np.nan)


def _level(step: _Step, kind: str, values: np.ndarray, words: Words) -> tuple[float, str]:
    """A logarithm's change in a week against the changes of the reference, whose median is what was expected."""
    steps = values[step.pairs[:, 0]] - values[step.pairs[:, 1]]
    steps = steps[np.isfinite(steps)]
    change = values[step.position] - values[step.position - WEEK]
    if not (np.isfinite(change) and len(steps) >= FEWEST_STEPS):
        return 0.0, "not judged"
    usual = float(np.median(steps))
    beyond = abs(change - usual)
    score = min(beyond / SMALLEST_LEVEL[kind], beyond / _bound(np.abs(steps - usual)))
    return score, words(float(values[step.position - WEEK]) + usual, float(change) - usual)


def _share(step: _Step) -> tuple[float, str]:
    shares = step.signal.counts[:, 0] / np.maximum(step.signal.counts.sum(axis=1), 1)
    steps = np.abs(shares[step.pairs[:, 0]] - shares[step.pairs[:, 1]])
    change = abs(shares[step.position] - shares[step.position - WEEK])
    score = min(change / SMALLEST["share"], change / _bound(steps))
    return score, words_of_share(step.signal.buckets, step.before, step.now)


def _distribution(step: _Step) -> tuple[float, str]:
    """The population stability index of a week's change, in bins of equal weight of the day a week before."""
    bins = bins_of(step.signal, step.before, step.now.sum())
    counts = step.signal.counts @ bins
    words = {"mix": words_of_mix, "numbers": words_of_numbers}[step.signal.kind]
    said = words(step.signal.buckets, step.before, step.now)
    if bins.shape[1] < 2:
        return 0.0, said
    index = float(stability_index(counts[step.position], counts[step.position - WEEK]))
    usual = stability_index(counts[step.pairs[:, 0]], counts[step.pairs[:, 1]])
    return min(index / SMALLEST[step.signal.kind], index / _bound(usual)), said


def _values(step: _Step, chosen: np.ndarray, whole: np.ndarray) -> tuple[float, str]:
    """The share of rows of some values, and their names, the most frequent first."""
    places = [place for place in np.argsort(-chosen) if chosen[place]]
    return float(chosen.sum() / whole.sum()), ", ".join(step.signal.buckets[place] for place in places[:3])


def _appeared(step: _Step) -> tuple[float, str]:
    """The share of rows with a value that the reference never had."""
    seen = step.signal.counts[np.unique(step.pairs)].sum(axis=0)
    share, names = _values(step, step.now * (seen == 0), step.now)
    said = f"{100 * share:.1f} % of rows have a value never seen before: {names}" if names else "no new value"
    return share / SMALLEST["new"], said


def _gone(step: _Step) -> tuple[float, str]:
    """The share that values had on every day of the reference of which nothing is left."""
    always = (step.signal.counts[np.unique(step.pairs)] > 0).all(axis=0)
    share, names = _values(step, step.before * (always & (step.now == 0)), step.before)
    said = f"values with {100 * share:.1f} % of rows are gone: {names}" if names else "no value is gone"
    return share / SMALLEST["vanished"], said


def _bound(steps: np.ndarray) -> float:
    """Beyond this a step is more than the reference's own."""
    return max(BEYOND * float(np.quantile(steps, _LARGER_STEPS)), 1e-9)
