"""Rank every item for every user of a leave-one-out cut, masked and unmasked, and average the quality."""

from collections.abc import Callable

import numpy as np
import torch

from training.leave_one_out import HELD_OUT, Sequences
from training.metrics import bootstrap_interval

#: Histories in, scores of all items out: float32 [B, n + 1], index 0 is padding.
Recommend = Callable[[list[np.ndarray]], torch.Tensor]
K = 10
_BATCH = 512
#: Scores that stand in memory at a time, at most.
_SCORES = 16_000_000


def rank_quality(recommend: Recommend, sequences: Sequences, cut: str, users: int = 0) -> dict[str, float]:
    """Return r10, n10 with the history masked, r10_unmasked, n10_unmasked, and r10_cold on one cut.

    With one wanted item NDCG@10 is 1 / log2(rank + 1) within the first ten, and Recall@10 is the hit rate. `r10_cold`
    is over wanted items that no training sequence names; NaN where there are none. Equal scores count against
    the item. With the history masked a wanted item of the history cannot be recommended: it is a miss.
    `users` above 0 takes that many users, always the same.
    """
    chosen = np.arange(len(sequences))
    if 0 < users < len(chosen):
        chosen = np.sort(np.random.default_rng(0).choice(len(chosen), users, replace=False))
    return _means(*wanted_ranks(recommend, sequences, cut, chosen), sequences, cut, chosen)


def rank_report(recommend: Recommend, sequences: Sequences, cut: str) -> dict[str, float]:
    """Return what `rank_quality` does, and n10_low and n10_high: the 95 % bootstrap interval of n10 over users."""
    masked, unmasked = wanted_ranks(recommend, sequences, cut)
    low, high = bootstrap_interval(_gain(masked))
    return _means(masked, unmasked, sequences, cut, np.arange(len(sequences))) | {"n10_low": low, "n10_high": high}


def _means(
    masked: np.ndarray, unmasked: np.ndarray, sequences: Sequences, cut: str, chosen: np.ndarray
) -> dict[str, float]:
    trained = np.concatenate(sequences.before(HELD_OUT["validation"]))
    known = np.bincount(trained, minlength=sequences.item_count + 1) > 0
    cold = ~known[sequences.wanted(HELD_OUT[cut])[chosen]]
    return {
        "r10": float((masked < K).mean()),
        "n10": float(_gain(masked).mean()),
        "r10_unmasked": float((unmasked < K).mean()),
        "n10_unmasked": float(_gain(unmasked).mean()),
        "r10_cold": float((masked[cold] < K).mean()) if cold.any() else float("nan"),
    }


def wanted_ranks(
    recommend: Recommend, sequences: Sequences, cut: str, chosen: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the 0-based rank of each (chosen) user's wanted item, int64: with the history masked, and without.

    A wanted item that stands in the history is masked with it: its rank is the last, and a miss in a small catalogue
    too.
    """
    chosen = np.arange(len(sequences)) if chosen is None else chosen
    every, wanted = sequences.before(HELD_OUT[cut]), sequences.wanted(HELD_OUT[cut])[chosen]
    histories = [every[user] for user in chosen]
    order = np.argsort([len(row) for row in histories], kind="stable")
    masked, unmasked = np.zeros(len(order), dtype=np.int64), np.zeros(len(order), dtype=np.int64)
    batch = users_at_once(sequences.item_count)
    for start in range(0, len(order), batch):
        users = order[start : start + batch]
        rows = [histories[user] for user in users]
        scores = recommend(rows).clone()
        target = torch.from_numpy(wanted[users])[:, None]
        own = scores.gather(1, target)
        if not torch.isfinite(own).all():
            raise ValueError("scores: expected finite numbers, came NaN or infinity: a broken model has no rank.")
        scores[:, 0] = -torch.inf
        scores.scatter_(1, target, -torch.inf)
        unmasked[users] = (scores >= own).sum(dim=1).numpy()
        owner, seen = flat(rows)
        scores[owner, seen] = -torch.inf
        masked[users] = (scores >= own).sum(dim=1).numpy()
        masked[users[taken_before(owner, seen, target)]] = max(sequences.item_count, K)
    return masked, unmasked


def users_at_once(item_count: int) -> int:
    """Return how many users' scores of all items may stand in memory at a time."""
    return max(1, min(_BATCH, _SCORES // (item_count + 1)))


def flat(rows: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (row number, item) of every item of the rows, both int64."""
    owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    return torch.from_numpy(owner), torch.from_numpy(np.concatenate(rows))


def taken_before(owner: torch.Tensor, seen: torch.Tensor, target: torch.Tensor) -> np.ndarray:
    """Return the numbers of the rows whose own wanted item, `target` int64 [rows, 1], stands among what they saw."""
    found: np.ndarray = owner[seen == target[owner, 0]].unique().numpy()
    return found


def _gain(ranks: np.ndarray) -> np.ndarray:
    gain: np.ndarray = np.where(ranks < K, 1.0 / np.log2(ranks + 2.0), 0.0)
    return gain
