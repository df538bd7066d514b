"""Why an item is in a slate, in one sentence that is true of the data the answer was made from.

The strongest evidence wins: the user's own habit or history with the item, then an item of the user's that is often
bought with it, then a recent item it is like, then its popularity, and last the model alone.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice

import numpy as np
import numpy.typing as npt

from serving.catalogue import first_category
from serving.contract import Reason
from serving.model_inputs import KnownRow
from serving.release import Release

#: Distinct recent items that an item may be likened to, and the cosine from which we call it similar.
RECENT_ITEMS = 30
SIMILAR_COSINE = 0.35
SECONDS_PER_DAY = 86_400
#: Places within its first category from which we call an item popular.
POPULAR_PLACES = 50
#: What the user did, with the item's name left out: (before, after) it.
_DEEDS = {
    "view": ("looked at", ""),
    "add_to_cart": ("put", " in your basket"),
    "purchase": ("bought", ""),
    "like": ("liked", ""),
    "share": ("shared", ""),
    "follow": ("followed", ""),
    "review": ("reviewed", ""),
}
_ANY_DEED = ("chose", "")


@dataclass(slots=True)
class Evidence:
    """What one answer may cite: places in `row` by vocabulary index (the newest where an item comes again).

    `recent` holds distinct items of the history, newest first; `recent_vectors` theirs, once somebody asks.
    """

    release: Release
    now: datetime
    row: KnownRow
    habits: dict[int, int]
    newest: dict[int, int]
    recent: list[int]
    recent_vectors: npt.NDArray[np.float32] | None = None


def gather_evidence(release: Release, row: KnownRow, now: datetime) -> Evidence:
    """Collect what a user's row, oldest first, says about items of the catalogue."""
    return Evidence(
        release=release,
        now=now,
        row=row,
        habits={index: place for place, index in enumerate(row.habit_indices)},
        newest={index: place for place, index in enumerate(row.history_indices)},
        recent=list(islice(dict.fromkeys(reversed(row.history_indices)), RECENT_ITEMS)),
    )


def reason_for(position: int, evidence: Evidence) -> Reason:
    """Return the reason for the item at this vocabulary index."""
    return (
        _own_reason(position, evidence)
        or _co_purchase_reason(position, evidence)
        or _similar_reason(position, evidence)
        or popular_reason(position, evidence.release)
        or _last_reason(evidence)
    )


def popular_reason(position: int, release: Release) -> Reason | None:
    """Return the popularity reason, None where the item is not among the most popular of its first category."""
    if release.popularity[position] <= 0 or release.category_places[position] >= POPULAR_PLACES:
        return None
    category = first_category(release.catalogue.items[position].category)
    place = f" in {readable(category)}" if category else ""
    return Reason(kind="popular", text=f"Popular{place} this month.")


def readable(text: str) -> str:
    """Return a name that a shop wrote in capitals as people write it; others as they are."""
    return text.capitalize() if text.isupper() and len(text) > 3 else text


def _own_reason(position: int, evidence: Evidence) -> Reason | None:
    habit_place, place = evidence.habits.get(position), evidence.newest.get(position)
    if habit_place is not None:
        habit = evidence.row.habits[habit_place]
        item_id, when = habit.item_id, _when(habit.last_time, evidence.now)
        count = round(habit.purchases)
        text = f"You bought this {count} times, last {when}." if count > 1 else f"You bought this {when}."
        return Reason(kind="habit", text=text, because=[item_id])
    if place is not None:
        newest = evidence.row.history[place]
        when = _when(newest.event_time, evidence.now)
        verb, rest = _DEEDS.get(newest.event_type, _ANY_DEED)
        return Reason(kind="history", text=f"You {verb} this{rest} {when}.", because=[newest.item_id])
    return None


def _co_purchase_reason(position: int, evidence: Evidence) -> Reason | None:
    release = evidence.release
    newest = evidence.newest
    for place, neighbour in enumerate(release.neighbour_items[position].tolist()):
        if neighbour in newest and release.neighbour_scores[position, place] > 0:
            return Reason(
                kind="co_purchase",
                text=f"Often bought with {_title(neighbour, release)}, {_deed(neighbour, evidence)}.",
                because=[release.catalogue.items[neighbour].item_id],
            )
    return None


def _similar_reason(position: int, evidence: Evidence) -> Reason | None:
    if not evidence.recent:
        return None
    if evidence.recent_vectors is None:
        evidence.recent_vectors = evidence.release.vectors[evidence.recent]
    cosines = evidence.recent_vectors @ evidence.release.vectors[position]
    best = int(cosines.argmax())
    if cosines[best] < SIMILAR_COSINE:
        return None
    like, items = evidence.recent[best], evidence.release.catalogue.items
    text = f"Similar to {_title(like, evidence.release)}, {_deed(like, evidence)}."
    if items[like].title == items[position].title:
        text = f"The same kind as one {_deed(like, evidence)}."
    return Reason(kind="similar", text=text, because=[items[like].item_id])


def _last_reason(evidence: Evidence) -> Reason:
    items = evidence.release.catalogue.items
    because = [items[position].item_id for position in evidence.recent[:3]]
    if because:
        return Reason(kind="model", text="Fits what you chose lately.", because=because)
    return Reason(kind="popular", text="From our range.")


def _title(position: int, release: Release) -> str:
    return readable(release.catalogue.items[position].title)


def _deed(position: int, evidence: Evidence) -> str:
    verb, rest = _DEEDS.get(evidence.row.history[evidence.newest[position]].event_type, _ANY_DEED)
    return f"which you {verb}{rest}"


def _when(seconds: int, now: datetime) -> str:
    present = now.timestamp()
    days = int(present) // SECONDS_PER_DAY - seconds // SECONDS_PER_DAY
    if present - seconds < 600:
        return "just now"
    if days < 2:
        return "today" if days <= 0 else "yesterday"
    return _on_day(seconds // SECONDS_PER_DAY, days >= 300)


@lru_cache(maxsize=4096)
def _on_day(day: int, with_year: bool) -> str:
    date = datetime.fromtimestamp(day * SECONDS_PER_DAY, UTC)
    return f"on {date.day} {date:%b}{f' {date.year}' if with_year else ''}"
