"""From a user's row to the arrays of the scorer's door, the same way the training set is made."""

from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from feature_repo.features import HABIT_LENGTH, HISTORY_LENGTH
from feature_repo.schema import INTERACTION_TYPES
from serving.history import UserRow

SECONDS_PER_DAY = 86_400.0
_TYPE_IDS = {name: position for position, name in enumerate(INTERACTION_TYPES, start=1)}


def model_inputs(
    row: UserRow, index: dict[str, int], allowed: npt.NDArray[np.bool_], as_of: datetime
) -> dict[str, npt.NDArray[Any]]:
    """Return the model's inputs for one user (batch 1): sequences right-aligned, newest last, 0 = padding.

    Items outside the vocabulary are left out. Ages are days before `as_of`, never below 0.
    """
    now = as_of.timestamp()
    history = [entry for entry in row.history if entry.item_id in index][-HISTORY_LENGTH:]
    habits = [habit for habit in row.habits if habit.item_id in index][:HABIT_LENGTH]
    return {
        "history_items": _aligned([index[entry.item_id] for entry in history], HISTORY_LENGTH, np.int64),
        "history_types": _aligned([_TYPE_IDS.get(entry.event_type, 0) for entry in history], HISTORY_LENGTH, np.int64),
        "history_ages": _aligned([_days(now, entry.event_time) for entry in history], HISTORY_LENGTH, np.float32),
        "habit_items": _aligned([index[habit.item_id] for habit in habits], HABIT_LENGTH, np.int64),
        "habit_counts": _aligned([habit.purchases for habit in habits], HABIT_LENGTH, np.float32),
        "habit_ages": _aligned([_days(now, habit.last_time) for habit in habits], HABIT_LENGTH, np.float32),
        "allowed": allowed[None, :],
    }


def _days(now: float, moment: int) -> float:
    return max(0.0, now - moment) / SECONDS_PER_DAY


def _aligned(values: list[Any], length: int, dtype: type[np.generic]) -> npt.NDArray[Any]:
    row = np.zeros((1, length), dtype)
    if values:
        row[0, length - len(values) :] = values
    return row
