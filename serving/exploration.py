"""Exploration: a share of a slate's places is drawn from the next best items, each with a probability that is told.

An item that is never shown is never learned about. With the probability of every place logged, what would have happened
under another order can be estimated (inverse propensity: Horvitz and Thompson, JASA 1952).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from serving.arrangement import NO_END, Room

#: Next best items that places are drawn from.
POOL_SIZE = 50


@dataclass(frozen=True, slots=True)
class Exploration:
    """The share of places that are drawn, 0: none; the same seed and user give the same draw."""

    share: float = 0.0
    seed: str = ""


NO_EXPLORATION = Exploration()


def explore(
    found: Sequence[int], k: int, exploration: Exploration, user: str | None, room: Room = NO_END
) -> tuple[list[int], list[float | None]]:
    """Draw k places out of the items found, best first: the first k as they are, those after them as the pool.

    Returns the items in the order of the slate, and the propensity of each: the probability of that item in that place,
    given the places above it. Items of the pool that are drawn push the last of the first k out. What the `room` has no
    place for any more is neither drawn nor shown; where none of the first k fits, the place is drawn.
    """
    best, pool = list(found[:k]), list(found[k : k + POOL_SIZE])
    chance = random.Random(f"{exploration.seed}\n{user}")
    shown, propensities = list[int](), list[float | None]()
    for _ in range(len(best)):
        fitting = [item for item in pool if room.fits(item)]
        plain = next((item for item in best if room.fits(item)), None)
        share = 1.0 if plain is None else exploration.share
        if fitting and chance.random() < share:
            item = fitting[chance.randrange(len(fitting))]
            pool.remove(item)
            propensities.append(share / len(fitting))
        elif plain is not None:
            item = plain
            best.remove(item)
            propensities.append(1.0 - share if fitting else 1.0)
        else:
            break
        room.take(item)
        shown.append(item)
    return shown, propensities
