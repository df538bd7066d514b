"""Which of the ways to a candidate lead to an item: the answer names all of them for each place of a slate."""

import numpy as np

from serving.contract import CandidateSource
from serving.model_inputs import KnownRow
from serving.reasons import POPULAR_PLACES, POPULAR_TAKES, SIMILAR_COSINE
from serving.release import Release

#: Distinct items of the history, newest first, that a cold item is likened to.
RECENT_ITEMS = 30


def candidate_sources(
    release: Release, row: KnownRow, positions: list[int], scored: bool
) -> list[list[CandidateSource]]:
    """Return the sources of each item, by vocabulary index.

    repeat: the user took it before; co_purchase: often in one visit with an item of the history; popular: among the
    most taken of its category; text: new to the user and taken by nobody in the 28 days before the release, but it
    means the same as a recent item; model: the model scored it for this user (`scored`).
    """
    own, history = row.past, row.newest.keys()
    at = np.array(positions, np.int64)
    taken, places = release.popularity.take(at).tolist(), release.category_places.take(at).tolist()
    together = [not history.isdisjoint(company) for company in release.neighbour_items.take(at, axis=0).tolist()]
    found = list[list[CandidateSource]]()
    for place, position in enumerate(positions):
        sources: list[CandidateSource] = ["model"] if scored else []
        if position in own:
            sources.append("repeat")
        if together[place]:
            sources.append("co_purchase")
        if taken[place] <= 0:
            if position not in own and _means_the_same(release, row, position):
                sources.append("text")
        elif taken[place] >= POPULAR_TAKES and places[place] < POPULAR_PLACES:
            sources.append("popular")
        found.append(sources)
    return found


def _means_the_same(release: Release, row: KnownRow, position: int) -> bool:
    recent = list(dict.fromkeys(reversed(row.history_indices)))[:RECENT_ITEMS]
    return bool(recent) and bool((release.vectors[recent] @ release.vectors[position] >= SIMILAR_COSINE).any())
