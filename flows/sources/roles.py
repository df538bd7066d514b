"""What the columns of a sample seem to mean: guesses by name, kind and content, each with its reason."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flows.sources.column_names import plain_name
from flows.sources.column_profile import ColumnProfile
from flows.sources.event_words import first_words, likely_meant_by, meant_by, not_bought
from flows.sources.role_names import (
    BASKET,
    BEHIND,
    LATER_TIMES,
    LIST_PRICE,
    NAMES,
    NUMBERS,
    OF_OBJECTS,
    PERSON,
    THING,
    TIMES,
    TWO_SURE,
)

#: Names that the drafts' other parts take from here.
__all__ = [
    "NUMBERS",
    "TIMES",
    "Guess",
    "guess_roles",
    "meant_by",
    "names_amount",
    "names_item",
    "names_later_time",
    "names_list_price",
    "names_part",
    "names_status",
    "names_time",
    "names_user",
    "plain_name",
    "role_of_file",
]
#: A column of which more than this share of values lacks goes behind all others.
_HARDLY_FILLED = 0.9
#: With more words than these, one says nothing of a column that is only named like a deed's.
_MANY_WORDS = 12


@dataclass(frozen=True)
class Guess:
    """One role of one column, why it seems so, how sure that is (sure, likely, unsure), and what else it could be."""

    role: str
    column: ColumnProfile
    why: str
    confidence: str
    others: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The guess in words: how sure, why, what else."""
        others = f"; could also be {', '.join(self.others)}" if self.others else ""
        return f"{self.confidence}: {self.why}{others}"


def names_item(name: str) -> bool:
    """Whether a column's name is one of an item's id."""
    return any(re.search(pattern, plain_name(name)) for pattern in NAMES["item_id"][0][:2])


def names_user(name: str) -> bool:
    """Whether a column's name is surely one of a user's id."""
    return any(re.search(pattern, plain_name(name)) for pattern in NAMES["user_id"][0][:2])


def names_part(name: str) -> bool:
    """Whether the name of an object and its key is surely one of a user's or an item's id, a price or a kind."""
    plain = plain_name(name)
    sure = [*NAMES["user_id"][0][:2], *NAMES["item_id"][0][:2], NAMES["unit_price"][0][0], OF_OBJECTS]
    return any(re.search(pattern, plain) for pattern in sure)


def names_time(name: str) -> bool:
    """Whether a column's name is one of a moment."""
    return any(re.search(pattern, plain_name(name)) for pattern in NAMES["event_time"][0][:-1])


def names_status(name: str) -> bool:
    """Whether a column's name is one of a status."""
    return re.search(NAMES["status"][0][0], plain_name(name)) is not None


def names_amount(name: str) -> bool:
    """Whether a column's name is one of a price or of what was paid."""
    patterns = (*NAMES["unit_price"][0], *NAMES["line_total"][0])
    return any(re.search(pattern, plain_name(name)) for pattern in patterns)


def names_list_price(name: str) -> bool:
    """Whether a column's name is one of a price that a thing was to have: the recommended or the former one."""
    return re.search(LIST_PRICE, plain_name(name)) is not None


def names_later_time(name: str) -> bool:
    """Whether a column's name is one of a time that is not the deed's: when it was delivered, or written."""
    return re.search(LATER_TIMES, plain_name(name)) is not None


def role_of_file(stem: str) -> str | None:
    """Whose `id` a file has by its name: products.csv has an item's, users.csv a user's, orders.csv a basket's."""
    word = plain_name(stem).rpartition("_")[2]
    forms = {word, word.removesuffix("s"), f"{word.removesuffix('ies')}y"}
    kinds = {"item_id": THING, "user_id": PERSON, "basket_id": BASKET}
    return next((role for role, names in kinds.items() if any(re.fullmatch(names, form) for form in forms)), None)


def guess_roles(
    columns: Sequence[ColumnProfile], wanted: Iterable[str], known: dict[str, Guess] | None = None
) -> dict[str, Guess]:
    """The best column for each role wanted, in the order of the roles; a column gets one role, `known` ones first."""
    guesses = dict(known or {})
    taken = {guess.column.name for guess in guesses.values()}
    for role in [role for role in wanted if role not in guesses]:
        fitting = _fitting(role, [column for column in columns if column.name not in taken])
        if fitting:
            rank, column = fitting[0]
            others = tuple(other.name for _, other in fitting[1:4])
            confidence = _confidence(rank - (role in TWO_SURE), len(others))
            guesses[role] = Guess(role, column, _why(role, rank, column), confidence, others)
            taken.add(column.name)
    return guesses


