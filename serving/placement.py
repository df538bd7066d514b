"""From ranked candidates to places: diversity, the shop's boosts and pins, titles and limits, exploration."""

from collections.abc import Container
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from serving.arrangement import NO_LIMITS, Limits, arrange, room_of
from serving.diversity import diversify
from serving.exploration import NO_EXPLORATION, POOL_SIZE, Exploration, explore
from serving.item_index import Ranking
from serving.release import Release
from serving.shelf_rules import ActiveRules


@dataclass(frozen=True, slots=True)
class Wishes:
    """How the places of a slate are given. `diversity` is 0 (by score alone) to 1.

    So many of the next best items as `tail` says follow the slate, for those who hold a release against a log.
    """

    limits: Limits = NO_LIMITS
    diversity: float = 0.0
    exploration: Exploration = NO_EXPLORATION
    tail: int = 0


NO_WISHES = Wishes()


@dataclass(frozen=True, slots=True)
class Asker:
    """Whose places they are: a pseudonym, None where nobody is known, and the items that they have had, by index."""

    name: str | None
    own: Container[int]


@dataclass(slots=True)
class Places:
    """The items of a slate by vocabulary index, first place first.

    A pinned item that is not among the candidates has no score. `propensities` are there where places are drawn.
    """

    positions: list[int] = field(default_factory=list)
    scores: list[float | None] = field(default_factory=list)
    propensities: list[float | None] | None = None
    pinned: set[int] = field(default_factory=set)
    boosted: set[int] = field(default_factory=set)
    drawn: set[int] = field(default_factory=set)

    def none_drawn(self) -> bool:
        """Say whether places were to be drawn and there was nothing to draw from."""
        return bool(self.propensities) and set(self.propensities or ()) == {1.0} and not self.drawn


def candidates_for(k: int, wishes: Wishes, active: ActiveRules) -> int:
    """Return how many of the best items to look at for k places."""
    return (2 * k + 10 if wishes == NO_WISHES else 10 * k + 200) + active.reach + len(active.pins)


def place_items(
    release: Release,
    active: ActiveRules,
    ranking: Ranking,
    k: int,
    wishes: Wishes,
    allowed: npt.NDArray[np.bool_],
    asker: Asker,
) -> Places:
    """Give at most k places: pins have theirs, the others follow in the order of score, boosts and diversity."""
    if wishes == NO_WISHES and active.lift is None and not active.pins:
        candidates, scored = ranking[0].tolist(), ranking[1].tolist()
        _, chosen = arrange(release.catalogue, candidates, k, NO_LIMITS, own=asker.own)
        return Places([candidates[at] for at in chosen], [scored[at] for at in chosen])
    ranking = diversify(release.vectors, ranking, 2 * k + 10, wishes.diversity)
    boosted = set[int]()
    if active.lift is not None:
        ranking, boosted = _boosted(ranking, active.lift)
    pins = [(place, position) for place, position in active.pins if place <= k and allowed[position]]
    scores = dict(zip(ranking[0].tolist(), ranking[1].tolist(), strict=True))
    unpinned = ~np.isin(ranking[0], [position for _, position in pins])
    candidates = ranking[0][unpinned].tolist()
    given = [position for _, position in pins]
    kept, chosen = arrange(release.catalogue, candidates, k, wishes.limits, given, asker.own)
    others, propensities, drawn = [candidates[at] for at in chosen], None, set[int]()
    if wishes.exploration.share > 0:
        pool = _next_best(release, [*kept, *others], candidates, POOL_SIZE, asker)
        room = room_of(release.catalogue, wishes.limits, kept)
        others, propensities = explore([*others, *pool], len(others), wishes.exploration, asker.name, room)
        drawn = set(pool) & set(others)
    for place, position in pins:
        if position in kept:
            others.insert(place - 1, position)
            if propensities is not None:
                propensities.insert(place - 1, 1.0)
    if wishes.tail:
        others += _next_best(release, others, candidates, wishes.tail, asker)
    return Places(others, [scores.get(each) for each in others], propensities, set(kept), boosted & set(others), drawn)


def _next_best(release: Release, shown: list[int], candidates: list[int], count: int, asker: Asker) -> list[int]:
    """Return the items that come next where nothing is limited, as `arrange` orders them."""
    there = set(shown)
    left = [position for position in candidates if position not in there]
    _, chosen = arrange(release.catalogue, left, len(shown) + count, NO_LIMITS, shown, asker.own)
    return [left[at] for at in chosen]


def _boosted(ranking: Ranking, lift: npt.NDArray[np.int32]) -> tuple[Ranking, set[int]]:
    """Move items by their boosts; where two meet in a place, the boosted one stands first."""
    positions, scores = ranking
    moved = lift[positions]
    order = np.lexsort((-moved, np.arange(len(positions)) - moved))
    return (positions[order], scores[order]), set(positions[moved != 0].tolist())
