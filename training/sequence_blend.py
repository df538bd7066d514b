"""A weighted sum of several next-item scores, the weights found on the validation cut."""

from dataclasses import dataclass

import numpy as np
import torch

from training.leave_one_out import HELD_OUT, Sequences
from training.sequence_ranking import K, Recommend, flat, taken_before, users_at_once

#: Tried for each part, in units of how far the scores of one user spread: 1 gives it as much say as the first part.
GRID = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0)
#: Users of the validation cut that the weights are chosen on, and candidates taken from each part.
_USERS = 8_000
_DEPTH = 60
#: The score of a wanted item that is masked: whatever the weights, every candidate is above it.
_MISS = -3e9


@dataclass(frozen=True)
class SequenceBlend:
    """Score = Σ weight · part."""

    parts: dict[str, Recommend]
    weights: dict[str, float]

    def __call__(self, histories: list[np.ndarray]) -> torch.Tensor:
        """Return the scores of all items, float32 [B, n + 1]."""
        total: torch.Tensor | float = 0.0
        for name, weight in self.weights.items():
            if weight:
                total = total + weight * self.parts[name](histories)
        assert isinstance(total, torch.Tensor)
        return total


def fit(
    sequences: Sequences,
    parts: dict[str, Recommend],
    start: dict[str, float],
    instead: dict[str, Recommend] | None = None,
) -> SequenceBlend:
    """Weigh the parts by validation NDCG@10, one after the other, from `start`; parts it names stay as they are.

    A part, or a model of `instead`, that is better alone on the same users is taken alone: where histories are too
    short to learn from, the part of `start` is noise.
    """
    scores, wanted = _panel(sequences, list(parts.values()))
    names = list(parts)
    spread = _spread(scores)
    weights = np.array([start.get(name, 0.0) for name in names], dtype=np.float32)
    best = _quality(scores, wanted, weights)
    for _ in range(2):
        before = weights.copy()
        for column, name in enumerate(names):
            for value in () if name in start else GRID:
                trial = weights.copy()
                trial[column] = value * spread[0] / spread[column]
                quality = _quality(scores, wanted, trial)
                if quality > best:
                    best, weights = quality, trial
        if (weights == before).all():
            break
    found = dict(zip(names, map(float, weights), strict=True))
    for number, alone in enumerate(np.eye(len(names), dtype=np.float32)):
        quality = _quality(scores, wanted, alone)
        if quality > best:
            best, found = quality, {names[number]: 1.0}
    for name, other in (instead or {}).items():
        quality = _quality(*_panel(sequences, [other]), np.ones(1, dtype=np.float32))
        if quality > best:
            best, found = quality, {name: 1.0}
    return SequenceBlend(parts | (instead or {}), found)


def _panel(sequences: Sequences, parts: list[Recommend]) -> tuple[np.ndarray, np.ndarray]:
    """Return the parts' scores of each user's candidates [users, candidates, parts] and of the wanted [users, parts].

    The history is masked. A candidate that stands twice, or is the wanted item, is −1e9 in every part; a
    wanted item of the history is masked with it: below all of them.
    """
    histories, wanted = sequences.before(HELD_OUT["validation"]), sequences.wanted(HELD_OUT["validation"])
    users = np.sort(np.random.default_rng(0).permutation(len(histories))[:_USERS])
    size = users_at_once(sequences.item_count)
    panels = [_batch(users[first : first + size], histories, wanted, parts) for first in range(0, len(users), size)]
    return np.concatenate([one for one, _ in panels]), np.concatenate([own for _, own in panels])


def _batch(
    users: np.ndarray, histories: list[np.ndarray], wanted: np.ndarray, parts: list[Recommend]
) -> tuple[np.ndarray, np.ndarray]:
    rows = [histories[user] for user in users]
    target = torch.from_numpy(wanted[users])[:, None]
    owner, seen = flat(rows)
    every = [part(rows).clone() for part in parts]
    own = torch.cat([scores.gather(1, target) for scores in every], dim=1)
    own[taken_before(owner, seen, target)] = _MISS
    for scores in every:
        scores[:, 0] = -1e9
        scores[owner, seen] = -1e9
        scores.scatter_(1, target, -1e9)
    depth = min(_DEPTH, every[0].shape[1])
    candidates = torch.cat([scores.topk(depth, dim=1).indices for scores in every], dim=1).sort(dim=1).values
    picked = torch.stack([scores.gather(1, candidates) for scores in every], dim=2)
    again = candidates[:, 1:] == candidates[:, :-1]
    picked[:, 1:][again] = -1e9
    return picked.numpy(), own.numpy()


def _spread(scores: np.ndarray) -> np.ndarray:
    """Return the mean over users of the standard deviation of their candidates' scores, for each part; above 0."""
    live = scores > -1e8
    count = np.maximum(live.sum(axis=1), 1)
    centre = np.where(live, scores, 0).sum(axis=1) / count
    square = np.where(live, (scores - centre[:, None]) ** 2, 0).sum(axis=1) / count
    spread: np.ndarray = np.maximum(np.sqrt(square).mean(axis=0), 1e-9)
    return spread


def _quality(scores: np.ndarray, wanted: np.ndarray, weights: np.ndarray) -> float:
    own = wanted @ weights
    rank = (scores @ weights >= own[:, None]).sum(axis=1)
    return float(np.where(rank < K, 1.0 / np.log2(rank + 2.0), 0.0).mean())
