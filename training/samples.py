"""Training samples: snapshots of users with the items of the days after, and item statistics as of a moment."""

from dataclasses import dataclass

import numpy as np

from training.dataset import DAY_US, Queries, TrainingSet
from training.interactions import Interactions

#: Half-life in days of the popularity that the learned models read.
POPULARITY_HALF_LIFE = 28.0
_DAYS = 100_000.0


@dataclass(frozen=True)
class Samples:
    """Rows of the training queries whose truth is known, and what was taken then, each item once.

    Sample s is query `rows[s]`; its items are `items[starts[s]:starts[s + 1]]`.
    """

    queries: Queries
    rows: np.ndarray
    starts: np.ndarray
    items: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def positives(self, picked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (position in `picked`, item) of every wanted item of these samples."""
        counts = self.starts[picked + 1] - self.starts[picked]
        owner = np.repeat(np.arange(len(picked)), counts)
        first = np.repeat(self.starts[picked] - np.concatenate(([0], np.cumsum(counts)))[:-1], counts)
        return owner, self.items[first + np.arange(len(owner))]


def training_samples(training_set: TrainingSet, seen: Interactions, span_days: int) -> Samples:
    """Return the snapshots of the last `span_days` whose truth lies before the validation cut."""
    queries = training_set.training
    if training_set.step_truth is not None:
        rows = np.flatnonzero(training_set.step_truth.counts() > 0)
        return Samples(queries, rows, np.arange(len(rows) + 1), training_set.step_truth.items)
    day = (queries.as_of - training_set.t_validation) / np.timedelta64(DAY_US, "us")
    code = {user: number for number, user in enumerate(seen.user_ids)}
    user = np.array([code[name] for name in queries.user_ids], dtype=np.float64)
    keys = seen.user * _DAYS + seen.day
    first = np.searchsorted(keys, user * _DAYS + day)
    last = np.searchsorted(keys, user * _DAYS + day + training_set.truth_days)
    rows = np.flatnonzero((last > first) & (day <= -training_set.truth_days) & (day >= -span_days))
    taken = [np.unique(seen.item[first[row] : last[row]]) for row in rows]
    starts = np.concatenate(([0], np.cumsum([len(items) for items in taken]))).astype(np.int64)
    return Samples(queries, rows, starts, np.concatenate(taken) if taken else np.zeros(0, dtype=np.int64))


def log_popularity(seen: Interactions, item_count: int) -> np.ndarray:
    """Return the log share of recent interactions of each item, float32 [n + 1].

    An item that nobody ever touched is new, not disliked: it stands at the median of the items that somebody did.
    """
    weights = np.exp2(seen.day / POPULARITY_HALF_LIFE)
    recent = np.bincount(seen.item, weights=weights, minlength=item_count + 1) + 0.05
    touched = np.bincount(seen.item, minlength=item_count + 1) > 0
    if touched.any():
        recent[~touched] = np.median(recent[touched])
    return np.log(recent / recent.sum()).astype(np.float32)


def repeat_rates(seen: Interactions, item_count: int) -> np.ndarray:
    """Return the share of an item's users who came back to it on another day, smoothed; float32 [n + 1]."""
    days = np.unique(np.stack([seen.user, seen.item, np.floor(seen.day).astype(np.int64)], axis=1), axis=0)
    pairs, counts = np.unique(days[:, :2], axis=0, return_counts=True)
    users = np.bincount(pairs[:, 1], minlength=item_count + 1)
    again = np.bincount(pairs[:, 1], weights=counts > 1, minlength=item_count + 1)
    return ((again + 1) / (users + 5)).astype(np.float32)
