"""Scores that are a weighted sum over a history: the newest item counts whole, each older one less."""

import numpy as np
import scipy.sparse as sp
import torch


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
    """Return histories as rows float32 [B, width]: each item counts decay^(steps back)."""
    owner = np.repeat(np.arange(len(histories)), [len(row) for row in histories])
    weight = np.concatenate([decay ** np.arange(len(row) - 1, -1, -1.0) for row in histories])
    shape = (len(histories), width)
    return sp.csr_matrix((weight.astype(np.float32), (owner, np.concatenate(histories))), shape=shape)
