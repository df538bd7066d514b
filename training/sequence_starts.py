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
    """Return start vectors float32 [n + 1, width] of one length (Levy and Goldberg, NeurIPS 2014)."""
    counts = window_counts(sequences.before(HELD_OUT["validation"]), sequences.item_count, _WINDOW)
    both = counts + counts.T
    scale = sp.diags((np.asarray(both.sum(axis=1)).ravel() + 1) ** -0.5)
    start = np.random.default_rng(seed).normal(size=both.shape[0]).astype(np.float32)
    left, strength, _ = svds((scale @ both @ scale).astype(np.float32), k=width, v0=start)
    vectors = left * np.sqrt(np.maximum(strength, 0))
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return _START_LENGTH * unit.astype(np.float32)


def window_counts(rows: list[np.ndarray], item_count: int, window: int) -> sp.csr_matrix:
    """Return how often one item follows another within `window` steps, each worth 1 / steps; [n + 1, n + 1]."""
    before, after, worth = [], [], []
    for row in rows:
        for step in range(1, min(window, len(row) - 1) + 1):
            before.append(row[:-step])
            after.append(row[step:])
            worth.append(np.full(len(row) - step, 1 / step))
    shape = (item_count + 1, item_count + 1)
    if not before:
        return sp.csr_matrix(shape)
    return sp.csr_matrix((np.concatenate(worth), (np.concatenate(before), np.concatenate(after))), shape=shape)
