"""Judge a module on a cut: rank the whole catalogue for every user who came back, and average what they wanted."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from training import metrics
from training.dataset import SEQUENCE_INPUTS, Cut, Queries, Truth

K = 10
#: Ranks looked at for the reciprocal rank.
DEPTH = 100
#: The columns of the table, in order.
METRIC_NAMES = ("ndcg10", "recall10", "mrr", "new_ndcg10", "new_recall10", "coverage")
_BATCH = 128


@dataclass(frozen=True)
class Evaluation:
    """A model's metrics on one cut: `per_user` float64 [users with a truth] by name, and their means.

    `new_*` are over items new to the user: wanted items that stand neither in the history nor in the habits, ranked
    among such items only. `query_rows` are the row numbers in the cut, `ranked` int64 [users, 10] what came first.
    """

    per_user: dict[str, np.ndarray]
    means: dict[str, float]
    query_rows: np.ndarray
    ranked: np.ndarray

    def interval(self, name: str) -> tuple[float, float]:
        """Return the 95 % bootstrap interval over users of one metric's mean."""
        return metrics.bootstrap_interval(self.per_user[name])


def inputs_of(queries: Queries, rows: np.ndarray) -> tuple[torch.Tensor, ...]:
    """Return the six input tensors of these rows, in the order of SEQUENCE_INPUTS."""
    return tuple(torch.from_numpy(getattr(queries, name)[rows]) for name in SEQUENCE_INPUTS)


def evaluate(module: nn.Module, cut: Cut) -> Evaluation:
    """Return the metrics of a module over the cut's users who have a truth, over the full catalogue."""
    rows = np.flatnonzero(cut.truth.counts() > 0)
    truth = rows_of(cut.truth, rows)
    new_truth = new_only(truth, cut.queries, rows)
    ranked, new_ranked, width = _rank(module, cut.queries, rows)
    per_user = _metrics(ranked, truth, "")
    new = _metrics(new_ranked, new_truth, "new_")
    per_user |= {name: new[name] for name in ("new_ndcg10", "new_recall10")}
    means = {name: metrics.mean(values) for name, values in per_user.items()}
    means["coverage"] = metrics.coverage(ranked, K, width - 1)
    return Evaluation(per_user, means, rows, ranked[:, :K])


def _metrics(ranked: np.ndarray, truth: Truth, prefix: str) -> dict[str, np.ndarray]:
    hit, wanted = metrics.hits(ranked, truth.starts, truth.items), truth.counts()
    return {
        f"{prefix}ndcg10": metrics.ndcg(hit, wanted, K),
        f"{prefix}recall10": metrics.recall(hit, wanted, K),
        f"{prefix}mrr": metrics.reciprocal_rank(hit, wanted),
    }


@torch.inference_mode()
def _rank(module: nn.Module, queries: Queries, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the first items of the whole catalogue and of the items new to each user, and the width of the scores."""
    module.eval()
    ranked, new_ranked, width = [], [], 1
    for start in range(0, len(rows), _BATCH):
        inputs = inputs_of(queries, rows[start : start + _BATCH])
        scores = module(*inputs).clone()
        width = scores.shape[1]
        scores[:, 0] = -torch.inf
        depth = min(DEPTH, width - 1)
        ranked.append(torch.topk(scores, depth).indices.numpy())
        for known in (inputs[0], inputs[3]):
            scores.scatter_(1, known, -torch.inf)
        top = torch.topk(scores, depth)
        new_ranked.append(torch.where(torch.isfinite(top.values), top.indices, 0).numpy())
    if not ranked:
        empty = np.zeros((0, 1), dtype=np.int64)
        return empty, empty, width
    return np.concatenate(ranked), np.concatenate(new_ranked), width


def rows_of(truth: Truth, rows: np.ndarray) -> Truth:
    """Return the truth of these queries, in that order."""
    counts = truth.counts()[rows]
    items = np.concatenate([truth.row(row) for row in rows]) if len(rows) else truth.items[:0]
    return Truth(np.concatenate(([0], np.cumsum(counts))), items)


def new_only(truth: Truth, queries: Queries, rows: np.ndarray) -> Truth:
    """Return the truth without items that stand in the query's history or habits."""
    known = np.concatenate([queries.history_items[rows], queries.habit_items[rows]], axis=1)
    width = int(max(known.max(initial=0), truth.items.max(initial=0))) + 1
    owner = np.repeat(np.arange(len(rows)), truth.counts())
    keys = np.unique(np.arange(len(rows))[:, None] * width + known)
    new = ~np.isin(owner * width + truth.items, keys)
    new |= truth.items == 0
    counts = np.bincount(owner[new], minlength=len(rows))
    return Truth(np.concatenate(([0], np.cumsum(counts))), truth.items[new])
