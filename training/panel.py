"""Weights between scores, found on the validation cut: each user's best candidates, scored once and re-weighed.

What a user took before and what is new to them are two rankings: weights for new items are chosen on new items alone,
for in the whole ranking they hardly count.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from training import metrics
from training.dataset import Cut
from training.evaluate import K, inputs_of, new_only, rows_of
from training.largest import largest

#: Candidates taken from each part of a blend.
_DEPTH = 60
_BATCH = 128
#: The score where a part has none: no candidate by it, and 0 in the sum.
NEVER = -1e9
Parts = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class Panel:
    """Scores of candidates: `features` float32 [users, candidates, parts]; `wanted` bool; `counts` truth sizes.

    `live` is False where a row has fewer candidates or one stands twice. `tail` bool [users, candidates] and
    `tail_counts` are those of the wanted items that few people take; none where no tail was named.
    """

    features: np.ndarray
    wanted: np.ndarray
    live: np.ndarray
    counts: np.ndarray
    tail: np.ndarray
    tail_counts: np.ndarray


@torch.inference_mode()
def build_panel(parts: Parts, cut: Cut, only_new: bool = False, tail: np.ndarray | None = None) -> Panel:
    """Return the panel of the cut's users with a truth; `parts(*inputs)` gives scores [B, parts, n + 1].

    `only_new` leaves out what stands in a query's history or habits, as candidate and as wanted. `tail` bool [n + 1].
    """
    rows = np.flatnonzero(cut.truth.counts() > 0)
    features, items = [], []
    for start in range(0, len(rows), _BATCH):
        inputs = inputs_of(cut.queries, rows[start : start + _BATCH])
        scores = parts(*inputs).clone()
        scores[:, :, 0] = NEVER
        if only_new:
            known = torch.cat([inputs[0], inputs[3]], dim=1)
            scores.scatter_(2, known.unsqueeze(1).expand(-1, scores.shape[1], -1), NEVER)
        top = torch.topk(scores, min(_DEPTH, scores.shape[2] - 1), dim=2).indices.flatten(1).sort(dim=1).values
        picked = top.unsqueeze(1).expand(-1, scores.shape[1], -1)
        found = torch.gather(scores, 2, picked).transpose(1, 2)
        has_score = found > NEVER / 2
        features.append(torch.where(has_score, found, 0.0).numpy())
        items.append(torch.where(has_score.any(dim=2), top, 0).numpy())
    if not items:
        nobody, nothing = np.zeros((0, 1), dtype=bool), np.zeros(0, dtype=np.int64)
        return Panel(np.zeros((0, 1, 1)), nobody, nobody, nothing, nobody, nothing)
    ranked = np.concatenate(items)
    twice = np.concatenate([np.zeros((len(ranked), 1), dtype=bool), ranked[:, 1:] == ranked[:, :-1]], axis=1)
    truth = rows_of(cut.truth, rows)
    truth = new_only(truth, cut.queries, rows) if only_new else truth
    hit = metrics.hits(ranked, truth.starts, truth.items)
    rare = np.zeros(int(ranked.max(initial=0)) + 1, dtype=bool) if tail is None else tail
    owner = np.repeat(np.arange(len(rows)), truth.counts())
    tail_counts = np.bincount(owner[rare[truth.items]], minlength=len(rows)) if tail is not None else 0 * truth.counts()
    return Panel(np.concatenate(features), hit, (ranked > 0) & ~twice, truth.counts(), hit & rare[ranked], tail_counts)


def panel_ndcg(panel: Panel, weights: np.ndarray, emphasis: float = 0.0) -> float:
    """Return the mean NDCG@10 of the weighted sum of parts, over the panel's candidates; NaN for an empty panel.

    `emphasis`: how much of the mean NDCG@10 of those who want tail items, counting only these, is added to it.
    """
    if not len(panel.counts):
        return float("nan")
    scores = np.where(panel.live, panel.features @ weights.astype(np.float32), -np.inf)
    order = largest(scores, min(K, scores.shape[1]))
    hit = np.take_along_axis(panel.wanted & panel.live, order, axis=1)
    found = metrics.mean(metrics.ndcg(hit, panel.counts, K))
    if not emphasis or not panel.tail_counts.any():
        return found
    rare = np.take_along_axis(panel.tail & panel.live, order, axis=1)
    return found + emphasis * metrics.mean(metrics.ndcg(rare, panel.tail_counts, K))


def search(
    panel: Panel, start: np.ndarray, grids: dict[int, tuple[float, ...]], rounds: int = 2, emphasis: float = 0.0
) -> np.ndarray:
    """Return weights that no single change within the grids improves much: one part after the other, best kept.

    `grids` names the values tried for a part; parts without a grid keep their start. `emphasis` as in `panel_ndcg`.
    """
    weights, best = start.astype(np.float64).copy(), panel_ndcg(panel, start, emphasis)
    for _ in range(rounds):
        before = weights.copy()
        for part, grid in grids.items():
            for value in grid:
                trial = weights.copy()
                trial[part] = value
                quality = panel_ndcg(panel, trial, emphasis)
                if quality > best:
                    best, weights = quality, trial
        if (weights == before).all():
            break
    return weights
