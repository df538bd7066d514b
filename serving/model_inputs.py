"""From users' rows to the sequences of the scorer's door, the same way the training set is made."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from feature_repo.features import HABIT_LENGTH, HISTORY_LENGTH
from feature_repo.schema import INTERACTION_TYPES
from serving.history import Columns, Entry, Habit, Interaction, UserRow, as_columns

SECONDS_PER_DAY = 86_400.0
_TYPE_IDS = {name: position for position, name in enumerate(INTERACTION_TYPES, start=1)}


@dataclass(slots=True)
class KnownRow:
    """What of a user's row is in the vocabulary, the newest and strongest that the model takes, with its indices.

    `newest` is where in the history each item is met last; `past` where in habits + history each item stands, each
    once: as a habit, and what is no habit at its newest place.
    """

    history: Columns[Interaction]
    history_indices: list[int]
    habits: Columns[Habit]
    habit_indices: list[int]
    newest: dict[int, int] = field(init=False)
    past: dict[int, int] = field(init=False)

    def __post_init__(self) -> None:
        own, deeds = len(self.habit_indices), len(self.history_indices)
        self.newest = dict(zip(self.history_indices, range(deeds), strict=True))
        self.past = dict(zip(self.history_indices, range(own, own + deeds), strict=True))
        self.past.update(zip(self.habit_indices, range(own), strict=True))


@dataclass(frozen=True, slots=True)
class Sequences:
    """What several users did, one user after the other: habits, strongest first, then the history, oldest first.

    `items` int64 [T] vocabulary indices, `types` int64 [T] (0 for habits), `ages` float32 [T] days, `counts` float32
    [T] purchases (0 in the history). The habits of user u begin at starts[u], the history at middles[u]; the last of
    `starts` is T. `past` are the places of a user's items, each item once.
    """

    items: npt.NDArray[np.int64]
    types: npt.NDArray[np.int64]
    ages: npt.NDArray[np.float32]
    counts: npt.NDArray[np.float32]
    starts: list[int]
    middles: list[int]
    past: list[list[int]]

    def __len__(self) -> int:
        return len(self.past)


def known_row(row: UserRow, index: dict[str, int]) -> KnownRow:
    """Leave out of a row what the vocabulary does not have."""
    history, history_indices = _known(Interaction, row.history, index)
    habits, habit_indices = _known(Habit, row.habits, index)
    if len(history_indices) > HISTORY_LENGTH:
        history, history_indices = history[-HISTORY_LENGTH:], history_indices[-HISTORY_LENGTH:]
    if len(habit_indices) > HABIT_LENGTH:
        habits, habit_indices = habits[:HABIT_LENGTH], habit_indices[:HABIT_LENGTH]
    return KnownRow(history, history_indices, habits, habit_indices)


def sequences_of(rows: Sequence[KnownRow], as_of: datetime) -> Sequences:
    """Return what users did as the scorer takes it. Ages are days before `as_of`, never below 0."""
    items, types, times, counts = list[int](), list[int](), list[int](), list[float]()
    starts, middles, past = [0], list[int](), list[list[int]]()
    for row in rows:
        habits, deeds = row.habits.columns, row.history.columns
        own, done, start = len(row.habit_indices), len(row.history_indices), starts[-1]
        items += row.habit_indices
        items += row.history_indices
        types += [0] * own
        types += [_TYPE_IDS.get(name, 0) for name in deeds[1]]
        times += habits[2]
        times += deeds[2]
        counts += habits[1]
        counts += [0.0] * done
        past.append([start + place for place in row.past.values()] if start else [*row.past.values()])
        middles.append(start + own)
        starts.append(start + own + done)
    ages = np.maximum(as_of.timestamp() - np.array(times, np.float64), 0.0) / SECONDS_PER_DAY
    return Sequences(
        np.array(items, np.int64),
        np.array(types, np.int64),
        ages.astype(np.float32),
        np.array(counts, np.float32),
        starts,
        middles,
        past,
    )


def padded(sequences: Sequences) -> dict[str, npt.NDArray[Any]]:
    """Return sequences as model.onnx takes them, a row a user: right-aligned, newest last, 0 = padding."""
    starts, middles = np.array(sequences.starts), np.array(sequences.middles)
    arrays = dict[str, npt.NDArray[Any]]()
    for names, length, begin, end in (
        (
            {"history_items": "items", "history_types": "types", "history_ages": "ages"},
            HISTORY_LENGTH,
            middles,
            starts[1:],
        ),
        ({"habit_items": "items", "habit_counts": "counts", "habit_ages": "ages"}, HABIT_LENGTH, starts[:-1], middles),
    ):
        places = end[:, None] + np.arange(-length, 0)
        live = places >= begin[:, None]
        for name, column in names.items():
            values = getattr(sequences, column)
            arrays[name] = np.zeros(places.shape, values.dtype)
            arrays[name][live] = values[places[live]]
    return arrays


def _known(kind: type[Entry], entries: Sequence[Entry], index: dict[str, int]) -> tuple[Columns[Entry], list[int]]:
    whole = as_columns(kind, entries)
    indices = [*map(index.get, whole.columns[0])]
    if None not in indices:
        return whole, indices  # type: ignore[return-value]
    kept = [position is not None for position in indices]
    return whole.where(kept), [position for position in indices if position is not None]
