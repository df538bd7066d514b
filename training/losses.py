"""The losses of the learned models."""

from typing import Any

import torch
from torch.nn import functional

from training.table_rows import rows_of

#: Rows whose logits stand in memory at a time.
SOFTMAX_CHUNK = 256


def multi_positive_softmax(logits: torch.Tensor, owner: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the mean −log softmax over wanted items; a row with m of them counts √m times a row with one.

    `logits` float32 [B, V]; entry j says that row `owner[j]` wants column `target[j]`. NDCG counts users, likelihood
    counts items: the root stands between. Softmax over several positives: Mahajan et al., ECCV 2018.
    """
    losses = rows_of(torch.logsumexp(logits, dim=1), owner) - logits[owner, target]
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


class _ChunkedSoftmax(torch.autograd.Function):
    """Full softmax cross-entropy whose logits never stand in memory at once: the gradient is made chunk by chunk."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, users: torch.Tensor, items: torch.Tensor, bias: torch.Tensor, target: torch.Tensor
    ) -> torch.Tensor:
        narrow_items, narrow_bias = items.bfloat16(), bias.bfloat16()
        across = narrow_items.t().contiguous()
        to_users, to_items, to_bias = torch.empty_like(users), torch.zeros_like(items), torch.zeros_like(bias)
        total = users.new_zeros(())
        for start in range(0, len(users), SOFTMAX_CHUNK):
            narrow, wanted = users[start : start + SOFTMAX_CHUNK].bfloat16(), target[start : start + SOFTMAX_CHUNK]
            # One pass over the logits, a row in cache at a time: the kernel itself sums in float32.
            share = torch.softmax(torch.addmm(narrow_bias, narrow, across), dim=1)
            own = share.gather(1, wanted[:, None])
            total -= own.float().clamp(min=1e-30).log().sum()
            share.scatter_(1, wanted[:, None], own - 1)
            to_bias += share.sum(dim=0, dtype=torch.float32)
            to_users[start : start + SOFTMAX_CHUNK] = (share @ narrow_items).float()
            to_items += (share.t() @ narrow).float()
        rows = max(len(users), 1)
        ctx.save_for_backward(to_users.div_(rows), to_items.div_(rows), to_bias.div_(rows))
        return total / rows

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        to_users, to_items, to_bias = ctx.saved_tensors
        return to_users * gradient, to_items * gradient, to_bias * gradient, None


def chunked_softmax(users: torch.Tensor, items: torch.Tensor, bias: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the mean full-softmax cross-entropy of `target` int64 [P] over all items, products in bfloat16.

    `users` float32 [P, d], `items` float32 [V, d], `bias` float32 [V]. Memory is one chunk of 256 rows of logits.
    """
    loss: torch.Tensor = _ChunkedSoftmax.apply(users, items, bias, target)
    return loss


def same_target_contrast(states: torch.Tensor, target: torch.Tensor, temperature: float = 0.1) -> torch.Tensor:
    """Return how far apart states stand that want the same item: mean −log softmax of their cosines over the batch.

    `states` float32 [P, d], `target` int64 [P]. A place whose item no other place wants has no part in it; 0 where none
    has. Same-target contrast: Qiu et al., DuoRec, WSDM 2022; with several positives: Khosla et al., NeurIPS 2020.
    """
    unit = functional.normalize(states, dim=1)
    alike = unit @ unit.T / temperature
    itself = torch.eye(len(states), dtype=torch.bool, device=states.device)
    same = (target[:, None] == target[None, :]) & ~itself
    log_share = alike - torch.logsumexp(alike.masked_fill(itself, -torch.inf), dim=1, keepdim=True)
    partners = same.sum(dim=1)
    mean = log_share.masked_fill(~same, 0.0).sum(dim=1) / partners.clamp(min=1)
    has = partners > 0
    return -(mean * has).sum() / has.sum().clamp(min=1)
