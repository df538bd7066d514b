"""The shop's rules and the release's policies, tied to one release's items: what holds for each at a moment."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from feature_repo.slate_rules import MOST_PLACES, PublishedRules, Rule, brand_key, category_key
from serving.catalogue import Catalogue

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class HeldBack:
    """Items not shown again to a user who bought them (`bought`) or only looked at them (`seen`); bool [n + 1]."""

    bought: Mask
    seen: Mask


@dataclass(frozen=True)
class ActiveRules:
    """What holds at a moment. Arrays are over the vocabulary.

    `allowed` items are available and not blocked. `pins` are (place, index), first place first. `lift` is how many
    places a boost moves an item up, None where nothing is boosted, and `reach` the largest of it, up or down.
    `held_back` is None where every item may come again.
    """

    allowed: Mask
    allowed_count: int
    pins: tuple[tuple[int, int], ...] = ()
    lift: npt.NDArray[np.int32] | None = None
    reach: int = 0
    held_back: HeldBack | None = None


@dataclass(frozen=True)
class ShelfRules:
    """Rules bound to a catalogue; `rules_id` names their version, None where the shop has published none."""

    catalogue: Catalogue
    learned: HeldBack | None
    rules: tuple[tuple[Rule, npt.NDArray[np.int32]], ...]
    rules_id: str | None
    moments: tuple[datetime, ...]
    known: dict[int, ActiveRules] = field(default_factory=dict)

    def at(self, now: datetime) -> ActiveRules:
        """Return what holds now; it is computed anew only when a rule has begun or ended."""
        if not self.moments and 0 in self.known:
            return self.known[0]
        part = bisect_right(self.moments, now)
        if part not in self.known:
            self.known[part] = _active(self, now)
        return self.known[part]


def bind_rules(published: PublishedRules | None, catalogue: Catalogue, learned: HeldBack | None) -> ShelfRules:
    """Tie published rules to the items they are about; a rule about items that the release lacks is about none."""
    rules = () if published is None else published.rules
    ends = {moment for rule in rules for moment in (rule.starts_at, rule.ends_at) if moment is not None}
    return ShelfRules(
        catalogue,
        learned,
        tuple((rule, _positions(rule, catalogue)) for rule in rules),
        None if published is None else published.rules_id,
        tuple(sorted(ends)),
    )


def _active(shelf: ShelfRules, now: datetime) -> ActiveRules:
    holding = [(rule, found) for rule, found in shelf.rules if rule.span[0] <= now < rule.span[1] and len(found)]
    allowed, count = shelf.catalogue.available, shelf.catalogue.available_count
    blocked = [found for rule, found in holding if rule.kind == "block"]
    if blocked:
        allowed = allowed.copy()
        allowed[np.concatenate(blocked)] = False
        count = int(np.count_nonzero(allowed))
    pins = [(rule.place or 0, int(found[0])) for rule, found in holding if rule.kind == "pin"]
    lift = _lift(len(allowed), [(rule.places or 0, found) for rule, found in holding if rule.kind == "boost"])
    return ActiveRules(
        allowed,
        count,
        tuple(sorted(pin for pin in pins if allowed[pin[1]])),
        lift,
        0 if lift is None else int(np.abs(lift).max()),
        _held_back(shelf.learned, len(allowed), [each for each in holding if each[0].kind == "policy"]),
    )


def _lift(size: int, boosts: Iterable[tuple[int, npt.NDArray[np.int32]]]) -> npt.NDArray[np.int32] | None:
    lift = np.zeros(size, np.int32)
    for places, found in boosts:
        lift[found] += places
    return np.clip(lift, -MOST_PLACES, MOST_PLACES).astype(np.int32) if lift.any() else None


def _held_back(
    learned: HeldBack | None, size: int, policies: list[tuple[Rule, npt.NDArray[np.int32]]]
) -> HeldBack | None:
    """Return what was learned, mended by the shop's policies in their order: the last one about an item wins."""
    masks = {
        "bought": np.zeros(size, np.bool_) if learned is None else learned.bought.copy(),
        "seen": np.zeros(size, np.bool_) if learned is None else learned.seen.copy(),
    }
    for rule, found in policies:
        for name, choice in (("bought", rule.bought), ("seen", rule.seen)):
            if choice is not None:
                masks[name][found] = choice == "hide"
    return HeldBack(**masks) if masks["bought"].any() or masks["seen"].any() else None


def _positions(rule: Rule, catalogue: Catalogue) -> npt.NDArray[np.int32]:
    found: list[npt.NDArray[np.int32]] = []
    if rule.item is not None:
        position = catalogue.index.get(rule.item)
        found.append(np.array([] if position is None else [position], np.int32))
    if rule.category is not None:
        found.append(catalogue.by_category.get(category_key(rule.category), np.empty(0, np.int32)))
    if rule.brand is not None:
        found.append(catalogue.by_brand.get(brand_key(rule.brand), np.empty(0, np.int32)))
    result = found[0]
    for other in found[1:]:
        result = np.intersect1d(result, other)
    return result