def _fitting(role: str, columns: Sequence[ColumnProfile]) -> list[tuple[int, ColumnProfile]]:
    patterns, kinds = NAMES[role]
    found = []
    for column in columns:
        name = plain_name(column.name)
        rank = next((place for place, pattern in enumerate(patterns) if re.search(pattern, name)), None)
        fits = column.kind in kinds or (column.kind == "empty" and rank == 0)
        if rank is not None and fits and _content_fits(role, rank, column):
            found.append((rank, column))
    # One whose words tell several deeds says more than one that is only named so; a moment or
    # a title that lacks is none.
    if role == "event_type":
        poor = {column.name for _, column in found if len(_meanings(column)) < 2}
    else:
        most = {"event_time": 0.1, "title": 0.5, "basket_id": 0.1}.get(role, 1.0)
        poor = {column.name for _, column in found if column.nulls > most * column.rows}
    return sorted(found, key=lambda pair: (pair[1].name in poor, *_place(role, *pair)))


def _place(role: str, rank: int, column: ColumnProfile) -> tuple[bool, float, int, bool, bool]:
    """Where a column stands among those of a role: hardly filled ones last, then by name, then by what it holds."""
    name = plain_name(column.name)
    behind = [place for place, names in enumerate(BEHIND.get(role, ()), 1) if re.search(names, name)]
    # A time of something else goes behind all that are named like the deed's, before those named like none.
    last = len(NAMES[role][0]) - 1.5
    later = role == "event_time" and rank < last and names_later_time(name)
    hardly = column.nulls > _HARDLY_FILLED * column.rows
    return hardly, last if later else rank, max(behind, default=0), column.nulls > 0.5 * column.rows, column.is_day


def _meanings(column: ColumnProfile) -> set[str]:
    """Our event types among a column's words."""
    return {meant for word in column.words if (meant := meant_by(word))}


def _content_fits(role: str, rank: int, column: ColumnProfile) -> bool:
    """Whether a column's values may be of a role that its name speaks for."""
    if role == "event_type":
        surely = rank == 0 or plain_name(column.name) == "type"
        numbered = surely and column.kind == "whole" and 1 < column.distinct <= 12
        meant = likely_meant_by if rank == 0 else meant_by
        told = {meant(word) for word in column.words} - {None}
        # Among many words of a column that is only named so, one may be of deeds by chance: a kind of things, a basket.
        return numbered or len(told) > (rank > 0 and len(column.words) > _MANY_WORDS)
    if role == "item_id" and column.kind in NUMBERS and plain_name(column.name).endswith("s"):
        # Few small numbers of things are how many there were.
        few = (column.minimum or 0) <= 1 or column.distinct == 1
        return not (few and column.distinct <= max(20, 0.01 * column.filled))
    if role == "line_total" and re.fullmatch("purchase|sales?", plain_name(column.name)):
        return (column.maximum or 0) > 1  # else it says whether, not how much
    if role == "status":
        return any(not_bought(plain_name(column.name), column.words))
    if role == "event_time" and rank == len(NAMES[role][0]) - 1:
        return column.kind == "time"
    if role == "basket_id" and plain_name(column.name) == "order" and column.kind == "whole":
        # Few small numbers say in which order things were looked at.
        return not ((column.minimum or 0) <= 1 and column.distinct < 0.05 * column.filled)
    # An amount with a fraction is money.
    return not (role == "quantity" and rank == len(NAMES[role][0]) - 1 and column.kind != "whole")


def _why(role: str, rank: int, column: ColumnProfile) -> str:
    content = {
        "event_time": f"its values read as {', '.join(column.time_formats)}",
        "event_type": f"its words are {first_words(column.words)}",
    }.get(role)
    named = "its name says so" if rank == 0 or (role in TWO_SURE and rank == 1) else "its name is near"
    if role == "event_time" and rank == len(NAMES[role][0]) - 1:
        named = "the first column of times"
    return f"{named}, {content}" if content else f"{named}, {column.distinct:,} values in {column.filled:,} rows"


def _confidence(rank: int, others: int) -> str:
    return "sure" if rank <= 0 and not others else "likely" if rank <= 1 else "unsure"
