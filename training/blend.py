"""The blend: a weighted sum of the models' normalised scores, weights found on validation, one module for export.

What a user took before and what is new to them are weighed apart: repeats decide the whole ranking, so weights found
on it say nothing of new items.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from training.dataset import TrainingSet
from training.evaluate import Evaluation, evaluate
from training.gate_checks import GateLimits
from training.gate_slices import tail_items, tail_kept
from training.interactions import item_counts
from training.item_vectors import text_neighbours, whitened_text
from training.model import FittedModel
from training.panel import NEVER, build_panel, search

#: Weights tried for every part beside the first, whose weight is 1: its logits set the scale.
GRID = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
#: Tried for new items as a whole, against past ones: how far they spread, and how far they are lifted.
SPREADS = (0.1, 0.25, 0.5, 0.75, 1.0)
LIFTS = (-8.0, -6.0, -4.0, -3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0)
#: How much the NDCG@10 of tail items counts beside that of all, tried in this order.
EMPHASES = (0.0, 0.25, 1.0, 4.0)
Borrowed = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Weights:
    """Weights of the parts at past items and at new ones (float, one a part), and the lift of new items."""

    past: np.ndarray
    new: np.ndarray
    lift: float


class Blend(nn.Module):
    """Score = first part's logits + Σ weight · √(part / its largest score), weights by whether the item is new.

    The largest score is that over the catalogue at past items, that over the items new to the user at new ones. Counts
    know nothing of an item that nobody touched: there the parts beside the first borrow from the items that mean the
    same. `borrowed` is (untouched items [c], their nearest items [c, m], shares [c, m]).
    """

    past_weights: torch.Tensor
    new_weights: torch.Tensor
    lift: torch.Tensor
    untouched: torch.Tensor
    nearest: torch.Tensor
    shares: torch.Tensor

    def __init__(self, parts: list[nn.Module], weights: Weights, borrowed: Borrowed) -> None:
        super().__init__()
        for name, values in zip(("untouched", "nearest", "shares"), borrowed, strict=True):
            self.register_buffer(name, torch.from_numpy(values))
        self.parts = nn.ModuleList(parts)
        self.register_buffer("past_weights", torch.from_numpy(weights.past.astype(np.float32)))
        self.register_buffer("new_weights", torch.from_numpy(weights.new.astype(np.float32)))
        self.register_buffer("lift", torch.tensor(weights.lift, dtype=torch.float32))

    def part_scores(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Return the normalised scores of each part, float32 [B, parts, n + 1]."""
        past = _is_past(inputs[0], inputs[3], self.parts[0](*inputs))
        first, *others = [part(*inputs) for part in self.parts]
        return torch.stack([first, *(self._normalised(scores, past) for scores in others)], dim=1)

    def weighed_new(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Return what the search over the whole ranking weighs, float32 [B, parts + 2, n + 1].

        The parts at past items, then the sum of the parts at new items, then 1 at new items; NEVER elsewhere.
        """
        scores = self.part_scores(*inputs)
        past = _is_past(inputs[0], inputs[3], scores[:, 0]).unsqueeze(1) > 0
        new = (scores * self.new_weights.view(1, -1, 1)).sum(dim=1, keepdim=True)
        parts = [torch.where(past, scores, NEVER), torch.where(past, NEVER, new), torch.where(past, NEVER, 1.0)]
        return torch.cat(parts, dim=1)

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
        first = self.parts[0](*inputs)
        past = _is_past(history_items, habit_items, first)
        total = first * _either(past, self.past_weights[0], self.new_weights[0]) + self.lift * (1 - past)
        for number in range(1, len(self.parts)):
            weight = _either(past, self.past_weights[number], self.new_weights[number])
            total = total + weight * self._normalised(self.parts[number](*inputs), past)
        return total

    def _normalised(self, scores: torch.Tensor, past: torch.Tensor) -> torch.Tensor:
        """Return √(score / largest of its kind in the row), 0 for scores below 0, borrowed where nobody touched it."""
        positive = scores.clamp(min=0) * _not_padding(scores)
        highest = positive.amax(dim=1, keepdim=True)
        highest_new = (positive * (1 - past)).amax(dim=1, keepdim=True)
        known = torch.sqrt(positive / (_either(past, highest, highest_new) + 1e-9))
        if not len(self.untouched):
            return known
        lent = (known[:, self.nearest.flatten()].view(-1, *self.nearest.shape) * self.shares).sum(dim=2)
        filled: torch.Tensor = known.index_copy(1, self.untouched, lent)
        return filled


def fit(training_set: TrainingSet, models: list[FittedModel], simple: Evaluation | None = None) -> FittedModel:
    """Weigh the models on the validation cut; the first gives the scale, parts that do not help are left out.

    New items first, by NDCG@10 among new items; then past items, and how new ones stand beside them, by that of all.
    `simple`: the best simple model on validation. Where the blend loses more of its NDCG@10 of tail items than the gate
    allows, that of the blend counts beside the mean of all, more and more, until it does not; else the most is kept.
    """
    borrowed, modules = _borrowed(training_set), [model.module() for model in models]
    cut, tries = training_set.validation, list[tuple[float, float, Weights]]()
    for emphasis in EMPHASES:
        weights = _search(training_set, modules, borrowed, emphasis)
        if simple is None:
            break
        found = evaluate(Blend(modules, weights, borrowed), cut)
        tries.append((tail_kept(found, simple, training_set.catalogue, cut), -emphasis, weights))
        if tries[-1][0] >= 1 - GateLimits().slice_fall:
            break
    if tries:
        _, emphasis, weights = max(tries, key=lambda each: each[:2])
    return _described(models, weights, borrowed, -emphasis)


def _search(training_set: TrainingSet, modules: list[nn.Module], borrowed: Borrowed, emphasis: float) -> Weights:
    """Return the weights found on validation where tail items count with this emphasis beside all."""
    cut, count = training_set.validation, len(modules)
    tail = tail_items(cut, training_set.catalogue.item_count)
    first = np.zeros(count)
    first[0] = 1.0
    grids = dict.fromkeys(range(1, count), GRID)
    bare = Blend(modules, Weights(first, first, 0.0), borrowed).eval()
    new = search(build_panel(bare.part_scores, cut, only_new=True, tail=tail), first, grids, emphasis=emphasis)
    known_new = Blend(modules, Weights(first, new, 0.0), borrowed).eval()
    panel = build_panel(known_new.weighed_new, cut, tail=tail)
    start = np.concatenate([first, [1.0, 0.0]])
    wide = {count + 1: LIFTS, count: SPREADS, **grids}
    found = search(panel, start, wide, rounds=4, emphasis=emphasis)
    return Weights(found[:-2], new * found[-2], float(found[-1]))


def _described(models: list[FittedModel], weights: Weights, borrowed: Borrowed, emphasis: float) -> FittedModel:
    """Return the blend of the parts that count, and what was chosen."""
    kept = [number for number in range(len(models)) if weights.past[number] > 0 or weights.new[number] > 0]
    lighter = Weights(weights.past[kept], weights.new[kept], weights.lift)
    scorer = Blend([models[number].module() for number in kept], lighter, borrowed)
    chosen: dict[str, float | int | str] = {"lift of new items": weights.lift}
    if emphasis:
        chosen["emphasis of tail items"] = emphasis
    for number in kept:
        chosen[models[number].name] = float(weights.past[number])
        chosen[f"{models[number].name}, new items"] = float(weights.new[number])
    return FittedModel("blend", "learned", scorer, chosen)


def _is_past(history_items: torch.Tensor, habit_items: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return 1.0 at items of the history or the habits, 0.0 elsewhere; float32 as `like` [B, n + 1]."""
    items = torch.cat([history_items, habit_items], dim=1)
    counted = torch.zeros_like(like).scatter_add(1, items, torch.ones_like(items, dtype=like.dtype))
    return counted.clamp(max=1.0)


def _either(past: torch.Tensor, at_past: torch.Tensor, at_new: torch.Tensor) -> torch.Tensor:
    return at_new + past * (at_past - at_new)


def _not_padding(scores: torch.Tensor) -> torch.Tensor:
    """Return 0 at padding and 1 elsewhere, as `scores` [B, n + 1]."""
    return torch.cat([torch.zeros_like(scores[:, :1]), torch.ones_like(scores[:, 1:])], dim=1)


def _borrowed(training_set: TrainingSet) -> Borrowed:
    """Return the items with a text that nobody touched, and whose scores they borrow."""
    text = whitened_text(training_set.catalogue.text_vectors)
    nearest, shares = text_neighbours(text, item_counts(training_set))
    untouched = np.flatnonzero(shares.sum(axis=1) > 0)
    return untouched, nearest[untouched], shares[untouched]
