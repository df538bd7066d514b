"""Where item vectors start from: the spectrum of the user-week × item matrix, and whitened text."""

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import svds

from training.interactions import Interactions
from training.largest import largest

TEXT_WIDTH = 128
#: Items whose ID vectors an item without one borrows, and how sharply the nearest of them counts.
NEIGHBOURS = 5
SHARPNESS = 8.0
_BLOCK = 4096
#: A text vector that stands no further from the mean tells nothing.
_ROUNDING = 1e-5


def spectral_vectors(seen: Interactions, known: np.ndarray, item_count: int, width: int, seed: int) -> np.ndarray:
    """Return unit vectors float32 [len(known), width] of the items `known`, near when they are taken in one week.

    Truncated SVD of the degree-normalised matrix (Cremonesi et al., PureSVD, RecSys 2010).
    """
    column = np.full(item_count + 1, -1)
    column[known] = np.arange(len(known))
    kept = column[seen.item] >= 0
    weeks = np.stack([seen.user[kept], np.floor(seen.day[kept] / 7).astype(np.int64)], axis=1)
    group = np.unique(weeks, axis=0, return_inverse=True)[1].ravel() if kept.any() else np.zeros(0, dtype=np.int64)
    shape = (int(group.max(initial=0)) + 1, len(known))
    matrix = sp.csr_matrix((np.ones(len(group)), (group, column[seen.item[kept]])), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    rows = np.maximum(np.asarray(matrix.sum(1)).ravel(), 1) ** -0.25
    columns = (np.asarray(matrix.sum(0)).ravel() + 10) ** -0.5
    scaled = sp.diags(rows) @ matrix @ sp.diags(columns)
    rank = min(width, min(shape) - 1)
    vectors = np.zeros((len(known), width), dtype=np.float32)
    if rank >= 1:
        start = np.random.default_rng(seed).normal(size=min(shape))
        _, strength, right = svds(scaled.astype(np.float32), k=rank, v0=start.astype(np.float32))
        vectors[:, :rank] = right.T * np.sqrt(np.maximum(strength, 0))
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def whitened_text(text_vectors: np.ndarray) -> np.ndarray:
    """Return unit text vectors, centred and PCA-whitened to at most 128 directions; float32 [n + 1, d], row 0 zeros.

    Whitening: Su et al., Whitening sentence representations, 2021. The fewer the texts, the less is whitened: with
    fewer texts than directions, whole whitening would make all of them equally far from each other. Zeros, as of an
    item without text, where all texts are the same, or one is as the mean: rounding would be its direction.
    """
    has_text = np.abs(text_vectors).sum(axis=1) > 0
    whitened = np.zeros((len(text_vectors), min(TEXT_WIDTH, text_vectors.shape[1])), dtype=np.float32)
    if not has_text.any():
        return whitened
    centred = text_vectors[has_text] - text_vectors[has_text].mean(axis=0)
    texts = len(np.unique(centred.round(4), axis=0))
    if texts < 2:
        return whitened
    values, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    values, directions = values[::-1][: whitened.shape[1]], directions[:, ::-1][:, : whitened.shape[1]]
    softened = values + values.clip(min=0).mean() * 4 * whitened.shape[1] / texts + 1e-9
    told = np.linalg.norm(centred, axis=1, keepdims=True) > _ROUNDING
    whitened[has_text] = np.where(told, centred @ (directions / np.sqrt(softened)), 0)
    return whitened / np.maximum(np.linalg.norm(whitened, axis=1, keepdims=True), 1e-6)


def text_neighbours(text: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the items with an ID vector that stand nearest by text to each item without: (items, shares) [n + 1, 5].

    `text` unit vectors [n + 1, d]; `column` is 0 where an item has no ID vector. Shares are a softmax of the cosine and
    sum to 1; they are 0 for items that have an ID vector of their own, have no text, or when no item has one.
    """
    has_text = np.abs(text).sum(axis=1) > 0
    known, cold = np.flatnonzero((column > 0) & has_text), np.flatnonzero((column == 0) & has_text)
    keep = min(NEIGHBOURS, len(known))
    nearest = np.zeros((len(text), max(keep, 1)), dtype=np.int64)
    shares = np.zeros((len(text), max(keep, 1)), dtype=np.float32)
    for start in range(0, len(cold) if keep else 0, _BLOCK):
        rows = cold[start : start + _BLOCK]
        cosine = text[rows] @ text[known].T
        best = largest(cosine, keep)
        strength = np.exp(SHARPNESS * (np.take_along_axis(cosine, best, axis=1) - 1))
        nearest[rows], shares[rows] = known[best], strength / strength.sum(axis=1, keepdims=True)
    return nearest, shares
