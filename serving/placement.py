"""From ranked candidates to places: diversity, the shop's boosts and pins, titles and limits, exploration."""

from collections.abc import Container
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from serving.arrangement import NO_LIMITS, Limits, arrange
from serving.diversity import diversify
from serving.exploration import NO_EXPLORATION, POOL_SIZE, Exploration, explore
from serving.item_index import Ranking
from serving.release import Release
from serving.shelf_rules import ActiveRules


@dataclass(frozen=True, slots=True)
class Wishes:
    """How the places of a slate are given. `diversity` is 0 (by score alone) to 1."""

    limits: Limits = NO_LIMITS
    diversity: float = 0.0
    exploration: Exploration = NO_EXPLORATION


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
    drawing = wishes.exploration.share > 0
    kept, chosen = arrange(
        release.catalogue,
        candidates,
        k + (POOL_SIZE if drawing else 0),
        wishes.limits,
        [position for _, position in pins],
        asker.own,
    )
    room = k - len(kept)
    found = [candidates[at] for at in chosen]
    rows, propensities = explore(len(found), room, wishes.exploration, asker.name)
    others = [found[row] for row in rows]
    places = Places(others, [], propensities, set(kept), boosted & set(others), set(found[room:]))
    for place, position in pins:
        if position in places.pinned:
            places.positions.insert(place - 1, position)
            propensities.insert(place - 1, 1.0)
    places.scores = [scores.get(position) for position in places.positions]
    places.drawn &= set(places.positions)
    if not drawing:
        places.propensities = None
    return places


def _boosted(ranking: Ranking, lift: npt.NDArray[np.int32]) -> tuple[Ranking, set[int]]:
    """Move items by their boosts; where two meet in a place, the boosted one stands first."""
    positions, scores = ranking
    moved = lift[positions]
    order = np.lexsort((-moved, np.arange(len(positions)) - moved))
    return (positions[order], scores[order]), set(positions[moved != 0].tolist())
