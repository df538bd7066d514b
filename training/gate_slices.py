"""Who gains and who loses: challenger against incumbent on each slice of the users and of the items.

A slice of items counts only the wanted items that are in it; its users are those who want one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from training import metrics
from training.bootstrap import paired_bounds
from training.dataset import Catalogue, Cut
from training.evaluate import Evaluation, rows_of
from training.gate_checks import GateLimits

K = 10
#: A user with at most this many interactions is cold.
COLD_INTERACTIONS = 5
#: The most popular items that make up this share of interactions are the head; the others are the tail.
HEAD_SHARE = 0.8
#: A slice of fewer users is shown but refuses nobody: the bootstrap of a handful is too sure of itself.
LEAST_USERS = 20
#: A category with at least this share of the wanted items is big.
BIG_CATEGORY = 0.05


@dataclass(frozen=True)
class Ranked:
    """The first ten of both models for the users who wanted something, and what they wanted.

    `rows` are the row numbers in the cut; `ours`, `theirs` int64 [users, 10]; truth of user u:
    `items[starts[u]:starts[u + 1]]`.
    """

    rows: np.ndarray
    ours: np.ndarray
    theirs: np.ndarray
    starts: np.ndarray
    items: np.ndarray

    @property
    def wanted(self) -> np.ndarray:
        """The number of items that each user wanted."""
        return np.diff(self.starts)


@dataclass(frozen=True)
class SliceComparison:
    """NDCG@10 of both models on a slice, bounds of the difference; `fell`: it surely lost more than the bound."""

    name: str
    users: int
    ndcg10: float
    incumbent_ndcg10: float
    low: float
    high: float
    fell: bool


def compare_slices(
    ranked: Ranked, catalogue: Catalogue, cut: Cut, channels: Mapping[str, np.ndarray], limits: GateLimits
) -> tuple[SliceComparison, ...]:
    """Compare on cold users, each channel's users, tail items, and each big category.

    `channels`: channel → bool [rows of the cut], the users who are mostly there. A slice fell when it is certain (the
    upper bound of the bootstrap) that it lost more than `slice_fall` of the incumbent's NDCG@10: noise of a small slice
    refuses nobody.
    """
    history = (cut.queries.history_items[ranked.rows] > 0).sum(axis=1)
    everything = np.ones(len(ranked.items), dtype=bool)
    found = [_compare("cold users", ranked, history <= COLD_INTERACTIONS, everything, limits)]
    for channel, users in sorted(channels.items()):
        found.append(_compare(f"channel {channel}", ranked, users[ranked.rows], everything, limits))
    everybody = np.ones(len(ranked.rows), dtype=bool)
    tail = tail_items(cut, catalogue.item_count)
    found.append(_compare("tail items", ranked, everybody, tail[ranked.items], limits))
    categories = first_categories(catalogue)
    wanted = categories[ranked.items]
    for name in sorted(set(categories.tolist()) - {""}):
        if (wanted == name).sum() >= BIG_CATEGORY * max(len(wanted), 1):
            found.append(_compare(f"category {name}", ranked, everybody, wanted == name, limits))
    return tuple(each for each in found if each.users)


def compare_evaluations(
    ours: Evaluation, theirs: Evaluation, catalogue: Catalogue, cut: Cut, limits: GateLimits
) -> tuple[SliceComparison, ...]:
    """Compare two models evaluated on the same cut, as the gate will on the next one; without channels."""
    truth = rows_of(cut.truth, ours.query_rows)
    ranked = Ranked(ours.query_rows, ours.ranked, theirs.ranked, truth.starts, truth.items)
    return compare_slices(ranked, catalogue, cut, {}, limits)


def tail_kept(ours: Evaluation, theirs: Evaluation, catalogue: Catalogue, cut: Cut) -> float:
    """Return the NDCG@10 of tail items as a share of the other model's; 1 where too few users want one to say."""
    truth, tail = rows_of(cut.truth, ours.query_rows), tail_items(cut, catalogue.item_count)
    owner = np.repeat(np.arange(len(ours.query_rows)), truth.counts())[tail[truth.items]]
    wanted = np.bincount(owner, minlength=len(ours.query_rows))
    starts = np.concatenate(([0], np.cumsum(wanted)))
    found, before = (
        metrics.mean(metrics.ndcg(metrics.hits(each.ranked, starts, truth.items[tail[truth.items]]), wanted, K))
        for each in (ours, theirs)
    )
    return found / before if (wanted > 0).sum() >= LEAST_USERS and before > 0 else 1.0


def tail_items(cut: Cut, item_count: int) -> np.ndarray:
    """Return bool [n + 1]: items outside the most popular ones that make up 80 % of the histories; never index 0."""
    counts = np.bincount(cut.queries.history_items.ravel(), minlength=item_count + 1).astype(float)
    counts[0] = 0
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    tail = np.zeros(item_count + 1, dtype=bool)
    tail[order] = before >= HEAD_SHARE * counts.sum()
    tail[0] = False
    return tail


def first_categories(catalogue: Catalogue) -> np.ndarray:
    """Return the first part of each item's category path, [n + 1], '' for padding and where there is none."""
    return np.array(["", *(category.split(" > ")[0] for category in catalogue.categories)])


def _compare(name: str, ranked: Ranked, users: np.ndarray, counted: np.ndarray, limits: GateLimits) -> SliceComparison:
    """Compare on these users, counting only these of the wanted items (bool over `ranked.items`)."""
    owner = np.repeat(np.arange(len(ranked.rows)), ranked.wanted)
    kept = counted & users[owner] if len(owner) else counted
    wanted = np.bincount(owner[kept], minlength=len(ranked.rows))
    starts = np.concatenate(([0], np.cumsum(wanted)))
    ours, theirs = (
        metrics.ndcg(metrics.hits(top, starts, ranked.items[kept]), wanted, K) for top in (ranked.ours, ranked.theirs)
    )
    seen = wanted > 0
    ours, theirs = ours[seen], theirs[seen]
    low, high = paired_bounds(ours - theirs, limits.confidence, limits.bootstrap_samples)
    _, beyond = paired_bounds(ours - (1 - limits.slice_fall) * theirs, limits.confidence, limits.bootstrap_samples)
    mean = metrics.mean
    return SliceComparison(
        name, int(seen.sum()), mean(ours), mean(theirs), low, high, bool(beyond < 0 and seen.sum() >= LEAST_USERS)
    )
