"""Spectral taste: items near, in the spectrum of user-weeks, to the decayed mean of what a user took.

PureSVD (Cremonesi, Koren and Turrin, RecSys 2010) with a degree-normalised matrix, unit vectors, and popularity as
prior. Repeats say little here: it is the model for items new to the user, and its settings are chosen by those.
"""

import itertools

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from training.dataset import TrainingSet
from training.evaluate import evaluate
from training.interactions import interactions
from training.item_vectors import spectral_vectors
from training.model import FittedModel, Progress, TrainSettings
from training.samples import log_popularity

#: Directions of the spectrum for each dimension of the learned models.
_DIRECTIONS = 3
#: Tried on validation: half-life in days of a query's past, and how much nearness counts beside popularity.
HALF_LIVES = (60.0, 180.0)
GAINS = (4.0, 8.0, 12.0)
_POPULARITY = 0.8


class Spectral(nn.Module):
    """Score of an item = exp(gain · cosine(user, item) + 0.8 · log popularity), user = Σ 2^(−age / h) · √count · item.

    Positive, as counts are, so that the blend may take its root.
    """

    vectors: torch.Tensor
    prior: torch.Tensor

    def __init__(self, vectors: np.ndarray, popularity: np.ndarray, half_life: float, gain: float) -> None:
        super().__init__()
        self.half_life = half_life
        self.gain = gain
        self.register_buffer("vectors", torch.from_numpy(vectors.astype(np.float32)))
        self.register_buffer("prior", torch.from_numpy((_POPULARITY * popularity).astype(np.float32)))

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
        weights = torch.sqrt(counts) * torch.exp2(-ages / self.half_life) * (past > 0)
        user = functional.normalize((weights.unsqueeze(-1) * self.vectors[past]).sum(dim=1), dim=1, eps=1e-6)
        return torch.exp(self.gain * (user @ self.vectors.T) + self.prior)


def fit(training_set: TrainingSet, settings: TrainSettings, progress: Progress) -> FittedModel:
    """Find the spectrum, then choose half-life and gain by NDCG@10 of new items on the validation cut."""
    seen, count = interactions(training_set), training_set.catalogue.item_count
    known = np.flatnonzero(np.bincount(seen.item, minlength=count + 1) >= settings.least_interactions)
    vectors = np.zeros((count + 1, _DIRECTIONS * settings.width), dtype=np.float32)
    vectors[known] = spectral_vectors(seen, known, count, vectors.shape[1], settings.seed)
    popularity = log_popularity(seen, count)
    best: tuple[float, Spectral] | None = None
    for half_life, gain in itertools.product(HALF_LIVES, GAINS):
        module = Spectral(vectors, popularity, half_life, gain)
        quality = evaluate(module, training_set.validation).means["new_ndcg10"]
        if best is None or quality > best[0]:
            best = (quality, module)
    assert best is not None
    chosen = {"half_life_days": best[1].half_life, "gain": best[1].gain, "directions": vectors.shape[1]}
    return FittedModel("spectral taste", "simple", best[1], chosen)
