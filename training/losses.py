"""The losses of the learned models."""

import torch
from torch.nn import functional


def multi_positive_softmax(logits: torch.Tensor, owner: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the mean −log softmax over wanted items; a row with m of them counts √m times a row with one.

    `logits` float32 [B, V]; entry j says that row `owner[j]` wants column `target[j]`. NDCG counts users, likelihood
    counts items: the root stands between. Softmax over several positives: Mahajan et al., ECCV 2018.
    """
    losses = torch.logsumexp(logits, dim=1)[owner] - logits[owner, target]
    return root_mean(losses, owner, len(logits))


def root_mean(losses: torch.Tensor, owner: torch.Tensor, rows: int) -> torch.Tensor:
    """Return the weighted mean of losses, each weighing 1 / √(number of losses of its row)."""
    weights = torch.bincount(owner, minlength=rows).clamp(min=1).float().rsqrt()[owner]
    return (losses * weights).sum() / weights.sum().clamp(min=1e-6)


def next_item_cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of the next item, positions with target 0 left out.

    `logits` float32 [B, L, V], `targets` int64 [B, L] columns of V.
    """
    return functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=0)
