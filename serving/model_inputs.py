"""From users' rows to the arrays of the scorer's door, the same way the training set is made."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from feature_repo.features import HABIT_LENGTH, HISTORY_LENGTH
from feature_repo.schema import INTERACTION_TYPES
from serving.history import Habit, Interaction, UserRow

SECONDS_PER_DAY = 86_400.0
_TYPE_IDS = {name: position for position, name in enumerate(INTERACTION_TYPES, start=1)}


@dataclass(slots=True)
class KnownRow:
    """What of a user's row is in the vocabulary, the newest and strongest that the model takes, with its indices."""

    history: Sequence[Interaction]
    history_indices: list[int]
    habits: Sequence[Habit]
    habit_indices: list[int]


def known_row(row: UserRow, index: dict[str, int]) -> KnownRow:
    """Leave out of a row what the vocabulary does not have."""
    history, history_indices = _known(row.history, index)
    habits, habit_indices = _known(row.habits, index)
    return KnownRow(
        history[-HISTORY_LENGTH:],
        history_indices[-HISTORY_LENGTH:],
        habits[:HABIT_LENGTH],
        habit_indices[:HABIT_LENGTH],
    )


def model_inputs(rows: Sequence[KnownRow], as_of: datetime) -> dict[str, npt.NDArray[Any]]:
    """Return the model's sequences, a row a user: right-aligned, newest last, 0 = padding.

    Ages are days before `as_of`, never below 0.
    """
    now, users = as_of.timestamp(), len(rows)
    items, types = np.zeros((2, users, HISTORY_LENGTH), np.int64)
    times = np.full((users, HISTORY_LENGTH), now)
    habit_items = np.zeros((users, HABIT_LENGTH), np.int64)
    counts = np.zeros((users, HABIT_LENGTH), np.float32)
    habit_times = np.full((users, HABIT_LENGTH), now)
    for user, row in enumerate(rows):
        if row.history_indices:
            start = HISTORY_LENGTH - len(row.history_indices)
            items[user, start:] = row.history_indices
            types[user, start:] = [_TYPE_IDS.get(entry[1], 0) for entry in row.history]
            times[user, start:] = [entry[2] for entry in row.history]
        if row.habit_indices:
            start = HABIT_LENGTH - len(row.habit_indices)
            habit_items[user, start:] = row.habit_indices
            counts[user, start:] = [habit[1] for habit in row.habits]
            habit_times[user, start:] = [habit[2] for habit in row.habits]
    return {
        "history_items": items,
        "history_types": types,
        "history_ages": _days(now - times),
        "habit_items": habit_items,
        "habit_counts": counts,
        "habit_ages": _days(now - habit_times),
    }


def _known(entries: Sequence[Any], index: dict[str, int]) -> tuple[Sequence[Any], list[int]]:
    indices = [index.get(entry[0], 0) for entry in entries]
    if 0 not in indices:
        return entries, indices
    kept = [(entry, position) for entry, position in zip(entries, indices, strict=True) if position]
    return [entry for entry, _ in kept], [position for _, position in kept]


def _days(seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    return (np.maximum(seconds, 0.0) / SECONDS_PER_DAY).astype(np.float32)
