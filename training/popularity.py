"""Popularity: the items that most interactions went to lately, the same for every user."""

import numpy as np
import torch
from torch import nn

from training.dataset import TrainingSet
from training.evaluate import evaluate
from training.interactions import Interactions, interactions
from training.model import FittedModel, Progress, TrainSettings

#: Half-lives tried, in days; validation chooses.
HALF_LIVES = (3.0, 7.0, 14.0, 28.0, 84.0)


class Popularity(nn.Module):
    """One score an item, whoever asks."""

    scores: torch.Tensor

    def __init__(self, scores: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("scores", torch.from_numpy(scores.astype(np.float32)))

    def forward(self, history_items: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        """Return the constant row for each query, float32 [B, n + 1]."""
        return self.scores.unsqueeze(0) + 0.0 * history_items[:, :1].float()


def decayed_counts(seen: Interactions, item_count: int, half_life: float) -> np.ndarray:
    """Return interactions of each item, each worth 2^(−age / half_life) at the validation cut; float64 [n + 1].

    One of the very moment of the cut counts whole: in an export of a single date, or of one moment, all are.
    """
    return np.bincount(seen.item, weights=np.exp2(seen.day / half_life), minlength=item_count + 1)


def fit(training_set: TrainingSet, settings: TrainSettings, progress: Progress) -> FittedModel:
    """Choose the half-life of the counts on the validation cut."""
    seen = interactions(training_set)
    best, chosen, half_life = -1.0, np.zeros(training_set.catalogue.item_count + 1), HALF_LIVES[0]
    for candidate in HALF_LIVES:
        counts = decayed_counts(seen, training_set.catalogue.item_count, candidate)
        found = evaluate(Popularity(counts), training_set.validation).means["ndcg10"]
        if found > best or candidate == HALF_LIVES[0]:
            best, chosen, half_life = found, counts, candidate
    return FittedModel("popularity", "simple", Popularity(chosen), {"half_life_days": half_life})
