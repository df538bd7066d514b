"""Drift: is a day what the same weekdays before it let us expect? Statistics, bounds, and which signals are in alarm.

A signal drifts on a day when its change is large (at least the smallest size that matters to a shop) and more than
chance (beyond a bound that the reference itself gives). It is in alarm on the second such day in a row, so that one
odd day, a holiday say, is no alarm.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from statistics import NormalDist

import numpy as np

from expectations.drift_profile import BUCKETS_A_LOGARITHM, ZERO_BUCKET, Profile, Signal
from expectations.drift_wording import (
    words_of_hours,
    words_of_level,
    words_of_mix,
    words_of_numbers,
    words_of_share,
    words_of_volume,
)

WEEK = 7
#: Same weekdays that a day is at least compared with; with fewer nothing is judged.
FEWEST_WEEKS = 4
#: Rows a day that a signal needs to be judged.
FEWEST_ROWS = 50
#: Bins of equal weight that ordered values are cut into: deciles, and eighths of the day's rows.
_BINS = {"numbers": 10, "hours": 8}
#: A bin that fewer rows than this are expected in is merged with the others like it (the rule of chi-square tests).
_FEWEST_IN_A_BIN = 5
#: A normal sample's standard deviation is this many times its median absolute deviation.
_MAD_TO_SIGMA = 1.4826
#: The least change that matters: of shares (and of values never seen) in shares of rows, of the others as PSI.
SMALLEST = {"share": 0.03, "new": 0.01, "mix": 0.05, "hours": 0.1, "numbers": 0.07}
#: The same of levels: rows (30 % less, 42 % more) and numbers (9 %) as |log ratio|, hours in hours.
SMALLEST_LEVEL = {"volume": 0.35, "numbers": 0.09, "hours": 1.0}


@dataclass(frozen=True)
class DriftRules:
    """How drift is judged.

    `weeks`: the reference, so many weeks back; `days_in_a_row`: a signal must drift on so many to be in alarm;
    `false_alarm_rate`: of one signal, a day, by chance.
    """

    weeks: int = 8
    false_alarm_rate: float = 5e-5
    days_in_a_row: int = 2

    @property
    def window_quantile(self) -> float:
        """The quantile that one day must pass, so that chance passes it so many days in a row at the asked rate."""
        return float(1 - self.false_alarm_rate ** (1 / self.days_in_a_row))


@dataclass(frozen=True)
class Reading:
    """One signal on one day: `score` is 1 where it begins to drift; `words` say what was expected and what came."""

    signal: str
    kind: str
    day: date
    score: float
    words: str

    @property
    def drifts(self) -> bool:
        """The change is large, and more than chance."""
        return self.score >= 1


def read_day(profile: Profile, position: int, rules: DriftRules) -> list[Reading]:
    """Judge every signal of one day (its position in the profile) that has enough of a past."""
    same = _same_weekdays(position, rules.weeks)
    if len(same) < FEWEST_WEEKS:
        return []
    readings = []
    for signal in profile.signals:
        before = signal.counts[same].sum(axis=1)
        usable = np.median(before) >= FEWEST_ROWS and (before > 0).sum() >= FEWEST_WEEKS
        enough = signal.kind == "volume" or signal.counts[position].sum() >= FEWEST_ROWS
        if usable and enough and signal.kind in _LEVELS:
            readings.extend(_read_level(profile, signal, position, rules))
        if usable and enough and signal.kind != "volume":
            readings.extend(_read_distribution(profile, signal, position, rules))
    return readings


def alarms_of(days: Sequence[Sequence[Reading]], rules: DriftRules) -> list[Reading]:
    """Return the last day's readings that drift and did on the days before it (oldest day first)."""
    if len(days) < rules.days_in_a_row:
        return []
    asked = days[-rules.days_in_a_row :]
    steady = set.intersection(*({each.signal for each in day if each.drifts} for day in asked))
    return [reading for reading in asked[-1] if reading.signal in steady]


def _same_weekdays(position: int, weeks: int) -> list[int]:
    return [p for p in (position - WEEK * number for number in range(weeks, 0, -1)) if p >= 0]


