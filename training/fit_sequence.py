"""Fit the next-item Transformer: every place of every sequence is a sample, early stopping on validation NDCG@10."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.linalg import svds
from torch import nn

from training.leave_one_out import HELD_OUT, Sequences
from training.losses import chunked_softmax
from training.recurrent_model import RecurrentModel
from training.sequence_model import SequenceModel
from training.sequence_ranking import Recommend, rank_quality

_WEIGHT_DECAY = 0.3
#: Length of the item vectors at the start.
_START_LENGTH = 0.5
#: How far apart two items of a sequence still count as neighbours when the start vectors are made.
_WINDOW = 5
#: Batches whose sequences are sorted by length together, so that little of a batch is padding.
_BUCKETS = 20
NextItemModel = SequenceModel | RecurrentModel


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


@dataclass(frozen=True)
class SequenceSettings:
    """What a fit may vary; `settings_for` takes dropout and length from the data. Epochs end by early stopping.

    `cell` 'gru' or 'lstm' puts a recurrent cell in the place of the Transformer, without text or spectral start.
    """

    width: int = 64
    heads: int = 2
    blocks: int = 2
    dropout: float = 0.5
    length: int = 50
    batch_size: int = 128
    learning_rate: float = 1e-3
    epochs: int = 24
    patience: int = 2
    seed: int = 1
    text: bool = True
    spectral: bool = True
    cell: str = ""


def settings_for(sequences: Sequences, width: int, seed: int) -> SequenceSettings:
    """Return settings that follow the data: short sequences need much dropout, long ones a longer window."""
    lengths = np.diff(sequences.starts)
    length = int(np.clip(2 ** math.ceil(math.log2(max(2, np.quantile(lengths, 0.98)))), 16, 200))
    return SequenceSettings(
        width=width,
        heads=max(1, width // 32),
        dropout=0.5 if lengths.mean() < 30 else 0.2,
        length=length,
        seed=seed,
    )


def fit(sequences: Sequences, text: np.ndarray, settings: SequenceSettings, report: Report) -> NextItemModel:
    """Return the model at its best validation NDCG@10; `text` float32 [n + 1, t], whitened."""
    torch.manual_seed(settings.seed)
    rows = [row for row in sequences.before(HELD_OUT["validation"]) if len(row) > 1]
    model = _new_model(sequences, text, settings)
    optimiser = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=_WEIGHT_DECAY, fused=True)
    best, best_weights, without_gain = -1.0, copy.deepcopy(model.state_dict()), 0
    for epoch in range(settings.epochs if rows else 0):
        loss = _one_epoch(model, optimiser, rows, epoch, settings)
        quality = rank_quality(recommender(model), sequences, "validation")["n10"]
        report(Epoch(f"{settings.cell or 'transformer'} {settings.width}", epoch + 1, loss, quality))
        without_gain = 0 if quality > best else without_gain + 1
        if quality > best:
            best, best_weights = quality, copy.deepcopy(model.state_dict())
        if without_gain > settings.patience:
            break
    model.load_state_dict(best_weights)
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


def pad(rows: list[np.ndarray], length: int) -> torch.Tensor:
    """Return the last `length` items of each row, left-aligned, int64 [rows, longest]."""
    longest = max(1, min(length, max(map(len, rows))))
    padded = np.zeros((len(rows), longest), dtype=np.int64)
    for number, row in enumerate(rows):
        kept = row[-longest:]
        padded[number, : len(kept)] = kept
    return torch.from_numpy(padded)


def window_counts(rows: list[np.ndarray], item_count: int, window: int) -> sp.csr_matrix:
    """Return how often one item follows another within `window` steps, each worth 1 / steps; [n + 1, n + 1]."""
    before, after, worth = [], [], []
    for row in rows:
        for step in range(1, min(window, len(row) - 1) + 1):
            before.append(row[:-step])
            after.append(row[step:])
            worth.append(np.full(len(row) - step, 1 / step))
    shape = (item_count + 1, item_count + 1)
    if not before:
        return sp.csr_matrix(shape)
    return sp.csr_matrix((np.concatenate(worth), (np.concatenate(before), np.concatenate(after))), shape=shape)


def _new_model(sequences: Sequences, text: np.ndarray, settings: SequenceSettings) -> NextItemModel:
    count, width = sequences.item_count, settings.width
    if settings.cell:
        return RecurrentModel(count, width, settings.cell, settings.dropout, settings.length)
    if settings.spectral and count > width + 1:
        starts = torch.from_numpy(_START_LENGTH * _spectral(sequences, width, settings.seed))
    else:
        starts = 0.02 * torch.randn(count + 1, width)
    shown = torch.from_numpy(text if settings.text else text[:, :0])
    return SequenceModel(starts, shown, (settings.blocks, settings.heads, settings.length), settings.dropout)


def _spectral(sequences: Sequences, width: int, seed: int) -> np.ndarray:
    """Return unit start vectors: the spectrum of who stands near whom (Levy and Goldberg, NeurIPS 2014)."""
    counts = window_counts(sequences.before(HELD_OUT["validation"]), sequences.item_count, _WINDOW)
    both = counts + counts.T
    scale = sp.diags((np.asarray(both.sum(axis=1)).ravel() + 1) ** -0.5)
    start = np.random.default_rng(seed).normal(size=both.shape[0]).astype(np.float32)
    left, strength, _ = svds((scale @ both @ scale).astype(np.float32), k=width, v0=start)
    vectors = left * np.sqrt(np.maximum(strength, 0))
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return unit.astype(np.float32)


def _one_epoch(
    model: NextItemModel,
    optimiser: torch.optim.Optimizer,
    rows: list[np.ndarray],
    epoch: int,
    settings: SequenceSettings,
) -> float:
    model.train()
    losses = []
    batches = list(_batches(rows, np.random.default_rng((settings.seed, epoch)), settings.batch_size))
    for number, batch in enumerate(batches):
        rate = _rate(epoch * len(batches) + number, len(batches), settings)
        for group in optimiser.param_groups:
            group["lr"] = rate
        padded = pad(batch, settings.length + 1)
        live = padded[:, 1:] > 0
        vectors = model.items()
        states = model(vectors, padded[:, :-1])[live]
        loss = chunked_softmax(states, model.outputs(vectors), model.bias, padded[:, 1:][live])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        losses.append(float(loss.detach()))
    return float(np.mean(losses))


def _batches(rows: list[np.ndarray], random: np.random.Generator, size: int) -> Iterator[list[np.ndarray]]:
    """Yield every row once: shuffled, sorted by length within buckets, the batches shuffled again."""
    lengths = np.array([len(row) for row in rows])
    shuffled = random.permutation(len(rows))
    batches: list[np.ndarray] = []
    for start in range(0, len(rows), size * _BUCKETS):
        bucket = shuffled[start : start + size * _BUCKETS]
        bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
        batches += [bucket[first : first + size] for first in range(0, len(bucket), size)]
    for number in random.permutation(len(batches)):
        yield [rows[row] for row in batches[number]]


def _rate(step: int, steps_an_epoch: int, settings: SequenceSettings) -> float:
    """Return the learning rate: one epoch of warm-up, then a cosine to zero at the last epoch."""
    warm = min(1.0, (step + 1) / steps_an_epoch)
    return settings.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / (steps_an_epoch * settings.epochs)))
