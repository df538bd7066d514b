"""The removal test: take items out of what a user did, score again, and see which items of the slate fall.

An item falls when more of the other items stand before it than with everything there; items that were taken out are
counted on neither side. With everything taken out the model says what it says for nobody, which is known beforehand and
costs nothing. To take out single items is a trial; all trials of the questions of a moment are one run of the model.
"""

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import compress

import numpy as np
import numpy.typing as npt

from serving.item_index import Ranking
from serving.model_inputs import KnownRow, sequences_of
from serving.reasons import EVERYTHING, Citation
from serving.release import Release
from serving.scorer import best_items

#: Trials for one slate: the sets of items that most of its reasons could cite. One costs as much as an answer.
MOST_TRIALS = 4
_TOGETHER = 32


@dataclass(slots=True)
class Removals:
    """What is to be tried for one slate: its row and ranking, and what may be cited for each item, the best first.

    With `close` single items are tried too. `proven` has the first citation of each item without which it falls, of
    those that were tried.
    """

    row: KnownRow
    ranking: Ranking
    allowed: npt.NDArray[np.bool_]
    citations: Mapping[int, Sequence[Citation]]
    close: bool
    proven: dict[int, Citation] = field(default_factory=dict)

    def trials(self) -> list[tuple[int, ...]]:
        """Return the sets of items to take out, those that most items could cite first."""
        if not self.close:
            return []
        wanted = Counter(citation.items for found in self.citations.values() for citation in found)
        return [items for items, _ in wanted.most_common(MOST_TRIALS)]


def remove_everything(release: Release, slate: Removals) -> None:
    """Prove of one slate which items rest on what is known of the user: for nobody they would stand lower."""
    own = slate.row.past
    before = _others_before(slate.ranking[0].tolist(), own)
    places = release.nobody_places
    named = places[[*slate.citations]]
    if slate.allowed is release.catalogue.available:
        for_nobody = named - np.searchsorted(np.sort(places[[*own]]), named)
    else:
        others = slate.allowed.copy()
        others[[*own]] = False
        for_nobody = np.array([np.count_nonzero(others & (places < place)) for place in named])
    for position, stood_before in zip(slate.citations, for_nobody.tolist(), strict=True):
        if stood_before > before.get(position, len(before)):
            slate.proven[position] = EVERYTHING


def try_removals(release: Release, slates: Sequence[Removals], now: datetime) -> None:
    """Prove the citations of several slates, as many as their trials allow."""
    trials = [(slate, removed) for slate in slates for removed in slate.trials()]
    for start in range(0, len(trials), _TOGETHER):
        part = trials[start : start + _TOGETHER]
        rows = [without(slate.row, {*removed}) for slate, removed in part]
        allowed = np.stack([slate.allowed for slate, _ in part])
        depth = max(len(slate.ranking[0]) for slate, _ in part)
        rankings = best_items(release.scorer, sequences_of(rows, now), allowed, depth)
        for (slate, removed), ranking in zip(part, rankings, strict=True):
            _note(slate, removed, _others_before(ranking[0].tolist(), {*removed}))


def without(row: KnownRow, removed: set[int]) -> KnownRow:
    """Return the row as it would be had the user never met these items, by vocabulary index."""
    met = [index not in removed for index in row.history_indices]
    had = [index not in removed for index in row.habit_indices]
    return KnownRow(
        row.history.where(met),
        [*compress(row.history_indices, met)],
        row.habits.where(had),
        [*compress(row.habit_indices, had)],
    )


def _note(slate: Removals, removed: tuple[int, ...], after: Mapping[int, int]) -> None:
    before = _others_before(slate.ranking[0].tolist(), {*removed})
    for position, found in slate.citations.items():
        order = [citation.items for citation in found]
        if removed not in order or after.get(position, len(after)) <= before.get(position, len(before)):
            continue
        known = slate.proven.get(position)
        if known is None or known not in found or order.index(removed) < order.index(known.items):
            slate.proven[position] = found[order.index(removed)]


def _others_before(ranked: Sequence[int], removed: Container[int]) -> dict[int, int]:
    others = [index for index in ranked if index not in removed]
    return {index: place for place, index in enumerate(others)}
