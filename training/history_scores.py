"""Scores that are a weighted sum over a history: the newest item counts whole, each older one less."""

import math

import numpy as np
import scipy.sparse as sp
import torch

#: An item whose weight is below this is left out of a history.
_LEAST = 1e-3


class HistoryScores:
    """Score = Σ over the history of decay^(steps back) · weights[item]; the weights are of `kept` items, or of all."""

    def __init__(
        self, weights: np.ndarray | sp.csr_matrix, decay: float, item_count: int, kept: np.ndarray | None = None
    ) -> None:
        self.weights = weights
        self.decay = decay
        self.width = item_count + 1
        self.kept = kept

    def __call__(self, histories: list[np.ndarray]) -> torch.Tensor:
        """Return float32 [B, n + 1]."""
        history = decayed(histories, self.width, self.decay)
        if self.kept is not None:
            whole = np.zeros((len(histories), self.width), dtype=np.float32)
            whole[:, self.kept] = history[:, self.kept] @ self.weights
            return torch.from_numpy(whole)
        scores = history @ self.weights
        return torch.from_numpy(scores.toarray() if sp.issparse(scores) else np.asarray(scores))


def decayed(histories: list[np.ndarray], width: int, decay: float) -> sp.csr_matrix:
    """Return histories as rows float32 [B, width]: each item counts decay^(steps back), below 1/1000 not at all."""
    longest = math.ceil(math.log(_LEAST) / math.log(decay)) if decay < 1 else None
    histories = [row[-longest:] for row in histories] if longest else histories
    owner = np.repeat(np.arange(len(histories)), [len(row) for row in histories])
    weight = np.concatenate([decay ** np.arange(len(row) - 1, -1, -1.0) for row in histories])
    shape = (len(histories), width)
    return sp.csr_matrix((weight.astype(np.float32), (owner, np.concatenate(histories))), shape=shape)
