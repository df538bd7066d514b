"""Item-kNN: items that stand in the same user-weeks as what this user took, recent ones counting more.

Sarwar et al., Item-based collaborative filtering recommendation algorithms, WWW 2001: cosine of co-occurrence; an item
is its own nearest neighbour (cosine 1), so repeat purchases count as they should.
"""

import itertools

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn

from training.dataset import TrainingSet
from training.evaluate import evaluate
from training.interactions import Interactions, interactions
from training.model import FittedModel, Progress, TrainSettings

#: Tried on validation: half-life in days of a query's past, and the weight of an item as its own neighbour.
HALF_LIVES = (30.0, 120.0)
SELF_WEIGHTS = (1.0, 3.0)
#: Added to each item's count: rare items have uncertain neighbours.
SHRINKAGE = 5.0
#: Items of one user-week that are looked at, at most: the work stays linear in events.
_WEEK_LIMIT = 60
_BLOCK = 2048


class ItemKnn(nn.Module):
    """Score of an item = Σ over past items j of weight(j) · similarity(j, item), over j's kept neighbours."""

    neighbours: torch.Tensor
    similarities: torch.Tensor

    def __init__(
        self, neighbours: np.ndarray, similarities: np.ndarray, half_life: float = 30.0, self_weight: float = 1.0
    ) -> None:
        super().__init__()
        self.half_life = half_life
        self.self_weight = self_weight
        self.register_buffer("neighbours", torch.from_numpy(neighbours.astype(np.int64)))
        self.register_buffer("similarities", torch.from_numpy(similarities.astype(np.float32)))

    def forward(
        self,
        history_items: torch.Tensor,
        history_types: torch.Tensor,
        history_ages: torch.Tensor,
        habit_items: torch.Tensor,
        habit_counts: torch.Tensor,
        habit_ages: torch.Tensor,
    ) -> torch.Tensor:
        """Return float32 scores [B, n + 1]."""
        past = torch.cat([history_items, habit_items], dim=1)
        ages = torch.cat([history_ages, habit_ages], dim=1)
        counts = torch.cat([torch.ones_like(history_ages), habit_counts], dim=1)
        weights = counts * torch.exp2(-ages / self.half_life) * (past > 0)
        spread = (weights.unsqueeze(-1) * self.similarities[past]).flatten(1)
        scores = torch.zeros_like(history_ages[:, :1]) + torch.zeros_like(self.similarities[:, 0]).unsqueeze(0)
        scores = scores.scatter_add(1, self.neighbours[past].flatten(1), spread)
        return scores.scatter_add(1, past, self.self_weight * weights)


def nearest(seen: Interactions, item_count: int, keep: int, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each item's nearest other items and their cosines, [n + 1, keep]; 0 where there is none.

    Cosine over user-weeks with shrinkage: |a ∩ b| / sqrt((|a| + s)(|b| + s)). Items with fewer than `least`
    interactions have no neighbours.
    """
    matrix, known = _user_weeks(seen, item_count, least)
    norms = np.sqrt(np.asarray(matrix.sum(axis=0)).ravel() + SHRINKAGE)
    items = np.zeros((item_count + 1, keep), dtype=np.int64)
    scores = np.zeros((item_count + 1, keep), dtype=np.float32)
    transposed = matrix.T.tocsr()
    for start in range(0, len(known), _BLOCK):
        block = (transposed[start : start + _BLOCK] @ matrix).tocsr()
        for local in range(block.shape[0]):
            row = start + local
            columns = block.indices[block.indptr[local] : block.indptr[local + 1]]
            cosine = block.data[block.indptr[local] : block.indptr[local + 1]] / (norms[columns] * norms[row])
            cosine[columns == row] = 0
            best = np.lexsort((columns, -cosine))[:keep] if len(columns) <= 4 * keep else _best(cosine, columns, keep)
            best = best[cosine[best] > 0]
            items[known[row], : len(best)] = known[columns[best]]
            scores[known[row], : len(best)] = cosine[best]
    return items, scores


def fit(training_set: TrainingSet, settings: TrainSettings, progress: Progress) -> FittedModel:
    """Find the neighbours, then choose half-life and self weight on the validation cut."""
    seen = interactions(training_set)
    found = nearest(seen, training_set.catalogue.item_count, settings.neighbours, settings.least_interactions)
    best: tuple[float, ItemKnn] | None = None
    for half_life, self_weight in itertools.product(HALF_LIVES, SELF_WEIGHTS):
        module = ItemKnn(*found, half_life, self_weight)
        quality = evaluate(module, training_set.validation).means["ndcg10"]
        if best is None or quality > best[0]:
            best = (quality, module)
    assert best is not None
    chosen = {"half_life_days": best[1].half_life, "self_weight": best[1].self_weight, "neighbours": found[0].shape[1]}
    return FittedModel("item-kNN", "simple", best[1], chosen)


def _user_weeks(seen: Interactions, item_count: int, least: int) -> tuple[sp.csr_matrix, np.ndarray]:
    """Return the 0/1 matrix of user-weeks × items with enough interactions, and those items' indices."""
    counts = np.bincount(seen.item, minlength=item_count + 1)
    known = np.flatnonzero(counts >= least)
    column = np.full(item_count + 1, -1)
    column[known] = np.arange(len(known))
    kept = column[seen.item] >= 0
    week = np.floor(seen.day[kept] / 7).astype(np.int64)
    pairs = np.unique(np.stack([seen.user[kept], week, column[seen.item[kept]]], axis=1), axis=0)
    group = np.unique(pairs[:, :2], axis=0, return_inverse=True)[1].ravel() if len(pairs) else pairs[:, 0]
    rank = np.arange(len(group)) - np.searchsorted(group, group)
    pairs, group = pairs[rank < _WEEK_LIMIT], group[rank < _WEEK_LIMIT]
    shape = (int(group.max(initial=-1)) + 1, len(known))
    return sp.csr_matrix((np.ones(len(group), dtype=np.float32), (group, pairs[:, 2])), shape=shape), known


def _best(cosine: np.ndarray, columns: np.ndarray, keep: int) -> np.ndarray:
    top = np.argpartition(-cosine, keep)[:keep]
    return top[np.lexsort((columns[top], -cosine[top]))]
