"""One epoch of the next-item model: every place of every sequence is a sample, over all items or a sample of them."""

import math

import numpy as np
import torch
from torch import nn

from training import replicas
from training.leave_one_out import Sequences
from training.losses import chunked_softmax, same_target_contrast
from training.recurrent_model import RecurrentModel
from training.sampled_softmax import Proposal, sampled_softmax
from training.sequence_model import SequenceModel
from training.sequence_settings import SequenceSettings
from training.sequence_stream import batch_count, batches
from training.table_rows import rows_of

NextItemModel = SequenceModel | RecurrentModel
_WEIGHT_DECAY = 0.3
_CLIP = 5.0


def optimisers(model: NextItemModel, settings: SequenceSettings) -> list[torch.optim.Optimizer]:
    """Return AdamW for all weights; with sampled items the table of item vectors has a lazy Adam of its own."""
    rate = settings.learning_rate
    if not _sampled(settings):
        return [torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=_WEIGHT_DECAY, fused=True)]
    rest = [weights for name, weights in model.named_parameters() if name != "identity"]
    return [
        torch.optim.AdamW(rest, lr=rate, weight_decay=_WEIGHT_DECAY, fused=True),
        torch.optim.SparseAdam([model.identity], lr=rate),
    ]


def one_epoch(
    model: NextItemModel,
    optimisers: list[torch.optim.Optimizer],
    sequences: Sequences,
    epoch: int,
    settings: SequenceSettings,
) -> float:
    """Walk once through the training sequences; return the mean loss of the batches, over all processes."""
    model.train()
    losses, count = [], batch_count(sequences, settings.batch_size)
    proposal = Proposal.of(sequences) if _sampled(settings) else None
    random = np.random.default_rng((settings.seed, epoch))
    for number, batch in enumerate(batches(sequences, random, settings.batch_size)):
        rate = _rate(epoch * count + number, count, settings)
        for group in (group for optimiser in optimisers for group in optimiser.param_groups):
            group["lr"] = rate
        padded = pad(list(replicas.share(batch)) or [np.zeros(2, dtype=np.int64)], settings.length + 1)
        if proposal is None:
            loss = _full_loss(model, padded, settings.contrast)
        else:
            drawn = proposal.draw(np.random.default_rng((settings.seed, epoch, number)), settings.negatives)
            loss = _sampled_loss(model, padded, *map(torch.from_numpy, drawn))
        places = int((padded[:, 1:] > 0).sum())
        part = places / max(replicas.total(places), 1.0)
        for optimiser in optimisers:
            optimiser.zero_grad()
        (loss * part).backward()  # type: ignore[no-untyped-call]
        _step(model, optimisers, rate)
        losses.append(replicas.total(float(loss.detach()) * part))
    return float(np.mean(losses))


def pad(rows: list[np.ndarray], length: int) -> torch.Tensor:
    """Return the last `length` items of each row, left-aligned, int64 [rows, longest]."""
    longest = max(1, min(length, max(map(len, rows))))
    padded = np.zeros((len(rows), longest), dtype=np.int64)
    for number, row in enumerate(rows):
        kept = row[-longest:]
        padded[number, : len(kept)] = kept
    return torch.from_numpy(padded)


def _sampled(settings: SequenceSettings) -> bool:
    return settings.negatives > 0 and not settings.cell


def _full_loss(model: NextItemModel, padded: torch.Tensor, contrast: float) -> torch.Tensor:
    live = padded[:, 1:] > 0
    vectors, wanted = model.items(), padded[:, 1:][live]
    states = model(vectors, padded[:, :-1])[live]
    loss = chunked_softmax(states, model.outputs(vectors), model.bias, wanted)
    return loss + contrast * same_target_contrast(states, wanted) if contrast else loss


def _sampled_loss(
    model: NextItemModel, padded: torch.Tensor, negatives: torch.Tensor, log_expected: torch.Tensor
) -> torch.Tensor:
    """Return the loss over the wanted items and the negatives; only vectors of items of the batch are made."""
    assert isinstance(model, SequenceModel)
    live = padded[:, 1:] > 0
    items, place = torch.cat([padded.flatten(), negatives]).unique(return_inverse=True)
    places, drawn = place[: padded.numel()].view_as(padded), place[padded.numel() :]
    vectors = model.items(items)
    states = model(vectors, places[:, :-1])[live]
    wanted = places[:, 1:][live]
    own = (states * rows_of(vectors, wanted)).sum(dim=1) + rows_of(model.bias, items[wanted])
    offset = rows_of(model.bias, negatives) - log_expected
    return sampled_softmax(states, own, rows_of(vectors, drawn), offset, (wanted, drawn))


def _step(model: NextItemModel, optimisers: list[torch.optim.Optimizer], rate: float) -> None:
    """Sum the gradients of all processes, clip the dense ones, and step; rows of a sparse table decay when touched."""
    replicas.sum_gradients(model.parameters())
    dense = [weights for weights in model.parameters() if weights.grad is not None and not weights.grad.is_sparse]
    nn.utils.clip_grad_norm_(dense, _CLIP)
    touched = model.identity.grad
    if touched is not None and touched.is_sparse:
        rows = touched.coalesce().indices()[0]
        model.identity.data[rows] *= 1 - rate * _WEIGHT_DECAY
    for optimiser in optimisers:
        optimiser.step()


def _rate(step: int, steps_an_epoch: int, settings: SequenceSettings) -> float:
    """Return the learning rate: one epoch of warm-up, then a cosine to zero at the last epoch."""
    warm = min(1.0, (step + 1) / steps_an_epoch)
    return settings.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / (steps_an_epoch * settings.epochs)))
