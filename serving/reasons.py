"""Why an item is in a slate, in one sentence that is true of the data and of the answer.

The user's own habit or history with the item comes first. For an item that is new to the user, what may be cited is
taken away on trial (removal.py), and the first citation without which the item stands lower is told: an item that is
often bought with it, a recent item it is like, the newest items together. Where nothing makes it fall it stands there
because it is popular.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal

import numpy as np
import numpy.typing as npt

from serving.catalogue import Item, first_category
from serving.contract import Reason
from serving.model_inputs import KnownRow
from serving.phrases import PHRASES, Language, when
from serving.release import Release

#: Distinct recent items that an item may be likened to, and the cosine from which we call it similar.
RECENT_ITEMS = 30
SIMILAR_COSINE = 0.35
#: Places within its first category up to which we call an item popular, and interactions that make it so at least.
POPULAR_PLACES = 50
POPULAR_TAKES = 2
#: The days before a release that its popularity counts.
POPULAR_SPAN = timedelta(days=28)
#: A category that an export tells as a hash.
_HASH = re.compile(r"(?=.*\d)[0-9a-fA-F-]{8,}")

#: Items of a user that an item may be often bought with, of which the best are tried; and the newest ones together.
COMPANIONS = 3
NEWEST_TOGETHER = 10
CitedKind = Literal["co_purchase", "similar", "model"]


@dataclass(frozen=True, slots=True)
class Citation:
    """What a reason could rest on: a kind, and the user's items that it names, by vocabulary index; none: all."""

    kind: CitedKind
    items: tuple[int, ...]


#: All that is known of the user.
EVERYTHING = Citation("model", ())


@dataclass(slots=True)
class Evidence:
    """What one answer may cite of a `row`.

    `recent` holds distinct items of the history, newest first, and `recent_vectors` theirs, once somebody asks.
    """

    release: Release
    now: datetime
    row: KnownRow
    language: Language = "en"
    recent: list[int] | None = None
    recent_vectors: npt.NDArray[np.float32] | None = None


def gather_evidence(release: Release, row: KnownRow, now: datetime, language: Language = "en") -> Evidence:
    """Collect what a user's row, oldest first, says about items of the catalogue, to be told in a language."""
    return Evidence(release, now, row, language)


def recent_items(evidence: Evidence) -> list[int]:
    """Return distinct items of the history, newest first."""
    if evidence.recent is None:
        evidence.recent = list(islice(dict.fromkeys(reversed(evidence.row.history_indices)), RECENT_ITEMS))
    return evidence.recent


def is_own(position: int, evidence: Evidence) -> bool:
    """Say whether the user has had the item: then the reason is that, and nothing needs to be tried."""
    return position in evidence.row.past


def citations(position: int, evidence: Evidence) -> list[Citation]:
    """Return what the reason for an item new to the user could rest on, the most telling first."""
    recent = recent_items(evidence)
    if not recent:
        return []
    found = [Citation("co_purchase", (other,)) for other in islice(_companions(position, evidence), COMPANIONS)]
    like = _most_alike(position, evidence)
    if like is not None:
        found.append(Citation("similar", (like,)))
    return [*found, Citation("model", tuple(recent[:NEWEST_TOGETHER]))]


def reason_for(position: int, evidence: Evidence, citation: Citation | None = None) -> Reason:
    """Return the reason for the item at this vocabulary index; `citation` is what makes it fall, None where nothing."""
    own = _own_reason(position, evidence)
    if own is not None:
        return own
    if citation is not None:
        return _cited_reason(position, citation, evidence)
    popular = popular_reason(position, evidence.release, evidence.language, evidence.now)
    return popular or Reason(kind="popular", text=PHRASES[evidence.language].anything)


