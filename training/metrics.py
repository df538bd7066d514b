"""Ranking metrics with binary relevance, one value a query; NaN where a query wants nothing, so means can skip it.

`ranked` is int64 [q, k], the vocabulary indices a model puts first, best first. `starts`, `items` are the truth in
rows: query q wants `items[starts[q]:starts[q + 1]]`, each once.
"""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
#: Bootstrap samples that stand in memory at a time, 16 bytes a user each.
_DRAWS = 40


def hits(ranked: Ints, starts: Ints, items: Ints) -> Bools:
    """Return bool [q, k]: whether each ranked item is wanted. Index 0 (padding) never is."""
    wanted_by = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    width = int(max(ranked.max(initial=0), items.max(initial=0))) + 1
    wanted = np.unique(wanted_by * width + items)
    keys = np.arange(len(ranked))[:, None] * width + ranked
    return np.asarray(np.isin(keys, wanted) & (ranked > 0), dtype=np.bool_)


def recall(hit: Bools, wanted: Ints, k: int) -> Floats:
    """Return the share of a query's wanted items among the first k; at most k can be found, as in the formula.

    Recall@k = |top k ∩ wanted| / |wanted|. `wanted` int64 [q] is |wanted|.
    """
    found = hit[:, :k].sum(axis=1).astype(np.float64)
    return _where_wanted(found / np.maximum(wanted, 1), wanted)


def ndcg(hit: Bools, wanted: Ints, k: int) -> Floats:
    """Return NDCG@k: gain 1 / log2(rank + 1) of each hit over the gain of the best possible list.

    Järvelin and Kekäläinen, Cumulated gain-based evaluation of IR techniques, 2002, with binary gains.
    """
    width = min(k, hit.shape[1])
    discount = 1.0 / np.log2(np.arange(2, k + 2, dtype=np.float64))
    gained = hit[:, :width].astype(np.float64) @ discount[:width]
    ideal = np.concatenate(([0.0], np.cumsum(discount)))[np.minimum(wanted, k)]
    return _where_wanted(gained / np.maximum(ideal, 1e-12), wanted)


def reciprocal_rank(hit: Bools, wanted: Ints) -> Floats:
    """Return 1 / rank of the first hit, 0 if no ranked item is wanted (Voorhees, TREC-8 QA track, 1999)."""
    first = hit.argmax(axis=1)
    return _where_wanted(np.where(hit.any(axis=1), 1.0 / (first + 1.0), 0.0), wanted)


def coverage(ranked: Ints, k: int, item_count: int) -> float:
    """Return the share of the catalogue that stands in at least one query's first k."""
    shown = np.unique(ranked[:, :k])
    return float((shown > 0).sum() / max(item_count, 1))


def miscalibration(ranked: Ints, history: Ints, kinds: Ints) -> Floats:
    """Return how far the categories of a list are from those of the history: KL(history ‖ list), 0 where they agree.

    `history` int64 [q, h] (0 = padding), `kinds` int64 [items + 1] the category of each item. The list's shares are
    mixed with 1 % of the history's, so that no logarithm is of 0 (Steck, Calibrated recommendations, RecSys 2018). NaN
    for a query without a history.
    """
    wanted, shown = (_shares(items, kinds) for items in (history, ranked))
    softened = 0.99 * shown + 0.01 * wanted
    ratio = np.where(wanted > 0, wanted / np.where(wanted > 0, softened, 1.0), 1.0)
    return _where_wanted((wanted * np.log(ratio)).sum(axis=1), (history > 0).sum(axis=1))


def _shares(items: Ints, kinds: Ints) -> Floats:
    """Return the share of each kind among the items of each row, padding left out; float64 [q, kinds]."""
    owner, place = np.nonzero(items > 0)
    counts = np.zeros((len(items), int(kinds.max(initial=0)) + 1))
    np.add.at(counts, (owner, kinds[items[owner, place]]), 1.0)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0))


def mean(values: Floats) -> float:
    """Return the mean over queries that want something; NaN if none does."""
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if len(kept) else float("nan")


def bootstrap_interval(values: Floats, seed: int = 0, samples: int = 1000, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean over queries (Efron, 1979)."""
    kept = values[~np.isnan(values)]
    if not len(kept):
        return float("nan"), float("nan")
    random = np.random.default_rng(seed)
    chances = np.full(len(kept), 1 / len(kept))
    means = [
        random.multinomial(len(kept), chances, size=min(_DRAWS, samples - first)) @ kept / len(kept)
        for first in range(0, samples, _DRAWS)
    ]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_interval(ours: Floats, theirs: Floats, seed: int = 0) -> tuple[float, float]:
    """Return the bootstrap interval of the mean difference ours − theirs over the same queries."""
    return bootstrap_interval(ours - theirs, seed)


def _where_wanted(values: Floats, wanted: Ints) -> Floats:
    return np.where(wanted > 0, values, np.nan)
