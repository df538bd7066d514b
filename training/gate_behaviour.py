"""How a challenger behaves beside the incumbent: right way up, on the right items, personal, over the whole catalogue.

Each check names one way in which a model can be wrong although its file is sound, so that a refusal says what to mend.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from training import metrics
from training.bootstrap import paired_bounds
from training.dataset import Catalogue, Cut, Queries
from training.gate_checks import GateCheck, GateLimits, checked
from training.gate_slices import K, Ranked, first_categories
from training.onnx_ranking import Contender, rank

#: Users whose whole list is looked at.
SAMPLE_USERS = 256
#: Neighbouring indices that an answer may stand on instead of its own.
SHIFTS = (-1, 1)


@dataclass(frozen=True)
class Lists:
    """Both models' whole lists for some users, as places: `ours[u, i]` is the place of item i, 0 the best.

    An item that a model never gives has the last place. `items`: what each of the users wanted (no padding).
    """

    ours: np.ndarray
    theirs: np.ndarray
    items: tuple[np.ndarray, ...]

    @property
    def item_count(self) -> int:
        """The number of items, padding not counted."""
        return int(self.ours.shape[1] - 1)


def whole_lists(challenger: Contender, incumbent: Contender, catalogue: Catalogue, cut: Cut) -> Lists:
    """Rank the whole catalogue with both files for up to 256 users who wanted something."""
    rows = np.flatnonzero(cut.truth.counts() > 0)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(SAMPLE_USERS, len(rows))).astype(int))]
    items = tuple(wanted[wanted > 0] for wanted in (cut.truth.row(int(row)) for row in rows))
    queries = cut.queries.rows(rows)
    ours, theirs = (_places(each, queries, catalogue.item_ids) for each in (challenger, incumbent))
    return Lists(ours, theirs, items)


def behaviour_checks(
    lists: Lists, ranked: Ranked, catalogue: Catalogue, queries: Queries, limits: GateLimits
) -> tuple[GateCheck, ...]:
    """Run every check on the lists and on the first ten of all users."""
    ours, theirs = ranked.ours, ranked.theirs
    kept = f"≥ {limits.coverage_kept:.0%} of the incumbent's"
    own = f"a user's own slate better than another's, ≥ {limits.personal_kept:.0%} as clearly as the incumbent's"
    reach = f"≤ {limits.reach_fall:.0%} of the wanted items drop out of the upper half of the list"
    near = f"≤ {limits.category_shift:g} away from what users want, or as near as the incumbent"
    top = f"≤ {limits.concentration:.0%} of the places held by the ten most shown items, or half more than before"
    return (
        checked("right way up", "wanted items in the upper half of the list", partial(_right_way_up, lists, limits)),
        checked("item mapping", "wanted items on their own indices", partial(_mapping, lists, limits)),
        checked("personal", own, partial(_personal, ranked, queries, limits)),
        checked("order of places", "early places hit at least as often as late ones", partial(_order, ranked, limits)),
        checked("coverage", kept, partial(_coverage, ours, theirs, limits)),
        checked("reach", reach, partial(_reach, lists, limits)),
        checked("categories", near, partial(_categories, ranked, catalogue, limits)),
        checked("popularity concentration", top, partial(_concentration, ours, theirs, limits)),
    )


def _places(contender: Contender, queries: Queries, item_ids: Sequence[str]) -> np.ndarray:
    count = len(item_ids)
    ranked = rank(contender, queries, item_ids, count)
    places = np.full((len(queries), count + 1), count, dtype=np.int64)
    np.put_along_axis(places, ranked, np.broadcast_to(np.arange(count), ranked.shape), axis=1)
    return places


def _right_way_up(lists: Lists, limits: GateLimits) -> tuple[bool, str]:
    """0 is the first place of the list, 1 the last; drawing lots gives 0.5."""
    depth = np.array([lists.ours[u, wanted].mean() for u, wanted in enumerate(lists.items) if len(wanted)])
    depth = depth / max(lists.item_count - 1, 1)
    low, high = paired_bounds(depth, limits.confidence, limits.bootstrap_samples)
    where = f"wanted items stand {depth.mean():.0%} down the list on average"
    if low > 0.5:
        return False, f"{where}: the scores are upside down, turned round it would be {1 - depth.mean():.0%}"
    if not high < 0.5:
        return False, f"{where}: no better than drawing lots, so the items are not those that the model means"
    return True, where


def _mapping(lists: Lists, limits: GateLimits) -> tuple[bool, str]:
    """Would the answers be right if each meant the item beside it?

    Items bought one after the other may stand side by side in the catalogue: what surely beats the incumbent as it is
    is not mapped wrong.
    """
    own = _ndcg(lists.ours, lists.items, 0)
    better, _ = paired_bounds(own - _ndcg(lists.theirs, lists.items, 0), limits.confidence, limits.bootstrap_samples)
    told = f"NDCG@10 {own.mean():.4f} as it is"
    for shift in SHIFTS:
        beside = _ndcg(lists.ours, lists.items, shift)
        low, _ = paired_bounds(beside - own, limits.confidence, limits.bootstrap_samples)
        if low > 0 and not better > 0:
            told = f"answers that mean the item beside it: {told} and {beside.mean():.4f} when each index is moved"
            return False, f"{told} by {shift:+d}"
    return True, told


def _ndcg(places: np.ndarray, items: tuple[np.ndarray, ...], shift: int) -> np.ndarray:
    """Return NDCG@10 a user if each answer meant the item `shift` places before it in the vocabulary."""
    count, values = places.shape[1] - 1, []
    for user, wanted in enumerate(items):
        if len(wanted):
            found = places[user, (wanted - 1 + shift) % count + 1]
            best = 1 / np.log2(np.arange(2, 2 + min(K, len(wanted))))
            values.append(float((1 / np.log2(found[found < K] + 2)).sum() / best.sum()))
    return np.array(values)


def _personal(ranked: Ranked, queries: Queries, limits: GateLimits) -> tuple[bool, str]:
    """A user's own slate must be better for them than another user's, at least half as clearly as the incumbent's is.

    One slate for all, or items that are not those that the model means, make own and other (nearly) alike.
    """
    histories = len(np.unique(queries.history_items[ranked.rows], axis=0))
    slates = len(np.unique(ranked.ours, axis=0))
    (own, other), (own_before, other_before) = (_own_and_other(ranked, top) for top in (ranked.ours, ranked.theirs))
    signal, before = own - other, own_before - other_before
    _, high = paired_bounds(signal - limits.personal_kept * before, limits.confidence, limits.bootstrap_samples)
    told = (
        f"{slates:,} different slates for {histories:,} different histories, NDCG@10 {own.mean():.4f} with the "
        "own slate, "
        f"{other.mean():.4f} with another user's (the incumbent: {own_before.mean():.4f} and {other_before.mean():.4f})"
    )
    return bool(high >= 0), told


def _own_and_other(ranked: Ranked, top: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return NDCG@10 a user with the own slate, and the mean of it with the slates of four other users."""
    moved = [np.roll(top, shift, axis=0) for shift in (0, 1, 2, 3, 4)]
    hit = [metrics.hits(each, ranked.starts, ranked.items) for each in moved]
    own, *others = (metrics.ndcg(each, ranked.wanted, K) for each in hit)
    return own, np.mean(others, axis=0)


