"""Next-item scores of items that no training sequence names: borrowed from the items that mean the same."""

import numpy as np
import torch

from training.item_vectors import text_neighbours
from training.leave_one_out import HELD_OUT, Sequences
from training.sequence_ranking import Recommend


def lend_to_cold(recommend: Recommend, sequences: Sequences, text: np.ndarray) -> Recommend:
    """Return the model with the scores of untrained items replaced by those of their nearest trained items by text.

    The pipeline's blend does the same. `text` float32 [n + 1, t] unit vectors, zeros where there is none; an item
    without text keeps the score it has.
    """
    trained = np.concatenate([np.zeros(0, dtype=np.int64), *sequences.before(HELD_OUT["validation"])])
    nearest, shares = text_neighbours(text, np.bincount(trained, minlength=sequences.item_count + 1))
    cold = np.flatnonzero(shares.sum(axis=1) > 0)
    if not len(cold):
        return recommend
    columns, lenders = torch.from_numpy(cold), torch.from_numpy(nearest[cold])
    portions = torch.from_numpy(shares[cold])

    def scores(histories: list[np.ndarray]) -> torch.Tensor:
        own = recommend(histories)
        lent = (own[:, lenders.flatten()].view(len(own), *lenders.shape) * portions).sum(dim=2)
        return own.index_copy(1, columns, lent)

    return scores
