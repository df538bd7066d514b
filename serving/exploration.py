"""Exploration: a share of a slate's places is drawn from the next best items, each with a probability that is told.

An item that is never shown is never learned about. With the probability of every place logged, what would have happened
under another order can be estimated (inverse propensity: Horvitz and Thompson, JASA 1952).
"""

import random
from dataclasses import dataclass

#: Next best items that places are drawn from.
POOL_SIZE = 50


@dataclass(frozen=True, slots=True)
class Exploration:
    """The share of places that are drawn, 0: none; the same seed and user give the same draw."""

    share: float = 0.0
    seed: str = ""


NO_EXPLORATION = Exploration()


def explore(found: int, k: int, exploration: Exploration, user: str | None) -> tuple[list[int], list[float | None]]:
    """Draw k places out of `found` items, best first: the first k as they are, those after them as the pool.

    Returns the rows in the order of the slate, and the propensity of each: the probability of that item in that place,
    given the places above it. Rows of the pool that are drawn push the last of the first k out.
    """
    pool = list(range(k, min(found, k + POOL_SIZE)))
    chance = random.Random(f"{exploration.seed}\n{user}")
    rows, propensities, best = list[int](), list[float | None](), 0
    for _ in range(min(k, found)):
        if pool and chance.random() < exploration.share:
            propensities.append(exploration.share / len(pool))
            rows.append(pool.pop(chance.randrange(len(pool))))
        else:
            propensities.append(1.0 - exploration.share if pool else 1.0)
            rows.append(best)
            best += 1
    return rows, propensities
