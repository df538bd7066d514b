"""The training loop: steps, early stopping on validation, and checkpoints that resume to the same weights.

A step is a function of (seed, step number) alone and the learning rate of the step number, so a run that was killed
and resumed walks the same path as one that was not.
"""

import copy
import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from training.model import CurvePoint, Progress, ProgressPoint, TrainSettings

#: Steps between checkpoints.
CHECKPOINT_EVERY = 25
_WARM_UP = 0.1
_WEIGHT_DECAY = 0.01


@dataclass(frozen=True)
class Task:
    """What to train: `loss(step)` draws its own batch; `quality()` is NDCG@10 on the validation cut.

    `input_hash` names the rows, so that a checkpoint of other rows or settings is never taken up.
    """

    name: str
    module: nn.Module
    loss: Callable[[int], torch.Tensor]
    quality: Callable[[], float]
    steps: int
    steps_an_epoch: int
    input_hash: str


@dataclass
class _State:
    step: int = 0
    best: float = -1.0
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)
    without_gain: int = 0
    curve: list[CurvePoint] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    finished: bool = False


def train(task: Task, settings: TrainSettings, progress: Progress) -> list[CurvePoint]:
    """Train the task's module in place to its best validation weights; return the learning curve."""
    optimiser = torch.optim.AdamW(task.module.parameters(), lr=settings.learning_rate, weight_decay=_WEIGHT_DECAY)
    path = _checkpoint_path(task, settings)
    state = _resume(path, task.module, optimiser)
    while not state.finished and state.step < task.steps:
        _one_step(task, settings, optimiser, state)
        if state.step % settings.validation_every == 0 or state.step == task.steps:
            _validate(task, settings, state)
        progress(_point(task, state))
        if path and (state.step % CHECKPOINT_EVERY == 0 or state.finished):
            _write(path, task.module, optimiser, state)
    if path and not state.finished:
        state.finished = True
        _write(path, task.module, optimiser, state)
    if state.best_weights:
        task.module.load_state_dict(state.best_weights)
    return state.curve


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Return the rate of a step: linear warm-up over a tenth of the steps, then a cosine to zero."""
    warm = max(1, int(steps * _WARM_UP))
    if step < warm:
        return peak * (step + 1) / warm
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _one_step(task: Task, settings: TrainSettings, optimiser: torch.optim.Optimizer, state: _State) -> None:
    task.module.train()
    for group in optimiser.param_groups:
        group["lr"] = learning_rate(state.step, task.steps, settings.learning_rate)
    torch.manual_seed(settings.seed * 1_000_003 + state.step)
    loss = task.loss(state.step)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(task.module.parameters(), 1.0)
    optimiser.step()
    state.losses.append(float(loss.detach()))
    state.step += 1


def _validate(task: Task, settings: TrainSettings, state: _State) -> None:
    quality = task.quality()
    loss = sum(state.losses) / max(1, len(state.losses))
    state.curve.append(CurvePoint(state.step, state.step // max(1, task.steps_an_epoch), loss, quality))
    state.losses = []
    if not state.best_weights or quality > state.best:
        state.best, state.best_weights = quality, copy.deepcopy(task.module.state_dict())
        state.without_gain = 0
    else:
        state.without_gain += 1
        state.finished = state.without_gain >= settings.patience


def _point(task: Task, state: _State) -> ProgressPoint:
    loss = state.losses[-1] if state.losses else state.curve[-1].loss
    quality = state.curve[-1].ndcg10 if state.curve else math.nan
    epoch = state.step // max(1, task.steps_an_epoch)
    return ProgressPoint(task.name, state.step, task.steps, epoch, loss, quality)


def _checkpoint_path(task: Task, settings: TrainSettings) -> Path | None:
    if settings.checkpoint_folder is None:
        return None
    named = {**asdict(settings), "checkpoint_folder": "", "rows": task.input_hash, "steps": task.steps}
    shapes = [(name, tuple(value.shape)) for name, value in task.module.state_dict().items()]
    key = hashlib.sha256(repr((sorted(named.items(), key=str), shapes)).encode()).hexdigest()[:16]
    settings.checkpoint_folder.mkdir(parents=True, exist_ok=True)
    return settings.checkpoint_folder / f"{task.name.replace(' ', '_')}-{key}.pt"


def _resume(path: Path | None, module: nn.Module, optimiser: torch.optim.Optimizer) -> _State:
    if path is None or not path.exists():
        return _State()
    saved: dict[str, Any] = torch.load(path, weights_only=True)
    module.load_state_dict(saved["module"])
    optimiser.load_state_dict(saved["optimiser"])
    curve = [CurvePoint(**point) for point in saved["curve"]]
    return _State(**saved["state"], best_weights=saved["best_weights"], curve=curve)


def _write(path: Path, module: nn.Module, optimiser: torch.optim.Optimizer, state: _State) -> None:
    """Write a checkpoint whole or not at all: a temporary file, fsync, rename."""
    plain = {name: getattr(state, name) for name in ("step", "best", "without_gain", "losses", "finished")}
    content = {
        "module": module.state_dict(),
        "optimiser": optimiser.state_dict(),
        "best_weights": state.best_weights,
        "curve": [asdict(point) for point in state.curve],
        "state": plain,
    }
    unfinished = path.with_suffix(f".{os.getpid()}.part")
    with unfinished.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)
