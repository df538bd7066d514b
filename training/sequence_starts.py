"""Start vectors of items: the spectrum of who stands near whom in the training sequences."""

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import svds

from training.leave_one_out import HELD_OUT, Sequences

#: Length of the item vectors at the start.
_START_LENGTH = 0.5
#: How far apart two items of a sequence still count as neighbours.
_WINDOW = 5


def spectral_starts(sequences: Sequences, width: int, seed: int) -> np.ndarray:
    """Return start vectors float32 [n + 1, width] of one length (Levy and Goldberg, NeurIPS 2014).

    Where no two items stand in one training sequence there is no spectrum: then the directions are random.
    """
    counts = window_counts(sequences.before(HELD_OUT["validation"]), sequences.item_count, _WINDOW)
    both = counts + counts.T
    scale = sp.diags((np.asarray(both.sum(axis=1)).ravel() + 1) ** -0.5)
    random = np.random.default_rng(seed)
    start = random.normal(size=both.shape[0]).astype(np.float32)
    if both.nnz:
        left, strength, _ = svds((scale @ both @ scale).astype(np.float32), k=width, v0=start)
        vectors = left * np.sqrt(np.maximum(strength, 0))
    else:
        vectors = random.normal(size=(both.shape[0], width))
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return _START_LENGTH * unit.astype(np.float32)


def window_counts(rows: list[np.ndarray], item_count: int, window: int, fade: float = 1.0) -> sp.csr_matrix:
    """Return how often one item follows another within `window` steps, each worth steps^−fade; [n + 1, n + 1]."""
    before, after, worth = [], [], []
    items = np.concatenate([np.zeros(0, dtype=np.int64), *rows])
    owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    for step in range(1, min(window, max(map(len, rows), default=0) - 1) + 1):
        kept = owner[step:] == owner[:-step]
        before.append(items[:-step][kept])
        after.append(items[step:][kept])
        worth.append(np.full(int(kept.sum()), float(step) ** -fade))
    shape = (item_count + 1, item_count + 1)
    if not before:
        return sp.csr_matrix(shape)
    return sp.csr_matrix((np.concatenate(worth), (np.concatenate(before), np.concatenate(after))), shape=shape)
