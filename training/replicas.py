"""Training in several processes: each takes its share of every batch, and the gradients are summed.

`torchrun` starts the processes and the caller makes the process group (gloo on CPUs); with no group there is one
process, and every function here is the identity. Weights are equal in all of them as long as they start equal.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
from torch import distributed, nn

Each = TypeVar("Each")


def place() -> tuple[int, int]:
    """Return this process's number and how many there are."""
    if not distributed.is_available() or not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def share(batch: Sequence[Each]) -> Sequence[Each]:
    """Return what this process takes of a batch: every n-th, so that lengths are alike."""
    rank, count = place()
    return batch[rank::count]


def total(number: float) -> float:
    """Return the sum of a number over the processes."""
    if place()[1] == 1:
        return number
    summed = torch.tensor(number, dtype=torch.float64)
    distributed.all_reduce(summed)
    return float(summed)


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Sum the gradients over the processes, in place: dense ones in one message, sparse ones one by one."""
    if place()[1] == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    for gradient in gradients:
        if gradient.is_sparse:
            distributed.all_reduce(gradient)
    dense = [gradient for gradient in gradients if not gradient.is_sparse]
    flat = torch.cat([gradient.flatten() for gradient in dense])
    distributed.all_reduce(flat)
    for gradient, summed in zip(dense, flat.split([gradient.numel() for gradient in dense]), strict=True):
        gradient.copy_(summed.view_as(gradient))
