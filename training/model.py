"""What every model is: a fit function that reads a training set and gives a torch module with scores for every item.

A module's forward takes the six tensors of `dataset.SEQUENCE_INPUTS` and returns float32 scores [B, items + 1], higher
is better, index 0 is padding and is ignored. Evaluation and the released file use this one graph.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from torch import nn


@dataclass(frozen=True)
class CurvePoint:
    """One line of a learning curve: the mean loss since the last point, and NDCG@10 on the validation cut."""

    step: int
    epoch: int
    loss: float
    ndcg10: float


@dataclass(frozen=True)
class ProgressPoint:
    """What a model tells while it trains: step of steps, epoch, loss, and the last validation NDCG@10 (NaN before)."""

    model: str
    step: int
    steps: int
    epoch: int
    loss: float
    ndcg10: float


Progress = Callable[[ProgressPoint], None]


@dataclass(frozen=True)
class TrainSettings:
    """All that a tournament may vary. The work is counted in steps, not seconds, so that a seed fixes the result.

    `threads` is the number of torch threads (0: as it stands); results are the same for the same number.
    `least_interactions` is the most that an item must have to get numbers of its own; a small shop asks for fewer.
    A fit that starts from a champion takes `warm_steps`, and meets a cold run every `cold_every`-th time.
    `checkpoint_folder` holds a checkpoint a model while it trains; None keeps none.
    """

    seed: int = 7
    threads: int = 0
    width: int = 64
    blocks: int = 2
    heads: int = 2
    dropout: float = 0.2
    sequence_length: int = 50
    batch_size: int = 64
    learning_rate: float = 3e-3
    transformer_steps: int = 450
    warm_steps: int = 300
    cold_every: int = 4
    language_model_steps: int = 500
    factor_iterations: int = 8
    validation_every: int = 150
    patience: int = 2
    least_interactions: int = 20
    neighbours: int = 50
    span_days: int = 300
    checkpoint_folder: Path | None = None


@dataclass(frozen=True)
class FittedModel:
    """A trained model. `kind` is 'simple' (counts) or 'learned' (gradient); simple ones judge a first release.

    `knowledge` is what a later fit may start from (`warm_start.py`); empty where a model has none.
    """

    name: str
    kind: str
    scorer: nn.Module
    hyper_parameters: dict[str, float | int | str]
    curve: list[CurvePoint] = field(default_factory=list)
    knowledge: dict[str, np.ndarray] = field(default_factory=dict)

    def module(self) -> nn.Module:
        """Return the torch module that scores, in evaluation mode."""
        return self.scorer.eval()


def demo_settings(seed: int = 7, cold: bool = False) -> TrainSettings:
    """Return the settings of the demo: the whole tournament on Complete Journey in about 3 minutes on 2 cores.

    A `cold` one never starts from a champion.
    """
    settings = TrainSettings(seed=seed)
    return replace(settings, warm_steps=0) if cold else settings


def tiny_settings(seed: int = 7) -> TrainSettings:
    """Return settings for tests: seconds on a few dozen users."""
    return TrainSettings(
        seed=seed,
        threads=1,
        width=16,
        dropout=0.1,
        sequence_length=20,
        batch_size=32,
        learning_rate=1e-2,
        transformer_steps=90,
        warm_steps=30,
        language_model_steps=60,
        factor_iterations=4,
        validation_every=30,
        least_interactions=2,
        neighbours=10,
    )


def silent(point: ProgressPoint) -> None:
    """Report nothing: the progress of callers that do not watch."""
