"""What counting says of the next item: EASE, item-kNN over nearby steps, text, popularity; each a `Recommend`."""

import numpy as np
import scipy.sparse as sp
import torch

from training.leave_one_out import HELD_OUT, Sequences
from training.sequence_ranking import Recommend, rank_quality
from training.sequence_starts import window_counts

#: How much less each older item of a history counts: chosen on validation.
DECAYS = (0.5, 0.7, 0.85, 1.0)
#: Regularisation of EASE, chosen on validation.
RIDGES = (50.0, 150.0, 500.0)
#: EASE inverts items × items; beyond this many only the most popular ones take part.
EASE_ITEMS = 15_000
_KNN_WINDOW = 7
#: Following counts more than preceding.
_BACKWARD = 0.5


def popularity(sequences: Sequences) -> Recommend:
    """Return the scores of a top list: log counts of the training part, the same for everyone."""
    counts = np.bincount(_trained(sequences), minlength=sequences.item_count + 1)
    scores = torch.from_numpy(np.log1p(counts).astype(np.float32))
    return lambda histories: scores.expand(len(histories), -1)


def ease(sequences: Sequences) -> Recommend:
    """Return EASE (Steck, WWW 2019) with a decayed history; ridge and decay are chosen on validation."""
    rows = sequences.before(HELD_OUT["validation"])
    owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    shape = (len(rows), sequences.item_count + 1)
    matrix = sp.csr_matrix((np.ones(len(owner), dtype=np.float32), (owner, np.concatenate(rows))), shape=shape)
    matrix.data[:] = 1
    counts = np.asarray(matrix.sum(axis=0)).ravel()
    kept = np.sort(np.argsort(-counts, kind="stable")[:EASE_ITEMS])
    kept = kept[counts[kept] > 0]
    gram = (matrix[:, kept].T @ matrix[:, kept]).toarray().astype(np.float32)
    candidates = [_best_decay(_ease_weights(gram, ridge), sequences, kept) for ridge in RIDGES]
    return max(candidates, key=lambda each: each[0])[1]


def item_knn(sequences: Sequences) -> Recommend:
    """Return item-kNN: items that stand within 7 steps, following ones counting double, cosine, decayed history."""
    counts = window_counts(sequences.before(HELD_OUT["validation"]), sequences.item_count, _KNN_WINDOW)
    both = (counts + _BACKWARD * counts.T).tocsr()
    rows = sp.diags((np.asarray(both.sum(axis=1)).ravel() + 1) ** -0.5)
    columns = sp.diags((np.asarray(both.sum(axis=0)).ravel() + 1) ** -0.5)
    return _best_decay((rows @ both @ columns).astype(np.float32).tocsr(), sequences)[1]


def text_nearness(sequences: Sequences, text: np.ndarray) -> Recommend:
    """Return the cosine of each item's text to the decayed history's: cold items have a score, too."""
    across = torch.from_numpy(text.T.copy())
    candidates = [
        (lambda histories, decay=decay: torch.from_numpy(_weights(histories, len(text), decay) @ text) @ across)
        for decay in DECAYS
    ]
    return max(candidates, key=lambda each: rank_quality(each, sequences, "validation")["n10"])


def _trained(sequences: Sequences) -> np.ndarray:
    return np.concatenate(sequences.before(HELD_OUT["validation"]))


def _ease_weights(gram: np.ndarray, ridge: float) -> np.ndarray:
    factor = torch.linalg.cholesky(torch.from_numpy(gram + ridge * np.eye(len(gram), dtype=np.float32)))
    inverse = torch.cholesky_inverse(factor).numpy()
    weights: np.ndarray = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def _best_decay(
    weights: np.ndarray | sp.csr_matrix, sequences: Sequences, kept: np.ndarray | None = None
) -> tuple[float, Recommend]:
    candidates = [_Linear(weights, decay, sequences.item_count, kept) for decay in DECAYS]
    qualities = [rank_quality(each, sequences, "validation")["n10"] for each in candidates]
    best = int(np.argmax(qualities))
    return qualities[best], candidates[best]


class _Linear:
    """Score = Σ over the history of decay^(steps back) · weights[item]; the weights are of `kept` items, or of all."""

    def __init__(
        self, weights: np.ndarray | sp.csr_matrix, decay: float, item_count: int, kept: np.ndarray | None
    ) -> None:
        self.weights = weights
        self.decay = decay
        self.width = item_count + 1
        self.kept = kept

    def __call__(self, histories: list[np.ndarray]) -> torch.Tensor:
        history = _weights(histories, self.width, self.decay)
        if self.kept is not None:
            whole = np.zeros((len(histories), self.width), dtype=np.float32)
            whole[:, self.kept] = history[:, self.kept] @ self.weights
            return torch.from_numpy(whole)
        scores = history @ self.weights
        return torch.from_numpy(scores.toarray() if sp.issparse(scores) else np.asarray(scores))


def _weights(histories: list[np.ndarray], width: int, decay: float) -> sp.csr_matrix:
    owner = np.repeat(np.arange(len(histories)), [len(row) for row in histories])
    weight = np.concatenate([decay ** np.arange(len(row) - 1, -1, -1.0) for row in histories])
    shape = (len(histories), width)
    return sp.csr_matrix((weight.astype(np.float32), (owner, np.concatenate(histories))), shape=shape)