def _order(ranked: Ranked, limits: GateLimits) -> tuple[bool, str]:
    """Calibration of a list: what the model is surer of must come true at least as often."""
    hit = metrics.hits(ranked.ours, ranked.starts, ranked.items).astype(float)
    if hit.shape[1] < K:
        return True, "fewer than ten items"
    early, late = hit[:, :3].mean(axis=1), hit[:, -3:].mean(axis=1)
    _, high = paired_bounds(early - late, limits.confidence, limits.bootstrap_samples)
    return bool(high >= 0), f"places 1 to 3 hit {early.mean():.1%}, places 8 to 10 {late.mean():.1%}"


def _coverage(ours: np.ndarray, theirs: np.ndarray, limits: GateLimits) -> tuple[bool, str]:
    shown, before = (len(np.unique(top[top > 0])) for top in (ours, theirs))
    return shown >= limits.coverage_kept * before, f"{shown:,} items in some slate (the incumbent: {before:,})"


def _reach(lists: Lists, limits: GateLimits) -> tuple[bool, str]:
    """An item is within reach when at least one of the users who want it has it in the upper half."""
    half = lists.item_count / 2
    reached: dict[int, tuple[bool, bool]] = {}
    for user, wanted in enumerate(lists.items):
        for item in wanted.tolist():
            ours, theirs = reached.get(item, (False, False))
            reached[item] = (ours or lists.ours[user, item] < half, theirs or lists.theirs[user, item] < half)
    pairs = np.array(list(reached.values()), dtype=float).reshape(-1, 2)
    _, high = paired_bounds(pairs[:, 0] - pairs[:, 1], limits.confidence, limits.bootstrap_samples)
    ours, theirs = pairs.mean(axis=0)
    told = f"{ours:.0%} of {len(pairs):,} wanted items are within reach (the incumbent: {theirs:.0%})"
    return bool(high >= -limits.reach_fall), told


def _categories(ranked: Ranked, catalogue: Catalogue, limits: GateLimits) -> tuple[bool, str]:
    """Total variation between the categories that fill the slates and those of the wanted items, 0 … 1."""
    names, codes = np.unique(first_categories(catalogue), return_inverse=True)
    wanted = np.bincount(codes[ranked.items[ranked.items > 0]], minlength=len(names))
    shares = wanted / max(wanted.sum(), 1)
    away, most = [], ""
    for top in (ranked.ours, ranked.theirs):
        counts = np.bincount(codes[top[top > 0]], minlength=len(names)) / max((top > 0).sum(), 1)
        away.append(float(np.abs(counts - shares).sum() / 2))
        most = most or f"{counts.max():.0%} of the places are {names[counts.argmax()]}"
    told = f"{away[0]:.2f} away (the incumbent: {away[1]:.2f}); {most}"
    return away[0] <= max(limits.category_shift, away[1]), told


def _concentration(ours: np.ndarray, theirs: np.ndarray, limits: GateLimits) -> tuple[bool, str]:
    share, before = (_ten_most_shown(top) for top in (ours, theirs))
    told = f"{share:.0%} of the places (the incumbent: {before:.0%})"
    return share <= max(limits.concentration, 1.5 * before), told


def _ten_most_shown(top: np.ndarray) -> float:
    counts = np.sort(np.bincount(top[top > 0]))[::-1]
    return float(counts[:10].sum() / max(counts.sum(), 1))
