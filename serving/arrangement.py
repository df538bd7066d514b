"""From the best items to the places of a slate: each title once before any again, limits by brand and category."""

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Protocol

from serving.catalogue import Catalogue, first_category


@dataclass(frozen=True, slots=True)
class Limits:
    """How many items of one brand and of one first-level category a slate may hold; None: any number."""

    per_brand: int | None = None
    per_category: int | None = None


NO_LIMITS = Limits()


def arrange(
    catalogue: Catalogue,
    positions: Sequence[int],
    k: int,
    limits: Limits,
    given: Sequence[int] = (),
    own: Container[int] = (),
) -> tuple[list[int], list[int]]:
    """Fill k places with candidates, best first among different titles, then titles that come again.

    An item of the user's `own` stands where it stands, whatever its title: who buys two milks is shown both. An item
    beyond a limit is left out, so there may be fewer. Items without a brand or category are not limited by it.
    `given` items have a place of the k already and come first to the limits; one that does not fit leaves its place to
    the candidates. Returned are those that fit, and where the chosen ones stand among the candidates.
    """
    titles, again = catalogue.title_ids, list[int]()
    order = list[int]()
    room = room_of(catalogue, limits)
    kept = [position for position in given if room.take(position)]
    seen = {titles[position] for position in kept}
    left = k - len(kept)
    for place, position in enumerate(positions):
        if len(order) >= left:
            break
        title = titles[position]
        if title in seen and position not in own:
            again.append(place)
        elif room.take(position):
            seen.add(title)
            order.append(place)
    for place in again:
        if len(order) < left and room.take(positions[place]):
            order.append(place)
    return kept, order


class Room(Protocol):
    """What a slate has room for beside what it holds."""

    def fits(self, position: int) -> bool:
        """Say whether there is room for an item."""
        ...

    def take(self, position: int) -> bool:
        """Count an item in if there is room for it, and say whether there was."""
        ...


def room_of(catalogue: Catalogue, limits: Limits, held: Sequence[int] = ()) -> Room:
    """Return the room that limits leave beside the items held."""
    room = NO_END if limits == NO_LIMITS else _Limited(catalogue, limits)
    for position in held:
        room.take(position)
    return room


class _NoEnd:
    """Has room for everything."""

    def fits(self, position: int) -> bool:
        """Say that there is room."""
        return True

    def take(self, position: int) -> bool:
        """Say that there was room."""
        return True


NO_END: Room = _NoEnd()


class _Limited:
    """Counts what a slate holds of each brand and category."""

    def __init__(self, catalogue: Catalogue, limits: Limits) -> None:
        self.items = catalogue.items
        self.limits = limits
        self.held: Counter[tuple[str, str]] = Counter()

    def fits(self, position: int) -> bool:
        """Say whether there is room for an item."""
        return all(self.held[key] < limit for key, limit in self._limited(position))

    def take(self, position: int) -> bool:
        """Count an item in if there is room for it, and say whether there was."""
        if not self.fits(position):
            return False
        self.held.update(key for key, _ in self._limited(position))
        return True

    def _limited(self, position: int) -> list[tuple[tuple[str, str], int]]:
        item = self.items[position]
        asked = (
            ("brand", item.brand, self.limits.per_brand),
            ("category", first_category(item.category), self.limits.per_category),
        )
        return [((kind, name.casefold()), limit) for kind, name, limit in asked if name and limit is not None]
