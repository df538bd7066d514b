"""Fit the Transformer: first its body on what users take next, then the copy head, then how much of each.

The body is trained on all wanted items. The copy head is trained without it: item vectors have seen the training weeks,
and a head that leans on them trusts them too much in the weeks to come.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from training.copy_head import CopyHead, copy_loss_terms
from training.dataset import TrainingSet
from training.evaluate import evaluate, inputs_of
from training.interactions import Interactions, interactions
from training.item_vectors import spectral_vectors, text_neighbours, whitened_text
from training.losses import multi_positive_softmax, root_mean
from training.model import CurvePoint, FittedModel, Progress, TrainSettings
from training.panel import build_panel, search
from training.samples import Samples, log_popularity, repeat_rates, training_samples
from training.train import Task, train
from training.transformer import ItemTable, UserEncoder
from training.transformer_scorer import TransformerScorer
from training.warm_start import WarmStart, knowledge, take_up

#: Share of items that must do without their ID vector at a step, so that text alone learns to carry them.
TEXT_ALONE = 0.2
#: Tried on validation: how much taste counts at past items and at new ones, and an offset of past items.
MIXES = {
    1: (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5),
    2: (0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0),
    3: (-0.5, -0.25, 0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0),
}
#: Where the search starts: base, taste at past items, taste at new items, offset.
MIX_START = (1.0, 0.5, 0.5, 0.0)
#: Length of item vectors at the start, which sets the scale of the first logits.
_START_LENGTH = 1.5


class Body(nn.Module):
    """The trainable part of the Transformer: item table, user encoder, output bias and popularity gain."""

    log_popularity: torch.Tensor

    def __init__(self, table: ItemTable, encoder: UserEncoder, popularity: torch.Tensor) -> None:
        super().__init__()
        self.table = table
        self.encoder = encoder
        self.bias = nn.Parameter(torch.zeros(len(table.known) + 1))
        self.popularity_gain = nn.Parameter(torch.tensor(0.8))
        self.register_buffer("log_popularity", popularity)

    def forward(self, items: torch.Tensor, types: torch.Tensor, ages: torch.Tensor) -> torch.Tensor:
        """Return training logits [B, known] of the items with an ID vector."""
        kept = (torch.rand(len(self.bias)) >= TEXT_ALONE).float()
        user = self.encoder(self.table(items, kept), types * (items > 0), ages)
        logits = user @ self.table(self.table.known, kept).T + self.bias[1:]
        return logits + self.popularity_gain * self.log_popularity[self.table.known]


@dataclass(frozen=True)
class _Sampler:
    """Batches by step: every epoch is one walk through the samples in a shuffled order."""

    samples: Samples
    batch: int
    seed: int

    @property
    def steps_an_epoch(self) -> int:
        return max(1, len(self.samples) // self.batch)

    def pick(self, step: int) -> np.ndarray:
        """Return the sample numbers of a step."""
        epoch, place = divmod(step, self.steps_an_epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.samples))
        return order[place * self.batch : (place + 1) * self.batch]


def fit(
    training_set: TrainingSet, settings: TrainSettings, progress: Progress, start: WarmStart | None = None
) -> FittedModel:
    """Train body and copy head, and choose their mix on the validation cut.

    With `start` the body begins with what the champion's knew and takes fewer steps. Every `settings.cold_every`-th
    time a cold run stands beside it, and the better one on validation is taken: no line of warm starts drifts unseen.
    """
    warm = None if start is None else _fit(training_set, settings, progress, start)
    if start is None or warm is None:
        return _since_cold(_cold(training_set, settings, progress), 0)
    if start.since_cold + 1 < settings.cold_every:
        return _since_cold(warm, start.since_cold + 1)
    cold = _cold(training_set, settings, progress)
    quality = {
        "warm_ndcg10": evaluate(warm.module(), training_set.validation).means["ndcg10"],
        "cold_ndcg10": evaluate(cold.module(), training_set.validation).means["ndcg10"],
    }
    better = warm if quality["warm_ndcg10"] > quality["cold_ndcg10"] else cold
    return _since_cold(replace(better, hyper_parameters=better.hyper_parameters | quality), 0)


def _since_cold(model: FittedModel, count: int) -> FittedModel:
    """Say how many releases ago a cold run was met, where people look and where the next warm start reads it."""
    known = model.knowledge | {"since_cold": np.array(count)}
    return replace(model, hyper_parameters=model.hyper_parameters | {"since_cold": count}, knowledge=known)


def _cold(training_set: TrainingSet, settings: TrainSettings, progress: Progress) -> FittedModel:
    model = _fit(training_set, settings, progress, None)
    assert model is not None
    return model


def _fit(
    training_set: TrainingSet, settings: TrainSettings, progress: Progress, start: WarmStart | None
) -> FittedModel | None:
    """Return the fitted model; None where there is a start and this body can take up nothing of it."""
    torch.manual_seed(settings.seed)
    seen = interactions(training_set)
    samples = training_samples(training_set, seen, settings.span_days)
    sampler = _Sampler(samples, min(settings.batch_size, max(1, len(samples))), settings.seed)
    body = _new_body(training_set, seen, settings)
    carried = take_up(body, training_set.catalogue.item_ids, start) if start else 0
    if start and not carried:
        return None
    head = CopyHead(body.log_popularity, torch.from_numpy(repeat_rates(seen, training_set.catalogue.item_count)))
    curve = _train_body(body, head, training_set, sampler, (settings, progress), start)
    _train_head(body, head, training_set, sampler, (settings, progress))
    mixes = _choose_mixes(body, head, training_set)
    chosen: dict[str, float | int | str] = {
        "mix_past": float(mixes[1]),
        "mix_new": float(mixes[2]),
        "past_offset": float(mixes[3]),
        "width": settings.width,
        "blocks": settings.blocks,
        "sequence_length": settings.sequence_length,
        "samples": len(samples),
        "steps": curve[-1].step if curve else 0,
        "start": start.release_id if start else "cold",
        "carried_items": carried,
    }
    known = knowledge(body, training_set.catalogue.item_ids)
    return FittedModel("transformer", "learned", freeze(body, head, tuple(mixes)), chosen, curve, known)


def _choose_mixes(body: Body, head: CopyHead, training_set: TrainingSet) -> np.ndarray:
    """Return the mixes with the best validation NDCG@10; taste at new items first, by that of new items alone."""
    parts = freeze(body, head, MIX_START).eval().parts
    new = search(build_panel(parts, training_set.validation, only_new=True), np.array(MIX_START), {2: MIXES[2]})
    return search(build_panel(parts, training_set.validation), new, {1: MIXES[1], 3: MIXES[3]})


@torch.no_grad()
def freeze(body: Body, head: CopyHead, mixes: tuple[float, ...]) -> TransformerScorer:
    """Return the scorer with item vectors computed once; items without an ID vector borrow from their neighbours."""
    table = body.table
    nearest, shares = text_neighbours(table.text.numpy(), table.column.numpy())
    borrowed, weights = table.column[torch.from_numpy(nearest)], torch.from_numpy(shares)
    vectors = table(torch.arange(len(table.text))) + (weights.unsqueeze(-1) * table.identity[borrowed]).sum(dim=1)
    vectors[0] = 0
    bias = torch.where(table.column > 0, body.bias[table.column], (weights * body.bias[borrowed]).sum(dim=1))
    return TransformerScorer(body.encoder, head, vectors, bias, np.array(mixes))


def _new_body(training_set: TrainingSet, seen: Interactions, settings: TrainSettings) -> Body:
    count = training_set.catalogue.item_count
    popularity = torch.from_numpy(log_popularity(seen, count))
    known = np.flatnonzero(np.bincount(seen.item, minlength=count + 1) >= settings.least_interactions)
    starts = spectral_vectors(seen, known, count, settings.width, settings.seed)
    text = torch.from_numpy(whitened_text(training_set.catalogue.text_vectors))
    table = ItemTable(torch.from_numpy(_START_LENGTH * starts), text, torch.from_numpy(known))
    encoder = UserEncoder(settings.width, settings.blocks, settings.heads, settings.dropout, settings.sequence_length)
    return Body(table, encoder, popularity)


def _train_body(
    body: Body,
    head: CopyHead,
    training_set: TrainingSet,
    sampler: _Sampler,
    how: tuple[TrainSettings, Progress],
    start: WarmStart | None,
) -> list[CurvePoint]:
    settings, progress = how
    length = settings.sequence_length

    def loss(step: int) -> torch.Tensor:
        picked = sampler.pick(step)
        items, types, ages, *_ = inputs_of(sampler.samples.queries, sampler.samples.rows[picked])
        owner, wanted = (torch.from_numpy(array) for array in sampler.samples.positives(picked))
        column = body.table.column[wanted]
        logits = body(items[:, -length:], types[:, -length:], ages[:, -length:])
        return multi_positive_softmax(logits, owner[column > 0], column[column > 0] - 1)

    def quality() -> float:
        return evaluate(_BodyScorer(body, freeze(body, head, MIX_START)), training_set.validation).means["ndcg10"]

    wanted = settings.warm_steps if start else settings.transformer_steps
    steps = wanted if len(sampler.samples) and len(body.table.known) else 0
    begins = f"{training_set.input_hash} {start.release_id}" if start else training_set.input_hash
    task = Task("transformer", body, loss, quality, steps, sampler.steps_an_epoch, begins)
    return train(task, settings, progress)


def _train_head(
    body: Body, head: CopyHead, training_set: TrainingSet, sampler: _Sampler, how: tuple[TrainSettings, Progress]
) -> list[CurvePoint]:
    settings, progress = how

    def loss(step: int) -> torch.Tensor:
        picked = sampler.pick(step)
        items, _, ages, *habits = inputs_of(sampler.samples.queries, sampler.samples.rows[picked])
        owner, wanted = (torch.from_numpy(array) for array in sampler.samples.positives(picked))
        return root_mean(copy_loss_terms(head, head(items, ages, *habits), owner, wanted), owner, len(picked))

    def quality() -> float:
        return evaluate(freeze(body, head, (1.0, 0.0, 0.0, 0.0)), training_set.validation).means["ndcg10"]

    steps = settings.transformer_steps if len(sampler.samples) else 0
    task = Task("copy head", head, loss, quality, steps, sampler.steps_an_epoch, training_set.input_hash)
    return train(task, settings, progress)


class _BodyScorer(nn.Module):
    """The body alone, for its own validation."""

    def __init__(self, body: Body, frozen: TransformerScorer) -> None:
        super().__init__()
        self.body = body
        self.frozen = frozen

    def forward(self, items: torch.Tensor, types: torch.Tensor, ages: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        length = self.frozen.encoder.length
        recent = items[:, -length:]
        user = self.body.encoder(self.frozen.vectors[recent], types[:, -length:] * (recent > 0), ages[:, -length:])
        taste = user @ self.frozen.vectors.T + self.frozen.bias
        return taste + self.body.popularity_gain * self.body.log_popularity
