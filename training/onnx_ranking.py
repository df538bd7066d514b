"""Rank users with a model.onnx of any release: its own vocabulary in between, the catalogue's indices out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import onnxruntime

from feature_repo.features import MODEL_OUTPUTS
from training.dataset import SEQUENCE_INPUTS, Queries
from training.export import open_session

_BATCH = 64


@dataclass(frozen=True)
class Contender:
    """A model that the gate can run: its ONNX file and the item ids of its vocabulary (item i ↔ index i + 1).

    What it was handed over with, where it was: `sha256` of the file, `vocabulary_sha256`, the `features` it was trained
    on in their order, and `as_of`, the moment that its data end at.
    """

    name: str
    path: Path
    item_ids: Sequence[str]
    sha256: str | None = None
    vocabulary_sha256: str | None = None
    features: tuple[str, ...] = ()
    as_of: datetime | None = None


def rank(contender: Contender, queries: Queries, catalogue_ids: Sequence[str], k: int) -> np.ndarray:
    """Return int64 [queries, k], the catalogue indices that the contender puts first, best first, 0 where it has none.

    Items of a history that the contender does not know are left out of what it sees; items that are not in the
    catalogue any more are forbidden, as they are when serving.
    """
    session = open_session(contender.path, threads=2)
    to_own, to_catalogue = _vocabulary_maps(catalogue_ids, contender.item_ids)
    ranked = np.zeros((len(queries), k), dtype=np.int64)
    allowed = np.broadcast_to(to_catalogue > 0, (_BATCH, len(to_catalogue)))
    depth = min(k, len(contender.item_ids))
    for start in range(0, len(queries), _BATCH):
        rows = np.arange(start, min(start + _BATCH, len(queries)))
        inputs = translate({name: getattr(queries, name)[rows] for name in SEQUENCE_INPUTS}, to_own)
        items, scores = run(session, inputs, allowed[: len(rows)], depth)
        ranked[rows, :depth] = np.where(np.isneginf(scores), 0, to_catalogue[items])
    return ranked


def run(
    session: onnxruntime.InferenceSession, inputs: dict[str, np.ndarray], allowed: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Run a model.onnx once; return items int64 [B, k], scores float32 [B, k]. Inputs it does not have are left out."""
    feeds = {**inputs, "allowed": np.ascontiguousarray(allowed), "k": np.array([k], dtype=np.int64)}
    wanted = {value.name for value in session.get_inputs()}
    items, scores = session.run(list(MODEL_OUTPUTS), {name: feed for name, feed in feeds.items() if name in wanted})
    return items, scores


def translate(inputs: dict[str, np.ndarray], to_own: np.ndarray) -> dict[str, np.ndarray]:
    """Write sequences in another vocabulary; what it does not know is dropped and the rest moves to the right end."""
    translated = {}
    for lead, others in (
        ("history_items", ("history_types", "history_ages")),
        ("habit_items", ("habit_counts", "habit_ages")),
    ):
        items = to_own[inputs[lead]]
        order = np.argsort(items > 0, axis=1, kind="stable")
        known = np.take_along_axis(items > 0, order, axis=1)
        for name, values in ((lead, items), *((name, inputs[name]) for name in others)):
            moved = np.take_along_axis(values, order, axis=1)
            translated[name] = np.where(known, moved, np.zeros((), dtype=values.dtype))
    return {name: translated[name] for name in SEQUENCE_INPUTS}


def _vocabulary_maps(catalogue_ids: Sequence[str], own_ids: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the two maps of indices, catalogue → own and own → catalogue, 0 where the other does not have the item."""
    catalogue = {item_id: index for index, item_id in enumerate(catalogue_ids, 1)}
    own = {item_id: index for index, item_id in enumerate(own_ids, 1)}
    to_own = np.array([0, *(own.get(item_id, 0) for item_id in catalogue_ids)], dtype=np.int64)
    to_catalogue = np.array([0, *(catalogue.get(item_id, 0) for item_id in own_ids)], dtype=np.int64)
    return to_own, to_catalogue
