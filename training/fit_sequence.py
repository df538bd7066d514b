"""Fit the next-item Transformer: every place of every sequence is a sample, early stopping on validation NDCG@10."""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from training import replicas, sequence_checkpoint, sequence_epoch, sequence_stream
from training.leave_one_out import Sequences
from training.recurrent_model import RecurrentModel
from training.sequence_epoch import NextItemModel, pad
from training.sequence_model import SequenceModel
from training.sequence_ranking import Recommend, rank_quality
from training.sequence_settings import SequenceSettings
from training.sequence_starts import spectral_starts


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch: its number from 1, mean loss, and NDCG@10 of the validation cut, masked."""

    model: str
    number: int
    loss: float
    quality: float

    def __str__(self) -> str:
        return f"{self.model}, epoch {self.number}: loss {self.loss:.3f}, validation NDCG@10 {self.quality:.4f}"


Report = Callable[[Epoch], None]


def fit(
    sequences: Sequences, text: np.ndarray, settings: SequenceSettings, report: Report, checkpoint: Path | None = None
) -> NextItemModel:
    """Return the model at its best validation NDCG@10; `text` float32 [n + 1, t], whitened.

    A fit that was killed goes on from `checkpoint` to the same weights; a file of other rows or settings is refused.
    In a process group (`replicas.py`) each process takes its share of every batch; all of them return the same weights.
    """
    started, cpu = time.monotonic(), time.process_time()
    torch.manual_seed(settings.seed)
    model = _new_model(sequences, text, settings)
    rank, count = replicas.place()
    if count > 1:
        torch.manual_seed(settings.seed + 1_000_003 * rank)
    optimisers = sequence_epoch.optimisers(model, settings)
    mark = sequence_checkpoint.mark(sequences, text, settings) if checkpoint else ""
    done = sequence_checkpoint.read(checkpoint, mark, model, optimisers)
    started, cpu = started - done.seconds, cpu - done.cpu_seconds
    steps = sequence_stream.batch_count(sequences, settings.batch_size)
    epochs = settings.epochs if steps else 0
    while done.epochs < epochs and done.without_gain <= settings.patience:
        loss = sequence_epoch.one_epoch(model, optimisers, sequences, done.epochs, settings)
        quality = rank_quality(recommender(model), sequences, "validation", settings.validation_users)["n10"]
        done.epochs += 1
        early = done.epochs * steps < settings.least_steps
        done.without_gain = 0 if early or quality > done.best else done.without_gain + 1
        if quality > done.best:
            done.best, done.best_weights = quality, copy.deepcopy(model.state_dict())
        done.seconds, done.cpu_seconds = time.monotonic() - started, time.process_time() - cpu
        sequence_checkpoint.write(checkpoint, mark, model, optimisers, done)
        report(Epoch(f"{settings.cell or 'transformer'} {settings.width}", done.epochs, loss, quality))
    if done.best_weights is not None:
        model.load_state_dict(done.best_weights)
    return model.eval()


def recommender(model: NextItemModel) -> Recommend:
    """Return the function that scores all items for histories, float32 [B, n + 1]."""
    model.eval()
    with torch.no_grad():
        vectors = model.items().detach()
        outputs = model.outputs(vectors).detach()

    @torch.inference_mode()
    def scores(histories: list[np.ndarray]) -> torch.Tensor:
        padded = pad(histories, model.length)
        last = torch.tensor([min(len(row), model.length) - 1 for row in histories])
        states = model(vectors, padded)[torch.arange(len(histories)), last]
        return states @ outputs.T + model.bias

    return scores


def _new_model(sequences: Sequences, text: np.ndarray, settings: SequenceSettings) -> NextItemModel:
    count, width = sequences.item_count, settings.width
    if settings.cell:
        return RecurrentModel(count, width, settings.cell, settings.dropout, settings.length)
    if settings.spectral and count > width + 1:
        starts = torch.from_numpy(spectral_starts(sequences, width, settings.seed))
    else:
        starts = 0.02 * torch.randn(count + 1, width)
    shown = torch.from_numpy(text if settings.text else text[:, :0])
    return SequenceModel(starts, shown, (settings.blocks, settings.heads, settings.length), settings.dropout)
