"""The article's baseline: an LSTM language model over item sequences, as over words.

Embedding → LSTM → linear over the vocabulary, trained with cross-entropy to name the next item. Faithful to it: no
times, no event types, no text; the last hidden state scores what comes next.
"""

import numpy as np
import torch
from torch import nn

from training.dataset import TrainingSet
from training.evaluate import evaluate
from training.interactions import Interactions, interactions
from training.losses import next_item_cross_entropy
from training.model import FittedModel, Progress, TrainSettings
from training.train import Task, train

#: Score of an item outside the language model's vocabulary: below every real one.
_NEVER = -1e4
_CHUNKS_A_BATCH = 16


class LanguageModel(nn.Module):
    """Scores of the item after a history; items with too few interactions are not in its vocabulary."""

    column: torch.Tensor

    def __init__(self, known: torch.Tensor, item_count: int, width: int, length: int) -> None:
        super().__init__()
        self.length = length
        self.embedding = nn.Embedding(len(known) + 1, width, padding_idx=0)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.vocabulary = nn.Linear(width, len(known) + 1)
        column = torch.zeros(item_count + 1, dtype=torch.int64)
        column[known] = torch.arange(1, len(known) + 1)
        self.register_buffer("column", column)

    def logits(self, columns: torch.Tensor) -> torch.Tensor:
        """Return logits [B, L, known + 1] after each position of columns [B, L]."""
        states: torch.Tensor = self.lstm(self.embedding(columns))[0]
        return self.vocabulary(states)

    def forward(self, history_items: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        """Return float32 scores [B, n + 1]."""
        columns = self.column[history_items[:, -self.length :]]
        states: torch.Tensor = self.lstm(self.embedding(columns))[0]
        known = self.vocabulary(states[:, -1])
        never = torch.zeros_like(known[:, :1]) + _NEVER
        return torch.cat([never, known[:, 1:]], dim=1)[:, self.column]


def fit(training_set: TrainingSet, settings: TrainSettings, progress: Progress) -> FittedModel:
    """Train on chunks of every user's sequence; early stopping on the validation cut."""
    torch.manual_seed(settings.seed)
    seen = interactions(training_set)
    count = training_set.catalogue.item_count
    known = np.flatnonzero(np.bincount(seen.item, minlength=count + 1) >= settings.least_interactions)
    module = LanguageModel(torch.from_numpy(known), count, settings.width, settings.sequence_length)
    inputs, targets = _chunks(seen, module.column.numpy(), settings.sequence_length)
    batch = min(_CHUNKS_A_BATCH, max(1, len(inputs)))
    epoch = max(1, len(inputs) // batch)

    def loss(step: int) -> torch.Tensor:
        round_number, place = divmod(step, epoch)
        order = np.random.default_rng((settings.seed, round_number)).permutation(len(inputs))
        picked = order[place * batch : (place + 1) * batch]
        return next_item_cross_entropy(
            module.logits(torch.from_numpy(inputs[picked])), torch.from_numpy(targets[picked])
        )

    def quality() -> float:
        return evaluate(module, training_set.validation).means["ndcg10"]

    steps = settings.language_model_steps if targets.any() else 0
    task = Task("LSTM language model", module, loss, quality, steps, epoch, training_set.input_hash)
    curve = train(task, settings, progress)
    chosen: dict[str, float | int | str] = {"width": settings.width, "vocabulary": len(known), "steps": steps}
    return FittedModel(task.name, "learned", module, chosen, curve)


def _chunks(seen: Interactions, column: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (inputs, targets) int64 [chunks, length] of vocabulary columns: each user's sequence cut into pieces.

    The target of a position is the item after it; items outside the vocabulary are left out, 0 fills up on the left.
    """
    columns = column[seen.item]
    user, columns = seen.user[columns > 0], columns[columns > 0]
    follows = user[1:] == user[:-1]
    source, target, owner = columns[:-1][follows], columns[1:][follows], user[1:][follows]
    if not len(owner):
        return np.zeros((0, length), dtype=np.int64), np.zeros((0, length), dtype=np.int64)
    counts = np.bincount(owner)
    left = np.cumsum(counts)[owner] - 1 - np.arange(len(owner))
    chunk = np.unique(np.stack([owner, left // length], axis=1), axis=0, return_inverse=True)[1].ravel()
    inputs = np.zeros((int(chunk.max()) + 1, length), dtype=np.int64)
    targets = np.zeros_like(inputs)
    place = length - 1 - left % length
    inputs[chunk, place], targets[chunk, place] = source, target
    return inputs, targets