def _trailing(position: int, weeks: int) -> np.ndarray:
    return np.arange(max(position - WEEK * weeks, 0), position)


def _read_level(profile: Profile, signal: Signal, position: int, rules: DriftRules) -> list[Reading]:
    """How high a signal stands: the log of its rows, the mean of its logarithms, the middle of its hours.

    The change against the median of the same weekdays is held against the spread of the reference's own days.
    """
    same, trailing = _same_weekdays(position, rules.weeks), _trailing(position, rules.weeks)
    values = _LEVELS[signal.kind](signal, np.append(trailing, position))
    before = values[np.searchsorted(trailing, same)]
    if not (np.isfinite(values[-1]) and np.isfinite(before).any()):
        return []
    expected = float(np.nanmedian(before))
    change = float(values[-1]) - expected
    spread = _sigma(_residuals(values[:-1], trailing % WEEK))
    if signal.kind == "volume":
        spread = max(spread, math.sqrt(1 / math.exp(expected)))
    size, z = SMALLEST_LEVEL[signal.kind], NormalDist().inv_cdf(rules.window_quantile)
    score = min(abs(change) / size, abs(change) / (z * max(spread, 1e-6)))
    name = signal.name if signal.kind == "volume" else f"{signal.name}, level"
    words = {"volume": words_of_volume, "numbers": words_of_level, "hours": words_of_hours}[signal.kind]
    return [Reading(name, signal.kind, profile.days[position], score, words(expected, change))]


def _residuals(values: np.ndarray, weekdays: np.ndarray) -> np.ndarray:
    """Each day against the median of the other days of its weekday."""
    found = []
    for weekday in range(WEEK):
        days = values[weekdays == weekday]
        days = days[np.isfinite(days)]
        found += [days[number] - np.median(np.delete(days, number)) for number in range(len(days)) if len(days) > 1]
    return np.array(found)


def _log_rows(signal: Signal, days: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(signal.counts[days].sum(axis=1) + 0.5))


def mean_logarithm(signal: Signal, days: np.ndarray) -> np.ndarray:
    """Of the numbers above zero."""
    logs = np.array([(int(bucket) + 0.5) / BUCKETS_A_LOGARITHM for bucket in signal.buckets])
    counts = signal.counts[days] * np.array([int(bucket) != ZERO_BUCKET for bucket in signal.buckets])
    rows = counts.sum(axis=1)
    return np.where(rows > 0, counts @ logs / np.maximum(rows, 1), np.nan)


def _middle_hour(signal: Signal, days: np.ndarray) -> np.ndarray:
    """The circular mean, within 12 hours of the mean of all days."""
    turns = np.exp(2j * np.pi * (np.array([int(bucket) for bucket in signal.buckets]) + 0.5) / 24)
    sums = signal.counts[days] @ turns
    middle = np.angle(sums[:-1].sum()) * 12 / np.pi % 24
    away = np.angle(sums * np.exp(-1j * np.pi * middle / 12)) * 12 / np.pi
    return np.where(np.abs(sums) > 0, middle + away, np.nan)


_LEVELS = {"volume": _log_rows, "numbers": mean_logarithm, "hours": _middle_hour}


def _read_distribution(profile: Profile, signal: Signal, position: int, rules: DriftRules) -> list[Reading]:
    """The population stability index of the day against the same weekdays, and the share of values never seen."""
    trailing, same = _trailing(position, rules.weeks), _same_weekdays(position, rules.weeks)
    now, pooled = signal.counts[position], signal.counts[same].sum(axis=0)
    bins = bins_of(signal, pooled, now.sum())
    if bins.shape[1] < 2:
        return []
    index = stability_index(now @ bins, pooled @ bins)
    change = abs(now[0] / now.sum() - pooled[0] / pooled.sum()) if signal.kind == "share" else index
    chance = chi_square(rules.window_quantile, bins.shape[1] - 1) * (1 / now.sum() + 1 / pooled.sum())
    score = min(change / SMALLEST[signal.kind], index / (chance * _overdispersion(signal, bins, trailing)))
    reading = Reading(signal.name, signal.kind, profile.days[position], float(score), _words(signal, pooled, now))
    return [reading, *_read_new(profile, signal, position, rules)]


