"""Checkpoints of a next-item fit: after each epoch, everything that the next one depends on.

A fit that was killed goes on to the weights of one that was not; a file of other rows or settings is refused.
"""

import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from training import replicas
from training.leave_one_out import Sequences
from training.sequence_settings import SequenceSettings


@dataclass
class Progress:
    """How far a fit is: epochs done, best validation NDCG@10 and its weights, epochs since without a better one.

    `seconds` and `cpu_seconds` are what it took until then, in all the processes that it went on in.
    """

    epochs: int = 0
    best: float = -1.0
    best_weights: dict[str, torch.Tensor] | None = None
    without_gain: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0


def mark(sequences: Sequences, text: np.ndarray, settings: SequenceSettings) -> str:
    """Return a hash of all that the weights follow from, but for the number of threads."""
    told = repr((sorted(asdict(settings).items()), sequences.item_count))
    found = hashlib.sha256(told.encode())
    for array in (sequences.items, sequences.starts, text if settings.text else text[:0]):
        found.update(np.ascontiguousarray(array))
    return found.hexdigest()


def spent(path: Path | None) -> tuple[float, float]:
    """Return the seconds and the CPU seconds of the epochs that a checkpoint holds; 0 where there is none."""
    if path is None or not path.exists():
        return 0.0, 0.0
    progress = Progress(**torch.load(path, weights_only=True)["progress"])
    return progress.seconds, progress.cpu_seconds


def read(path: Path | None, name: str, model: nn.Module, optimisers: list[torch.optim.Optimizer]) -> Progress:
    """Put model, optimisers and the random state back as they were after the last epoch; return how far that was.

    `name` is the `mark` of this fit. Raises ValueError where the file is of another.
    """
    if path is None or not path.exists():
        return Progress()
    saved: dict[str, Any] = torch.load(path, weights_only=True)
    if saved.get("mark") != name:
        raise ValueError(f"checkpoint: expected one of these rows and settings, came another in {path}: remove it.")
    model.load_state_dict(saved["model"])
    for optimiser, state in zip(optimisers, saved["optimisers"], strict=True):
        optimiser.load_state_dict(state)
    if replicas.place() == (0, 1):
        torch.set_rng_state(saved["random"])
    return Progress(**saved["progress"])


def write(
    path: Path | None, name: str, model: nn.Module, optimisers: list[torch.optim.Optimizer], progress: Progress
) -> None:
    """Write a checkpoint whole or not at all; of several processes the first one writes. `name` is the fit's `mark`."""
    if path is None or replicas.place()[0] > 0:
        return
    content = {
        "mark": name,
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
