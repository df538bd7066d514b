"""Parts of a cut that a mean hides: users known well or little, items bought much or little, what kind of item.

A slice is a cut of its own: the same queries and the same ranking, with only some of the wanted items left.
"""

import numpy as np

from training.dataset import Catalogue, Cut, TrainingSet, Truth
from training.interactions import item_counts

#: Kinds of items that get a slice of their own: those wanted most.
KINDS = 3


def slices(training_set: TrainingSet, cut: Cut) -> dict[str, Cut]:
    """Return the slices of a cut by name.

    Little-known users have at most the median number of different past items. Head items are the most interacted
    with, which together make half of all interactions before the validation cut; the tail is the rest. Kinds are first
    levels of the category.
    """
    owner = np.repeat(np.arange(len(cut.queries)), cut.truth.counts())
    past = _past_items(cut)
    known_well = past > np.median(past[cut.truth.counts() > 0]) if cut.truth.counts().any() else past > 0
    head = _head_items(item_counts(training_set))
    found = {
        "little-known users": _only(cut, ~known_well[owner]),
        "well-known users": _only(cut, known_well[owner]),
        "head items": _only(cut, head[cut.truth.items]),
        "tail items": _only(cut, ~head[cut.truth.items]),
    }
    kinds = _kinds(training_set.catalogue)
    wanted = kinds[cut.truth.items]
    names, counts = np.unique(wanted[wanted != ""], return_counts=True)
    for name in names[np.argsort(-counts, kind="stable")[:KINDS]]:
        found[f"category {name}"] = _only(cut, wanted == name)
    return found


def _past_items(cut: Cut) -> np.ndarray:
    """Return how many different items stand in each query's history and habits, int64 [q]."""
    past = np.sort(np.concatenate([cut.queries.history_items, cut.queries.habit_items], axis=1), axis=1)
    counted: np.ndarray = ((past[:, 1:] != past[:, :-1]) & (past[:, 1:] > 0)).sum(axis=1)
    return counted + (past[:, 0] > 0)


def _head_items(counts: np.ndarray) -> np.ndarray:
    """Return bool [n + 1]: the fewest items that make half of the interactions."""
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    head = np.zeros(len(counts), dtype=bool)
    head[order[before < counts.sum() / 2]] = True
    return head


def _kinds(catalogue: Catalogue) -> np.ndarray:
    return np.array(["", *(category.split(">")[0].strip() for category in catalogue.categories)], dtype=object)


def _only(cut: Cut, kept: np.ndarray) -> Cut:
    owner = np.repeat(np.arange(len(cut.queries)), cut.truth.counts())
    counts = np.bincount(owner[kept], minlength=len(cut.queries))
    return Cut(cut.queries, Truth(np.concatenate(([0], np.cumsum(counts))), cut.truth.items[kept]))
