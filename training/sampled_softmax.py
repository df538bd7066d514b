"""Softmax over a sample of items, for catalogues too large for the whole: batch-shared negatives, logQ corrected.

Each negative j is drawn with chance q_j and stands for 1 / (S·q_j) items, so that the sum over the sample is an
unbiased estimate of the sum over the catalogue (Bengio and Senécal, 2008; Yi et al., RecSys 2019).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.checkpoint import checkpoint

from training.leave_one_out import HELD_OUT, Sequences

#: Share of negatives drawn by popularity; the others are drawn evenly, so that no item's chance is zero.
_BY_POPULARITY = 0.5
#: Positions whose logits stand in memory at a time.
_CHUNK = 1024


@dataclass(frozen=True)
class Proposal:
    """What negatives are drawn from: `events` int64 [E] item of each training event, `counts` [n + 1] of each item."""

    events: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, sequences: Sequences) -> "Proposal":
        """Return the proposal of the events before both cuts."""
        kept = np.ones(len(sequences.items), dtype=bool)
        for held_out in range(1, HELD_OUT["validation"] + 1):
            kept[sequences.starts[1:] - held_out] = False
        events = sequences.items[kept]
        return cls(events, np.bincount(events, minlength=sequences.item_count + 1))

    def draw(self, random: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return items int64 [size] from 1 … n, drawn with replacement, and log(size · chance) float32 [size]."""
        even = random.random(size) >= _BY_POPULARITY
        items = np.asarray(self.events[random.integers(0, len(self.events), size)]).copy()
        items[even] = random.integers(1, len(self.counts), int(even.sum()))
        chance = _BY_POPULARITY * self.counts[items] / len(self.events)
        chance = chance + (1 - _BY_POPULARITY) / (len(self.counts) - 1)
        return items, np.log(size * chance).astype(np.float32)


def sampled_softmax(
    users: torch.Tensor, own: torch.Tensor, others: torch.Tensor, offset: torch.Tensor, same: tuple[torch.Tensor, ...]
) -> torch.Tensor:
    """Return the mean cross-entropy of the wanted items over themselves and the negatives.

    `users` float32 [P, d], `own` float32 [P] scores of the wanted items, `others` float32 [S, d] vectors of negatives,
    `offset` float32 [S] their bias − log(S·q); `same` is (wanted [P], negatives [S]): a negative that is the wanted
    item itself is left out. Only a chunk of positions has its logits in memory.
    """
    wanted, negatives = same
    total = users.new_zeros(())
    for start in range(0, len(users), _CHUNK):
        part = slice(start, start + _CHUNK)
        chunk = (users[part], own[part], others, offset, wanted[part, None] == negatives)
        total = total + checkpoint(_chunk_loss, *chunk, use_reentrant=False)
    return total / max(len(users), 1)


def _chunk_loss(
    users: torch.Tensor, own: torch.Tensor, others: torch.Tensor, offset: torch.Tensor, hit: torch.Tensor
) -> torch.Tensor:
    logits = (users @ others.T + offset).masked_fill(hit, -torch.inf)
    loss: torch.Tensor = (torch.logsumexp(torch.cat([own[:, None], logits], dim=1), dim=1) - own).sum()
    return loss
