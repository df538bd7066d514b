"""A release's item index: a user's best items, found in the cells that can hold them.

training/item_index.py makes it. An item new to the user has the score query · row + standing; those of past items come
from the query's graph. A cell promises centre · query + its highest standing + margin · |query| · spread. Cells of the
highest standing are looked at for everybody, others from the most promising on, until none promises more than the worst
of the k best found. Where that would not pay, all items are scored.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from feature_repo.features import MODEL_INPUTS, QUERY_INPUTS, QUERY_OUTPUTS
from serving.model_inputs import Sequences, padded
from serving.query_inputs import query_inputs

#: The query's graph of releases before there was one without padding: fixed lengths, and what past items have beside.
PADDED_INPUTS, PADDED_OUTPUTS = {*MODEL_INPUTS[:6], "past_rows"}, ("query", "extra")
#: Items that everybody is scored for, those of the first cells; and the cells looked at next before a halt, each
#: further step looking at twice as many.
FIRST_ITEMS, FIRST_CELLS = 1_024, 16
#: Best items up to which cells are searched, and the share of items that must be allowed; else all items are scored.
MOST_SEARCHED, SEARCHED_SHARE = 500, 0.05

Floats = npt.NDArray[np.float32]
#: Vocabulary indices and scores of some items, best first.
Ranking = tuple[npt.NDArray[np.int64], Floats]


@dataclass(frozen=True)
class ItemIndex:
    """Cells of items; arrays over n items stand in the order of cells (training/item_index.py), `rows` in the file.

    `places` int64 [n + 1] is where each vocabulary index stands; that of padding is 0, and what is read there does not
    count. The query encodes `recent` items; None for a graph that takes padded sequences. `first_cells` are looked at
    for everybody. `norms` float32 [cells] are the lengths of the centres, rounded up.
    """

    session: Any
    rows: Floats
    standing: Floats
    items: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    starts: Sequence[int]
    centres: Floats
    tops: Floats
    spreads: Floats
    margin: float
    recent: int | None
    first_cells: int
    norms: Floats


@dataclass(frozen=True, slots=True)
class Asked:
    """One user's question: what multiplies rows, and the past items, each once, with their places and scores."""

    query: Floats
    past: npt.NDArray[np.int64]
    past_places: npt.NDArray[np.int64]
    past_scores: Floats


