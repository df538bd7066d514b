"""What counting says of the next item: EASE, text, popularity; each a `Recommend`."""

import numpy as np
import scipy.sparse as sp
import torch

from training.history_scores import HistoryScores, decayed
from training.leave_one_out import HELD_OUT, Sequences
from training.sequence_ranking import Recommend, rank_quality

#: How much less each older item of a history counts: chosen on validation.
DECAYS = (0.5, 0.7, 0.85, 1.0)
#: Regularisation of EASE, chosen on validation.
RIDGES = (50.0, 150.0, 500.0)
#: Validation users that ridge and decay of EASE are judged by.
_EASE_USERS = 4_000
#: EASE inverts items × items; beyond this many only the most popular ones take part.
EASE_ITEMS = 15_000


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
    candidates = (_best_decay(_ease_weights(gram, ridge), sequences, kept) for ridge in RIDGES)
    return max(candidates, key=lambda each: each[0])[1]


def text_nearness(sequences: Sequences, text: np.ndarray) -> Recommend:
    """Return the cosine of each item's text to the decayed history's: cold items have a score, too."""
    across = torch.from_numpy(text.T.copy())
    candidates = [
        (lambda histories, decay=decay: torch.from_numpy(decayed(histories, len(text), decay) @ text) @ across)
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
    candidates = [HistoryScores(weights, decay, sequences.item_count, kept) for decay in DECAYS]
    qualities = [rank_quality(each, sequences, "validation", _EASE_USERS)["n10"] for each in candidates]
    best = int(np.argmax(qualities))
    return qualities[best], candidates[best]
