"""From users' sequences to the arrays of query.onnx: no padding beyond the longest of those asked together."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.model_inputs import Sequences

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]


def query_inputs(asked: Sequences, recent: int) -> dict[str, npt.NDArray[Any]]:
    """Return the inputs of query.onnx (feature_repo/features.py) without the rows; `recent` items are encoded.

    Where nothing is known of anybody there is one place of padding.
    """
    done = [end - middle for middle, end in zip(asked.middles, asked.starts[1:], strict=True)]
    own = [middle - start for start, middle in zip(asked.starts, asked.middles, strict=False)]
    history, there = _aligned(asked.starts[1:], done)
    items, ages = _taken(asked.items, history, there, -1), _taken(asked.ages, history, there, 0)
    newest = slice(max(0, history.shape[1] - recent), None)
    live = np.ones((len(asked), items[:, newest].shape[1] + 1), np.int32)
    types = _taken(asked.types, history, there, 0)[:, newest]
    np.greater(types, 0, out=live[:, :-1], casting="unsafe")
    past, held = _padded(asked.past)
    past_times = np.empty((*past.shape, 2), np.float32)
    past_times[:, :, 0] = _taken(asked.ages, past, held, 0)
    past_times[:, :, 1] = _taken(asked.counts, past, held, 0)
    return {
        "recent_items": np.maximum(items[:, newest], 0),
        "recent_types": types[:, :, None],
        "recent_times": _with_gaps(ages[:, newest]),
        "recent_live": live,
        "past_items": _taken(asked.items, past, held, 0),
        "past_times": past_times,
        "history_items": items,
        "history_ages": ages,
        "habits": np.array(own, np.float32)[:, None],
    }


def _aligned(ends: Sequence[int], lengths: Sequence[int]) -> tuple[Places, npt.NDArray[np.bool_] | None]:
    """Return the places before each end, right-aligned, and which of them are there; None: all."""
    longest = max(1, *lengths)
    places = np.array(ends)[:, None] + np.arange(-longest, 0)
    if min(lengths) == longest:
        return places, None
    return places, np.arange(longest, 0, -1) <= np.array(lengths)[:, None]


def _padded(places: Sequence[Sequence[int]]) -> tuple[Places, npt.NDArray[np.bool_] | None]:
    """Return each user's places, left-aligned, and which of them are there; None: all."""
    lengths = [*map(len, places)]
    longest = max(1, *lengths)
    if min(lengths) == longest:
        return np.array(places, np.int64), None
    there = np.arange(longest) < np.array(lengths)[:, None]
    padded = np.zeros(there.shape, np.int64)
    padded[there] = np.fromiter((place for own in places for place in own), np.int64)
    return padded, there


def _taken(values: npt.NDArray[Any], places: Places, there: npt.NDArray[np.bool_] | None, empty: int) -> Any:
    if there is None:
        return values[places]
    found = np.full(places.shape, empty, values.dtype)
    found[there] = values[places[there]]
    return found


def _with_gaps(ages: Floats) -> Floats:
    times = np.zeros((*ages.shape, 2), np.float32)
    times[:, :, 0] = ages
    np.maximum(ages[:, :-1] - ages[:, 1:], 0, out=times[:, 1:, 1])
    return times