def read_index(folder: Path, session: Any) -> ItemIndex:
    """Read the index of a verified release folder; item rows are mapped, so that only those looked at take memory.

    Raises ValueError when the files do not fit each other.
    """
    with np.load(folder / "item_index.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    rows: Floats = np.asarray(np.load(folder / "item_rows.npy", mmap_mode="r", allow_pickle=False))
    items, starts = arrays["items"], arrays["starts"]
    whole = len(rows) == len(items) == len(arrays["standing"]) == starts[-1] and rows.dtype == np.float32
    if not whole or not np.array_equal(np.sort(items), np.arange(1, len(items) + 1)):
        raise ValueError(f"item_index.npz: expected each of {len(rows)} items once, in cells that hold them all")
    if not all(np.isfinite(arrays[name]).all() for name in ("standing", "centres", "tops", "spreads", "margin")):
        raise ValueError("item_index.npz: expected finite numbers only")
    recent = int(arrays["recent"]) if "recent" in arrays else None
    expected = PADDED_INPUTS if recent is None else {*QUERY_INPUTS}
    if {value.name for value in session.get_inputs()} != expected:
        raise ValueError(f"query.onnx: expected the inputs {sorted(expected)}")
    places = np.zeros(len(items) + 1, np.int64)
    places[items] = np.arange(len(items))
    return ItemIndex(
        session,
        rows,
        arrays["standing"],
        items.astype(np.int64),
        places,
        starts.tolist(),
        arrays["centres"],
        arrays["tops"],
        arrays["spreads"],
        float(arrays["margin"]),
        recent,
        int(np.searchsorted(starts, min(FIRST_ITEMS, len(items)))),
        (1.0001 * np.linalg.norm(arrays["centres"], axis=1)).astype(np.float32),
    )


def search(index: ItemIndex, sequences: Sequences, allowed: npt.NDArray[np.bool_], k: int) -> list[Ranking]:
    """Return the best k allowed items of each user, best first; equal scores keep the vocabulary's order.

    `allowed` bool [users, n + 1], or [1, n + 1] where all may have the same.
    """
    masks = allowed if len(allowed) > 1 else allowed[:1]
    shares = [np.count_nonzero(mask) / len(mask) for mask in masks]
    searched = [k <= MOST_SEARCHED and share >= SEARCHED_SHARE for share in shares]
    found = list[Ranking]()
    for user, asked in enumerate(_ask(index, sequences)):
        which = user if len(masks) > 1 else 0
        found.append((_search_cells if searched[which] else _score_all)(index, asked, masks[which], k))
    return found


def _ask(index: ItemIndex, sequences: Sequences) -> list[Asked]:
    if index.recent is None:
        past, places, queries, scores = _ask_padded(index, padded(sequences))
    else:
        feed = query_inputs(sequences, index.recent)
        past = feed["past_items"]
        places = index.places[past]
        # Rows of padding are some item's: the graph does not look at them.
        feed["past_rows"] = index.rows.take(places, axis=0)
        feed["recent_rows"] = index.rows.take(index.places[feed.pop("recent_items")], axis=0)
        found, of_past = index.session.run(QUERY_OUTPUTS, feed)
        queries, scores = found[:, 0], of_past[:, :, 0]
    live = np.isfinite(scores) & (past > 0)
    if live.all():
        return [*map(Asked, queries, past, places, scores)]
    return [
        Asked(query, items[own], at[own], found[own])
        for query, items, at, found, own in zip(queries, past, places, scores, live, strict=True)
    ]


def _ask_padded(index: ItemIndex, inputs: Mapping[str, npt.NDArray[Any]]) -> tuple[npt.NDArray[Any], ...]:
    past = np.concatenate([inputs["habit_items"], inputs["history_items"]], axis=1)
    places = index.places[past]
    rows = np.take(index.rows, places, axis=0)
    feed = {name: inputs[name] for name in MODEL_INPUTS[:6]}
    queries, extras = index.session.run(PADDED_OUTPUTS, {**feed, "past_rows": rows})
    return past, places, queries, np.einsum("upd,ud->up", rows, queries) + index.standing[places] + extras


def _search_cells(index: ItemIndex, asked: Asked, allowed: npt.NDArray[np.bool_], k: int) -> Ranking:
    """Score past items and the first cells, where the items of the highest standing are; then what promises more."""
    query, first = asked.query, index.first_cells
    stop = index.starts[first]
    scores = np.concatenate([asked.past_scores, index.rows[:stop] @ query + index.standing[:stop]])
    past = asked.past_places
    scores[len(past) :][past[past < stop]] = -np.inf  # they have scores of their own
    items = np.concatenate([asked.past, index.items[:stop]])
    scores[~allowed[items]] = -np.inf
    threshold = _worst_of(scores, k)
    length, at, step = math.sqrt(float(query @ query)), 0, FIRST_CELLS
    most = length * (index.norms[first:] + index.margin * index.spreads[first:]) + index.tops[first:]
    left = first + np.flatnonzero(most > threshold)  # the others promise less, whatever the query's direction
    promised = index.centres[left] @ query + index.tops[left] + index.margin * length * index.spreads[left]
    order = np.argsort(-promised)
    left, promised = left[order], promised[order]
    while at < len(left) and promised[at] > threshold:
        more = _look(index, asked, allowed, left[at : at + step])
        items, scores = np.concatenate([items, more[0]]), np.concatenate([scores, more[1]])
        threshold = max(threshold, _worst_of(scores, k))
        at, step = at + step, 2 * step
    return _best(items, scores, k, threshold)


def _worst_of(scores: Floats, k: int) -> float:
    """Return the k-th best score, −∞ where there are fewer."""
    return float(np.partition(scores, len(scores) - k)[len(scores) - k]) if len(scores) >= k else -math.inf


def _look(index: ItemIndex, asked: Asked, allowed: npt.NDArray[np.bool_], cells: npt.NDArray[np.int64]) -> Ranking:
    """Return the allowed items of some cells that are no past items, with their scores, in no order."""
    items: list[npt.NDArray[np.int64]] = []
    scores: list[Floats] = []
    for start, stop in _runs(index.starts, sorted(cells.tolist())):
        members = index.items[start:stop]
        fits = allowed[members]
        past = asked.past_places
        fits[past[(past >= start) & (past < stop)] - start] = False  # they have scores of their own
        items.append(members[fits])
        scores.append((index.rows[start:stop] @ asked.query + index.standing[start:stop])[fits])
    return np.concatenate(items), np.concatenate(scores)


def _runs(starts: Sequence[int], cells: Sequence[int]) -> list[tuple[int, int]]:
    """Return where some cells, in their order, begin and end; neighbours are one."""
    runs: list[tuple[int, int]] = []
    for cell in cells:
        begin = runs.pop()[0] if runs and runs[-1][1] == starts[cell] else starts[cell]
        runs.append((begin, starts[cell + 1]))
    return runs


def _score_all(index: ItemIndex, asked: Asked, allowed: npt.NDArray[np.bool_], k: int) -> Ranking:
    scores = np.full(len(allowed), -np.inf, np.float32)
    scores[index.items] = index.rows @ asked.query + index.standing
    scores[asked.past] = asked.past_scores
    fit = np.flatnonzero(allowed & np.isfinite(scores))
    return _best(fit, scores[fit], k, _worst_of(scores[fit], k))


def _best(items: npt.NDArray[np.int64], scores: Floats, k: int, threshold: float) -> Ranking:
    """Return the k best, given the k-th best score; what has none is left out."""
    near = np.flatnonzero(scores >= threshold if threshold > -math.inf else scores > threshold)
    items, scores = items[near], scores[near]
    order = np.lexsort((items, -scores))[:k]
    return items[order], scores[order]
