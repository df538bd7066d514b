"""From the arrays of the scorer's door to those of query.onnx: no padding beyond the longest, past items each once."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]


def query_inputs(inputs: Mapping[str, npt.NDArray[Any]], recent: int) -> dict[str, npt.NDArray[Any]]:
    """Return the inputs of query.onnx (feature_repo/features.py) without the rows; `recent` items are encoded."""
    history, ages = _newest(inputs["history_items"]), inputs["history_ages"]
    length = history.shape[1]
    ages, types = ages[:, -length:], inputs["history_types"][:, -length:]
    chosen = _each_once(inputs["habit_items"], history)
    items = np.concatenate([inputs["habit_items"], history], axis=1)
    times = np.zeros((*items.shape, 2), np.float32)
    times[:, :, 0] = np.concatenate([inputs["habit_ages"], ages], axis=1)
    times[:, :-length, 1] = inputs["habit_counts"]
    users = np.arange(len(items))[:, None]
    past = items[users, chosen] * (chosen >= 0)
    newest_types = types[:, -recent:] * (history[:, -recent:] > 0)
    live = np.ones((len(items), newest_types.shape[1] + 1), np.int32)
    live[:, :-1] = newest_types > 0
    return {
        "recent_items": history[:, -recent:],
        "recent_types": newest_types[:, :, None],
        "recent_times": _with_gaps(ages[:, -recent:]),
        "recent_live": live,
        "past_items": past,
        "past_times": times[users, chosen] * (past > 0)[:, :, None],
        "history_items": np.where(history > 0, history, -1),
        "history_ages": ages,
        "habits": np.count_nonzero(inputs["habit_items"], axis=1).astype(np.float32)[:, None],
    }


def _newest(history: Places) -> Places:
    """Leave out the columns before the longest history; one is always left."""
    there = history.any(axis=0)
    return history[:, int(there.argmax()) if there.any() else -1 :]


def _each_once(habits: Places, history: Places) -> Places:
    """Return where each user's past items stand in habits + history, each once: habits, then what is no habit at its
    newest place. A row that is shorter than the longest ends with −1; there is one column at least.
    """
    offset, chosen = habits.shape[1], list[list[int]]()
    for own, deeds in zip(habits.tolist(), history.tolist(), strict=True):
        places = {item: place for place, item in enumerate(deeds, start=offset)}
        places |= {item: place for place, item in enumerate(own)}
        places.pop(0, None)
        chosen.append([*places.values()])
    padded = np.full((len(chosen), max(1, *map(len, chosen))), -1, np.int64)
    for row, places_of in zip(padded, chosen, strict=True):
        row[: len(places_of)] = places_of
    return padded


def _with_gaps(ages: Floats) -> Floats:
    times = np.zeros((*ages.shape, 2), np.float32)
    times[:, :, 0] = ages
    np.maximum(ages[:, :-1] - ages[:, 1:], 0, out=times[:, 1:, 1])
    return times
