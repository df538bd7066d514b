"""The blend: a weighted sum of the models' normalised scores, weights found on validation, one module for export."""

import numpy as np
import torch
from torch import nn

from training.dataset import TrainingSet
from training.model import FittedModel
from training.panel import build_panel, search

#: Weights tried for every part beside the first, whose weight is 1: its logits set the scale.
GRID = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


class Blend(nn.Module):
    """Score = first part's logits + Σ weight · √(part / its largest score), over the catalogue."""

    weights: torch.Tensor

    def __init__(self, parts: list[nn.Module], weights: np.ndarray) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.register_buffer("weights", torch.from_numpy(weights.astype(np.float32)))

    def part_scores(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Return the normalised scores of each part, float32 [B, parts, n + 1]."""
        first, *others = [part(*inputs) for part in self.parts]
        return torch.stack([first, *(_normalised(scores) for scores in others)], dim=1)

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
        inputs = (history_items, history_types, history_ages, habit_items, habit_counts, habit_ages)
        total = self.weights[0] * self.parts[0](*inputs)
        for number in range(1, len(self.parts)):
            total = total + self.weights[number] * _normalised(self.parts[number](*inputs))
        return total


def fit(training_set: TrainingSet, models: list[FittedModel]) -> FittedModel:
    """Weigh the models on the validation cut; the first gives the scale, parts that do not help are left out."""
    whole = Blend([model.module() for model in models], np.ones(len(models))).eval()
    panel = build_panel(whole.part_scores, training_set.validation)
    start = np.zeros(len(models))
    start[0] = 1.0
    weights = search(panel, start, dict.fromkeys(range(1, len(models)), GRID))
    kept = [number for number in range(len(models)) if weights[number] > 0]
    scorer = Blend([models[number].module() for number in kept], weights[kept])
    chosen: dict[str, float | int | str] = {models[number].name: float(weights[number]) for number in kept}
    return FittedModel("blend", "learned", scorer, chosen)


def _normalised(scores: torch.Tensor) -> torch.Tensor:
    """Return √(score / largest score of the row), 0 for scores below 0."""
    positive = scores[:, 1:].clamp(min=0)
    share = positive / (positive.amax(dim=1, keepdim=True) + 1e-9)
    return torch.cat([torch.zeros_like(scores[:, :1]), torch.sqrt(share)], dim=1)
