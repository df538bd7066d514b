"""What was called off or only offered: by the words of a status, a flag or a day of cancelling, each in its column."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from flows.connection import literal, quoted
from flows.sources.column_profile import ColumnProfile
from flows.sources.draft_flags import word_for_yes
from flows.sources.event_words import came_back, first_words, is_open, names_payment, not_bought
from flows.sources.roles import TIMES, names_status, plain_name

_CALLED_OFF = "cancel|annul|anulac|storn|void|iptal|отмен|キャンセル"
#: Names of columns that speak of cancelling and do not say that it was done, or of how many came back.
_OTHERWISE = "reason|deadline|limit|polic|until|期限|motiv|fee|amount|total|qty|quantity|count|number|by$"
#: Whose status is none of a sale.
_OF_OTHERS = "marital|subscri|member|club|loyal|coupon|promo|employ|account|civil|stock"
#: With more words than these a column is no status.
_MANY = 20


@dataclass(frozen=True)
class Undone:
    """What one column says: the rows that came back, and those that were never bought, each as SQL or ''."""

    column: ColumnProfile
    back: str
    offered: str
    bought: tuple[str, ...] = ()


def undone_by(columns: Sequence[ColumnProfile], told: ColumnProfile | None = None) -> list[Undone]:
    """All columns that say of some rows that they were called off or not bought yet, those of a status first.

    `told`: a status that is known to be one, whatever it is called.
    """
    found: dict[str, Undone] = {}
    of_payment = any(names_payment(plain_name(each.name)) and any(_said_by(each, told)) for each in columns)
    for column in [*([told] if told else []), *columns]:
        if column.name in found:
            continue
        back, offered = _said_by(column, told)
        if of_payment and not names_payment(plain_name(column.name)):
            offered = [word for word in offered if not is_open(word)]
        if back or offered:
            bought = tuple(sorted(column.words - {*back, *offered}))
            # Where the only words are of returns, a row that has any came back.
            whole = column.nulls and not offered and not bought
            said = f"{quoted(column.name)} is not null" if whole else _among(column, back)
            found[column.name] = Undone(column, said, _among(column, offered), bought)
        elif said := _flagged(column):
            found[column.name] = Undone(column, said, "")
    return sorted(found.values(), key=lambda each: not each.bought)


def _said_by(column: ColumnProfile, told: ColumnProfile | None) -> tuple[list[str], list[str]]:
    """The words of a column, if it is a status, that say what came back, and those of what was not bought so far."""
    status = column is told or (names_status(column.name) and column.kind == "text")
    return not_bought(plain_name(column.name), column.words) if status else ([], [])


def unread_status(columns: Sequence[ColumnProfile]) -> str:
    """What a draft says of a status none of whose words or numbers is known for a return; '' where there is none."""
    for column in columns:
        name = plain_name(column.name).removesuffix("_id")
        few = 1 < column.distinct <= _MANY and column.words and not re.search(_OF_OTHERS, name)
        if few and column.kind in ("text", "whole") and (names_status(name) or name == "current_state"):
            said = first_words(column.words)
            return (
                f"unsure: nothing of {column.name} is known to say what was called off or not paid: {said}; all is "
                "taken as bought"
            )
    return ""


def _among(column: ColumnProfile, words: Sequence[str]) -> str:
    return f"{quoted(column.name)} in ({', '.join(literal(word) for word in words)})" if words else ""


def _flagged(column: ColumnProfile) -> str:
    """SQL for the rows that a flag or a day says were called off; '' for a column of anything else."""
    name = plain_name(column.name)
    if re.search(_OTHERWISE, name):
        return ""
    if (came_back(name) or re.search(_CALLED_OFF, name)) and (yes := word_for_yes(column)):
        return f"{quoted(column.name)} = {literal(yes)}"
    day = column.kind in TIMES and 2 * column.nulls > column.rows
    return f"{quoted(column.name)} is not null" if day and re.search(_CALLED_OFF, name) else ""
