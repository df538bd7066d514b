"""Checkpoints of a next-item fit: after each epoch, everything that the next one depends on.

A fit that was killed goes on to the weights of one that was not.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from training import replicas


@dataclass
class Progress:
    """How far a fit is: epochs done, best validation NDCG@10 and its weights, epochs since without a better one."""

    epochs: int = 0
    best: float = -1.0
    best_weights: dict[str, torch.Tensor] | None = None
    without_gain: int = 0


def read(path: Path | None, model: nn.Module, optimisers: list[torch.optim.Optimizer]) -> Progress:
    """Put model, optimisers and the random state back as they were after the last epoch; return how far that was."""
    if path is None or not path.exists():
        return Progress()
    saved: dict[str, Any] = torch.load(path, weights_only=True)
    model.load_state_dict(saved["model"])
    for optimiser, state in zip(optimisers, saved["optimisers"], strict=True):
        optimiser.load_state_dict(state)
    if replicas.place() == (0, 1):
        torch.set_rng_state(saved["random"])
    return Progress(**saved["progress"])


def write(path: Path | None, model: nn.Module, optimisers: list[torch.optim.Optimizer], progress: Progress) -> None:
    """Write a checkpoint whole or not at all; of several processes the first one writes."""
    if path is None or replicas.place()[0] > 0:
        return
    content = {
        "model": model.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in optimisers],
        "random": torch.get_rng_state(),
        "progress": vars(progress),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.part")
    with unfinished.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)
