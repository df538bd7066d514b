"""The item index of a release: where a user's best items can be, so that serving need not score a large catalogue.

A Transformer's score of an item that is new to the user is a product, query · row + standing, and `standing`
(popularity and bias) often outweighs the product. So items are put in tiers by standing first, then in cells by k-means
within a tier. A cell is worth a look as long as centre · query + its highest standing + margin · |query| · spread is
more than the k-th best score found. Serving reads query.onnx, item_rows.npy and item_index.npz.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.cluster.vq import kmeans2

from training.export import SEQUENCE_INPUTS, random_inputs
from training.query_graph import query_graph
from training.transformer_scorer import TransformerScorer

#: A catalogue from this size on has an index; a smaller one is scored whole in less time than a search takes.
INDEXED_FROM = 50_000
#: Items that a cell holds on average, and items of the first tier; each further tier has four times the one before.
CELL_SIZE, FIRST_TIER = 64, 1_024
#: The items of the exact ranking that a search must find, and the share of them that it does.
RECALL_DEPTH, RECALL_GOAL = 100, 0.99
#: An index that has to look at more of the items than this is slower than scoring them all.
MOST_SHARE = 0.3
MARGINS = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0)
_ROUNDS = 6


@dataclass(frozen=True)
class Cells:
    """Items in tiers and cells. Arrays in the order of cells: `items` int64 [n] vocabulary indices, `rows` float32
    [n, d], `standing` float32 [n]; `starts` int64 [cells + 1]; `centres` float32 [cells, d]; `tops` float32 [cells]
    the highest standing; `spreads` float32 [cells] the root mean square of (row − centre) along one direction.
    """

    items: np.ndarray
    rows: np.ndarray
    standing: np.ndarray
    starts: np.ndarray
    centres: np.ndarray
    tops: np.ndarray
    spreads: np.ndarray


@dataclass(frozen=True)
class IndexFound:
    """What a search of the index finds with its margin: recall@100 at least, and the share of items it looks at."""

    margin: float
    recall: float
    share: float


def write_index(scorer: TransformerScorer, folder: Path, seed: int = 0) -> IndexFound | None:
    """Write the three files of the index into a folder; None, and no file, where it would not pay.

    The margin is the smallest that finds 99 % of the 100 best items for made histories of that catalogue.
    """
    scorer = scorer.cpu().eval()
    cells = cells_of(scorer, seed)
    found = _margin(cells, _made_queries(scorer, seed))
    if found is None:
        return None
    (folder / "query.onnx").write_bytes(query_graph(scorer).SerializeToString(deterministic=True))
    np.save(folder / "item_rows.npy", cells.rows)
    arrays = {name: getattr(cells, name) for name in ("items", "standing", "starts", "centres", "tops", "spreads")}
    arrays["recent"] = np.int64(scorer.encoder.length)
    np.savez(folder / "item_index.npz", margin=np.float32(found.margin), **arrays)
    return found


def cells_of(scorer: TransformerScorer, seed: int = 0) -> Cells:
    """Put the items of a scorer into tiers by standing, and into cells by k-means within each tier."""
    vectors = scorer.vectors.detach().numpy()[1:]
    popularity = (scorer.head.popularity_gain * scorer.head.log_popularity).detach().numpy()[1:]
    standing = popularity + scorer.mixes[2].item() * scorer.bias.detach().numpy()[1:]
    order, parts = np.argsort(-standing, kind="stable"), list[np.ndarray]()
    start, size = 0, FIRST_TIER
    while start < len(order):
        tier = order[start : start + size]
        labels = _clusters(vectors[tier], max(1, round(len(tier) / CELL_SIZE)), seed)
        parts += [tier[labels == label] for label in np.unique(labels)]
        start, size = start + size, 4 * size
    starts = np.cumsum([0, *map(len, parts)])
    places = np.concatenate(parts)
    rows = np.ascontiguousarray(vectors[places], np.float32)
    centres = np.stack([vectors[part].mean(axis=0) for part in parts]).astype(np.float32)
    away = [((vectors[part] - centre) ** 2).sum(axis=1).mean() for part, centre in zip(parts, centres, strict=True)]
    spreads = np.sqrt(np.array(away) / vectors.shape[1]).astype(np.float32)
    tops = np.array([standing[part].max() for part in parts], np.float32)
    return Cells(places + 1, rows, standing[places].astype(np.float32), starts, centres, tops, spreads)


def _clusters(vectors: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return a cell for each vector; centres are learned from at most 32 vectors a cell, as more changes little."""
    if count == 1:
        return np.zeros(len(vectors), np.int64)
    generator = np.random.default_rng(seed)
    sample = vectors[generator.permutation(len(vectors))[: 32 * count]]
    start = sample[generator.permutation(len(sample))[:count]]
    centres, _ = kmeans2(sample, start, iter=_ROUNDS, minit="matrix", missing="warn", check_finite=False)
    return _nearest(vectors, np.nan_to_num(centres).astype(np.float32))


def _nearest(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    half = 0.5 * (centres**2).sum(axis=1)
    steps = range(0, len(vectors), 16_384)
    return np.concatenate([np.argmax(vectors[at : at + 16_384] @ centres.T - half, axis=1) for at in steps])


def _made_queries(scorer: TransformerScorer, seed: int, rows: int = 200) -> np.ndarray:
    """Return queries float32 [rows, d] of made histories: some long, some short, popular items met more often."""
    count = len(scorer.vectors) - 1
    inputs = {name: torch.from_numpy(array) for name, array in random_inputs(count, rows, seed).items()}
    generator = torch.Generator().manual_seed(seed)
    weights = scorer.head.log_popularity[1:].detach().double().exp() + 1e-12
    for name in ("history_items", "habit_items"):
        drawn = 1 + torch.multinomial(weights, inputs[name].numel(), replacement=True, generator=generator)
        inputs[name] = drawn.view_as(inputs[name]) * (inputs[name] > 0)
    length = scorer.encoder.length
    items, types, ages = (inputs[name][:, -length:] for name in SEQUENCE_INPUTS[:3])
    with torch.inference_mode():
        user = scorer.encoder(scorer.vectors[items], types * (items > 0), ages)
        queries: np.ndarray = (scorer.mixes[2] * user).numpy()
    return queries


def _margin(cells: Cells, queries: np.ndarray) -> IndexFound | None:
    """Return the smallest margin that reaches the recall.

    A search ends no sooner than at cells that promise less than the true score at RECALL_DEPTH; what it finds of the
    best items is at least what lies in cells that promise more.
    """
    sizes, cell_of = np.diff(cells.starts), np.repeat(np.arange(len(cells.tops)), np.diff(cells.starts))
    depth = min(RECALL_DEPTH, len(cells.rows))
    wanted, promised, lengths = list[np.ndarray](), list[np.ndarray](), np.linalg.norm(queries, axis=1)
    thresholds = []
    for query in queries:
        scores = cells.rows @ query + cells.standing
        best = np.argpartition(-scores, depth - 1)[:depth]
        wanted.append(cell_of[best])
        thresholds.append(scores[best].min())
        promised.append(cells.centres @ query + cells.tops)
    for margin in MARGINS:
        looked = [
            promise + margin * length * cells.spreads >= threshold
            for promise, length, threshold in zip(promised, lengths, thresholds, strict=True)
        ]
        recall = float(np.mean([look[cell] for look, cell in zip(looked, wanted, strict=True)]))
        share = float(np.mean([sizes[look].sum() for look in looked]) / len(cells.rows))
        if recall >= RECALL_GOAL:
            return IndexFound(margin, recall, share) if share <= MOST_SHARE else None
    return None
