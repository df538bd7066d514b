"""From users' rows to the arrays of the scorer's door, the same way the training set is made."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from feature_repo.features import HABIT_LENGTH, HISTORY_LENGTH
from feature_repo.schema import INTERACTION_TYPES
from serving.history import Habit, Interaction, UserRow

SECONDS_PER_DAY = 86_400.0
_item_id = itemgetter(0)
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
    now = as_of.timestamp()
    histories, habits = [row.history for row in rows], [row.habits for row in rows]
    known, bought = _places(histories, HISTORY_LENGTH), _places(habits, HABIT_LENGTH)
    indices = chain.from_iterable(row.history_indices for row in rows)
    habit_indices = chain.from_iterable(row.habit_indices for row in rows)
    return {
        "history_items": _filled(known, indices, np.int64),
        "history_types": _filled(known, [_TYPE_IDS.get(entry[1], 0) for own in histories for entry in own], np.int64),
        "history_ages": _days(now - _filled(known, [entry[2] for own in histories for entry in own], np.float64, now)),
        "habit_items": _filled(bought, habit_indices, np.int64),
        "habit_counts": _filled(bought, [habit[1] for own in habits for habit in own], np.float32),
        "habit_ages": _days(now - _filled(bought, [habit[2] for own in habits for habit in own], np.float64, now)),
    }


def _places(entries: Sequence[Sequence[Any]], length: int) -> npt.NDArray[np.bool_]:
    """Return which places the users' entries take, bool [users, length]: the last ones."""
    taken = np.array([len(own) for own in entries])
    return np.arange(length, 0, -1) <= taken[:, None]


def _filled(places: npt.NDArray[np.bool_], values: Iterable[Any], dtype: Any, empty: float = 0) -> npt.NDArray[Any]:
    filled = np.full(places.shape, empty, dtype)
    filled[places] = np.fromiter(values, dtype)
    return filled


def _known(entries: Sequence[Any], index: dict[str, int]) -> tuple[Sequence[Any], list[int]]:
    indices = [*map(index.get, map(_item_id, entries))]
    if None not in indices:
        return entries, indices  # type: ignore[return-value]
    kept = [(entry, position) for entry, position in zip(entries, indices, strict=True) if position is not None]
    return [entry for entry, _ in kept], [position for _, position in kept]


def _days(seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    return (np.maximum(seconds, 0.0) / SECONDS_PER_DAY).astype(np.float32)