def popular_reason(position: int, release: Release, language: Language, now: datetime) -> Reason | None:
    """Return the popularity reason, None where the item is not among the most popular of its first category.

    A release that is older than the days it counted says nothing of this month, and a category's number names nothing.
    """
    if release.popularity[position] < POPULAR_TAKES or release.category_places[position] >= POPULAR_PLACES:
        return None
    category = first_category(release.catalogue.items[position].category)
    phrases = PHRASES[language]
    here, anywhere = phrases.popular_in, phrases.popular
    if now - release.as_of >= POPULAR_SPAN:
        here, anywhere = phrases.once_popular_in, phrases.once_popular
    text = here.format(category=readable(category)) if category and not _is_code(category) else anywhere
    return Reason(kind="popular", text=text)


def bought_together(position: int, other: int, release: Release) -> bool:
    """Say whether people bought an item together with its neighbour; otherwise they only met both in one visit."""
    return bool(release.neighbour_bought[position][release.neighbour_items[position] == other].any())


def readable(text: str) -> str:
    """Return a name that a shop wrote in capitals as people write it; others as they are.

    Beside letters that have no capitals (USB充电器) those in capitals are a name's own.
    """
    if not text.isupper() or len(text) <= 3:
        return text
    return text if any(each.isalpha() and each.upper() == each.lower() for each in text) else text.capitalize()


def _is_code(name: str) -> bool:
    """Say whether a name is a number or a hash, which tells a shopper nothing."""
    return not any(map(str.isalpha, name)) or _HASH.fullmatch(name) is not None


def _own_reason(position: int, evidence: Evidence) -> Reason | None:
    phrases, language = PHRASES[evidence.language], evidence.language
    row, place = evidence.row, evidence.row.past.get(position)
    if place is None:
        return None
    if place < len(row.habit_indices):
        item_ids, purchases, times = row.habits.columns
        count = round(purchases[place])
        form = phrases.habit if count > 1 else phrases.habit_once
        text = form.format(count=count, when=when(times[place], evidence.now, language))
        return Reason("habit", text, [item_ids[place]])
    item_ids, types, times = row.history.columns
    newest = place - len(row.habit_indices)
    form = phrases.own.get(types[newest], phrases.own[""])
    return Reason("history", form.format(when=when(times[newest], evidence.now, language)), [item_ids[newest]])


def _companions(position: int, evidence: Evidence) -> Iterator[int]:
    release = evidence.release
    for place, neighbour in enumerate(release.neighbour_items[position].tolist()):
        if neighbour in evidence.row.newest and release.neighbour_scores[position, place] > 0:
            yield neighbour


def _most_alike(position: int, evidence: Evidence) -> int | None:
    recent = recent_items(evidence)
    if evidence.recent_vectors is None:
        evidence.recent_vectors = evidence.release.vectors[recent]
    cosines = evidence.recent_vectors @ evidence.release.vectors[position]
    best = int(cosines.argmax())
    return None if cosines[best] < SIMILAR_COSINE else recent[best]


def _cited_reason(position: int, citation: Citation, evidence: Evidence) -> Reason:
    items, phrases = evidence.release.catalogue.items, PHRASES[evidence.language]
    because = [items[cited].item_id for cited in citation.items]
    if citation.kind == "model":
        return Reason(kind="model", text=phrases.model if because else phrases.whole, because=because)
    (cited,) = citation.items
    form = phrases.co_purchase if bought_together(position, cited, evidence.release) else phrases.co_view
    if citation.kind == "similar":
        form = phrases.same_kind if _one_title(items[cited], items[position]) else phrases.similar
    text = form.format(title=_title(cited, evidence.release), deed=_deed(cited, evidence))
    return Reason(kind=citation.kind, text=text, because=because)


def _one_title(one: Item, other: Item) -> bool:
    return one.title.strip().casefold() == other.title.strip().casefold()


def _title(position: int, release: Release) -> str:
    return readable(release.catalogue.items[position].title)


def _deed(position: int, evidence: Evidence) -> str:
    deeds = PHRASES[evidence.language].deeds
    return deeds.get(evidence.row.history[evidence.row.newest[position]].event_type, deeds[""])
