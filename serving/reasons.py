"""Why an item is in a slate, in one sentence that is true of the data the answer was made from.

The strongest evidence wins: the user's own habit or history with the item, then an item of the user's that is often
bought with it, then a recent item it is like, then its popularity, and last the model alone.
"""

from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import numpy as np
import numpy.typing as npt

from serving.catalogue import first_category
from serving.contract import Reason
from serving.model_inputs import KnownRow
from serving.phrases import PHRASES, Language, when
from serving.release import Release

#: Distinct recent items that an item may be likened to, and the cosine from which we call it similar.
RECENT_ITEMS = 30
SIMILAR_COSINE = 0.35
#: Places within its first category from which we call an item popular.
POPULAR_PLACES = 50


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
    language: Language = "en"
    recent_vectors: npt.NDArray[np.float32] | None = None


def gather_evidence(release: Release, row: KnownRow, now: datetime, language: Language = "en") -> Evidence:
    """Collect what a user's row, oldest first, says about items of the catalogue, to be told in a language."""
    return Evidence(
        release=release,
        now=now,
        row=row,
        habits={index: place for place, index in enumerate(row.habit_indices)},
        newest={index: place for place, index in enumerate(row.history_indices)},
        recent=list(islice(dict.fromkeys(reversed(row.history_indices)), RECENT_ITEMS)),
        language=language,
    )


def reason_for(position: int, evidence: Evidence) -> Reason:
    """Return the reason for the item at this vocabulary index."""
    return (
        _own_reason(position, evidence)
        or _co_purchase_reason(position, evidence)
        or _similar_reason(position, evidence)
        or popular_reason(position, evidence.release, evidence.language)
        or _last_reason(evidence)
    )


def popular_reason(position: int, release: Release, language: Language) -> Reason | None:
    """Return the popularity reason, None where the item is not among the most popular of its first category."""
    if release.popularity[position] <= 0 or release.category_places[position] >= POPULAR_PLACES:
        return None
    category = first_category(release.catalogue.items[position].category)
    phrases = PHRASES[language]
    text = phrases.popular_in.format(category=readable(category)) if category else phrases.popular
    return Reason(kind="popular", text=text)


def readable(text: str) -> str:
    """Return a name that a shop wrote in capitals as people write it; others as they are."""
    return text.capitalize() if text.isupper() and len(text) > 3 else text


def _own_reason(position: int, evidence: Evidence) -> Reason | None:
    phrases, language = PHRASES[evidence.language], evidence.language
    habit_place, place = evidence.habits.get(position), evidence.newest.get(position)
    if habit_place is not None:
        habit = evidence.row.habits[habit_place]
        count = round(habit.purchases)
        form = phrases.habit if count > 1 else phrases.habit_once
        text = form.format(count=count, when=when(habit.last_time, evidence.now, language))
        return Reason(kind="habit", text=text, because=[habit.item_id])
    if place is not None:
        newest = evidence.row.history[place]
        form = phrases.own.get(newest.event_type, phrases.own[""])
        text = form.format(when=when(newest.event_time, evidence.now, language))
        return Reason(kind="history", text=text, because=[newest.item_id])
    return None


def _co_purchase_reason(position: int, evidence: Evidence) -> Reason | None:
    release = evidence.release
    newest = evidence.newest
    for place, neighbour in enumerate(release.neighbour_items[position].tolist()):
        if neighbour in newest and release.neighbour_scores[position, place] > 0:
            form = PHRASES[evidence.language].co_purchase
            text = form.format(title=_title(neighbour, release), deed=_deed(neighbour, evidence))
            return Reason(kind="co_purchase", text=text, because=[release.catalogue.items[neighbour].item_id])
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
    phrases = PHRASES[evidence.language]
    form = phrases.same_kind if items[like].title == items[position].title else phrases.similar
    text = form.format(title=_title(like, evidence.release), deed=_deed(like, evidence))
    return Reason(kind="similar", text=text, because=[items[like].item_id])


def _last_reason(evidence: Evidence) -> Reason:
    items = evidence.release.catalogue.items
    because = [items[position].item_id for position in evidence.recent[:3]]
    phrases = PHRASES[evidence.language]
    if because:
        return Reason(kind="model", text=phrases.model, because=because)
    return Reason(kind="popular", text=phrases.anything)


def _title(position: int, release: Release) -> str:
    return readable(release.catalogue.items[position].title)


def _deed(position: int, evidence: Evidence) -> str:
    deeds = PHRASES[evidence.language].deeds
    return deeds.get(evidence.row.history[evidence.newest[position]].event_type, deeds[""])