def _words(signal: Signal, before: np.ndarray, now: np.ndarray) -> str:
    say = {"share": words_of_share, "mix": words_of_mix, "hours": words_of_mix, "numbers": words_of_numbers}[
        signal.kind
    ]
    return say(signal.buckets, before, now)


def _read_new(profile: Profile, signal: Signal, position: int, rules: DriftRules) -> list[Reading]:
    if signal.kind != "mix":
        return []
    known = _trailing(position - rules.days_in_a_row + 1, rules.weeks)
    now, seen = signal.counts[position], signal.counts[known].sum(axis=0)
    fresh = now * (seen == 0)
    share = float(fresh.sum() / now.sum())
    score = share / SMALLEST["new"] if fresh.sum() >= _FEWEST_IN_A_BIN else 0.0
    names = ", ".join(signal.buckets[place] for place in np.argsort(-fresh)[:3] if fresh[place])
    words = f"{100 * share:.1f} % of rows have a value never seen before: {names}" if names else "no new value"
    return [Reading(f"new {signal.name}", "new", profile.days[position], score, words)]


def stability_index(now: np.ndarray, before: np.ndarray) -> float:
    """The population stability index Σ (p − q) ln(p / q) over bins of counts, half a row added to each (Jeffreys)."""
    p = (now + 0.5) / (now + 0.5).sum(axis=-1, keepdims=True)
    q = (before + 0.5) / (before + 0.5).sum(axis=-1, keepdims=True)
    return ((p - q) * np.log(p / q)).sum(axis=-1)


def _overdispersion(signal: Signal, bins: np.ndarray, trailing: np.ndarray) -> float:
    """How much more the reference's own days vary than independent rows would: at least 1.

    Rows of one basket are not independent, and no two days are alike. Each day is held against the other days of its
    weekday; PSI / (1/n + 1/m) would follow chi-square, and the middle and the upper decile say by how much it does not.
    """
    degrees, binned, seen = bins.shape[1] - 1, signal.counts[trailing] @ bins, []
    for weekday in range(WEEK):
        days = binned[trailing % WEEK == weekday]
        days = days[days.sum(axis=1) > 0]
        if len(days) > 1:
            others = days.sum(axis=0) - days
            seen.append(stability_index(days, others) / (1 / days.sum(axis=1) + 1 / others.sum(axis=1)))
    values = np.concatenate(seen)
    return max(1.0, *(float(np.quantile(values, q)) / chi_square(q, degrees) for q in (0.5, 0.9)))


def chi_square(quantile: float, degrees: int) -> float:
    """A quantile of the chi-square distribution, by Wilson and Hilferty's cube (1931)."""
    part = 2 / (9 * degrees)
    return float(degrees * max(1 - part + NormalDist().inv_cdf(quantile) * math.sqrt(part), 0.05) ** 3)


def bins_of(signal: Signal, pooled: np.ndarray, rows: float) -> np.ndarray:
    """Zeros and ones [bucket, bin]: equal parts of what is ordered, frequent values and the rest else."""
    size = len(signal.buckets)
    if signal.kind == "share":
        return np.eye(2)[:size]
    if signal.kind in ("hours", "numbers"):
        number = _BINS[signal.kind]
        middle = (np.cumsum(pooled) - pooled / 2) / pooled.sum()
        group = np.minimum((middle * number).astype(int), number - 1)
    else:
        frequent = pooled / pooled.sum() * rows >= _FEWEST_IN_A_BIN
        group = np.where(frequent, np.cumsum(frequent), 0)
    _, place = np.unique(group, return_inverse=True)
    return np.eye(place.max() + 1)[place]


def _sigma(values: np.ndarray) -> float:
    return float(_MAD_TO_SIGMA * np.median(np.abs(values - np.median(values))))
