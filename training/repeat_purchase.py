"""Repeat purchase: what this user bought most, lately counting more, filled up with what is popular.

The personal and popular frequency of Li et al., A next basket recommendation reality check (TOIS 2023), with decay.
"""

import itertools

import numpy as np
import torch
from torch import nn

from training.dataset import TrainingSet
from training.evaluate import evaluate
from training.interactions import interactions
from training.model import FittedModel, Progress, TrainSettings
from training.popularity import decayed_counts

#: Half-lives in days and weights of the recent history beside the long habits; validation chooses.
HALF_LIVES = (14.0, 45.0, 120.0, 365.0)
HISTORY_WEIGHTS = (0.3, 1.0)
#: Half-life in days of the popularity that fills up the list.
FILL_HALF_LIFE = 14.0
_FILL = 1e-6


class RepeatPurchase(nn.Module):
    """Score of an item = Σ habit count · 2^(−age / h) + w · Σ over the history 2^(−age / h) + a little popularity."""

    fill: torch.Tensor

    def __init__(self, popularity: np.ndarray, half_life: float, history_weight: float) -> None:
        super().__init__()
        self.half_life = half_life
        self.history_weight = history_weight
        share = popularity / max(float(popularity.max()), 1e-12)
        self.register_buffer("fill", torch.from_numpy((_FILL * share).astype(np.float32)))

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
        scores = self.fill.unsqueeze(0) + 0.0 * history_ages[:, :1]
        habits = habit_counts * torch.exp2(-habit_ages / self.half_life) * (habit_items > 0)
        recent = self.history_weight * torch.exp2(-history_ages / self.half_life) * (history_items > 0)
        return scores.scatter_add(1, habit_items, habits).scatter_add(1, history_items, recent)


def fit(training_set: TrainingSet, settings: TrainSettings, progress: Progress) -> FittedModel:
    """Choose half-life and history weight on the validation cut."""
    seen = interactions(training_set)
    popularity = decayed_counts(seen, training_set.catalogue.item_count, FILL_HALF_LIFE)
    best: tuple[float, RepeatPurchase] | None = None
    for half_life, weight in itertools.product(HALF_LIVES, HISTORY_WEIGHTS):
        module = RepeatPurchase(popularity, half_life, weight)
        found = evaluate(module, training_set.validation).means["ndcg10"]
        if best is None or found > best[0]:
            best = (found, module)
    assert best is not None
    chosen = {"half_life_days": best[1].half_life, "history_weight": best[1].history_weight}
    return FittedModel("repeat purchase", "simple", best[1], chosen)
