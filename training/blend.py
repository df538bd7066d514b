"""The blend: a weighted sum of the models' normalised scores, weights found on validation, one module for export."""

import numpy as np
import torch
from torch import nn

from training.dataset import TrainingSet
from training.interactions import item_counts
from training.item_vectors import text_neighbours, whitened_text
from training.model import FittedModel
from training.panel import build_panel, search

#: Weights tried for every part beside the first, whose weight is 1: its logits set the scale.
GRID = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
Borrowed = tuple[np.ndarray, np.ndarray, np.ndarray]


class Blend(nn.Module):
    """Score = first part's logits + Σ weight · √(part / its largest score), over the catalogue.

    Counts know nothing of an item that nobody touched: there the parts beside the first borrow from the items that mean
    the same. `borrowed` is (untouched items [c], their nearest items [c, m], shares [c, m]).
    """

    weights: torch.Tensor
    untouched: torch.Tensor
    nearest: torch.Tensor
    shares: torch.Tensor

    def __init__(self, parts: list[nn.Module], weights: np.ndarray, borrowed: Borrowed) -> None:
        super().__init__()
        for name, values in zip(("untouched", "nearest", "shares"), borrowed, strict=True):
            self.register_buffer(name, torch.from_numpy(values))
        self.parts = nn.ModuleList(parts)
        self.register_buffer("weights", torch.from_numpy(weights.astype(np.float32)))

    def part_scores(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Return the normalised scores of each part, float32 [B, parts, n + 1]."""
        first, *others = [part(*inputs) for part in self.parts]
        return torch.stack([first, *(self._normalised(scores) for scores in others)], dim=1)

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
            total = total + self.weights[number] * self._normalised(self.parts[number](*inputs))
        return total

    def _normalised(self, scores: torch.Tensor) -> torch.Tensor:
        """Return √(score / largest score of the row), 0 for scores below 0, borrowed where nobody touched the item."""
        positive = scores[:, 1:].clamp(min=0)
        share = positive / (positive.amax(dim=1, keepdim=True) + 1e-9)
        known = torch.cat([torch.zeros_like(scores[:, :1]), torch.sqrt(share)], dim=1)
        if not len(self.untouched):
            return known
        lent = (known[:, self.nearest.flatten()].view(-1, *self.nearest.shape) * self.shares).sum(dim=2)
        filled: torch.Tensor = known.index_copy(1, self.untouched, lent)
        return filled


def fit(training_set: TrainingSet, models: list[FittedModel]) -> FittedModel:
    """Weigh the models on the validation cut; the first gives the scale, parts that do not help are left out."""
    borrowed = _borrowed(training_set)
    whole = Blend([model.module() for model in models], np.ones(len(models)), borrowed).eval()
    panel = build_panel(whole.part_scores, training_set.validation)
    start = np.zeros(len(models))
    start[0] = 1.0
    weights = search(panel, start, dict.fromkeys(range(1, len(models)), GRID))
    kept = [number for number in range(len(models)) if weights[number] > 0]
    scorer = Blend([models[number].module() for number in kept], weights[kept], borrowed)
    chosen: dict[str, float | int | str] = {models[number].name: float(weights[number]) for number in kept}
    return FittedModel("blend", "learned", scorer, chosen)


def _borrowed(training_set: TrainingSet) -> Borrowed:
    """Return the items with a text that nobody touched, and whose scores they borrow."""
    text = whitened_text(training_set.catalogue.text_vectors)
    nearest, shares = text_neighbours(text, item_counts(training_set))
    untouched = np.flatnonzero(shares.sum(axis=1) > 0)
    return untouched, nearest[untouched], shares[untouched]
