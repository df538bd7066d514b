"""A user's history and habits as values, and how an event changes them. Pure functions, no store.

The order of a history is the order of event time, whatever order the events arrived in.
"""

from bisect import insort_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import compress
from typing import Any, Generic, NamedTuple, TypeVar, overload

from feature_repo.features import HABIT_LENGTH, HISTORY_LENGTH
from feature_repo.schema import INTERACTION_TYPES


class Interaction(NamedTuple):
    """One entry of a history; `event_time` in whole seconds since 1970 (UTC), as the online store keeps it."""

    item_id: str
    event_type: str
    event_time: int


class Habit(NamedTuple):
    """One item a user buys: `purchases` and the last one, in seconds since 1970 (UTC).

    What was loaded counts distinct baskets; purchases pushed since count by their moments, for a row keeps no baskets.
    """

    item_id: str
    purchases: float
    last_time: int


Entry = TypeVar("Entry", bound=Interaction | Habit)


class Columns(Sequence[Entry], Generic[Entry]):
    """Entries as the columns that a store keeps them in, all of one length; an entry is made when somebody looks at it.

    Equal to a tuple of the same entries.
    """

    __slots__ = ("columns", "kind")
    __hash__ = None  # type: ignore[assignment]  # columns are lists
    columns: Sequence[Sequence[Any]]
    kind: type[Entry]

    def __init__(self, kind: type[Entry], columns: Sequence[Sequence[Any]]) -> None:
        self.kind = kind
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns[0])

    @overload
    def __getitem__(self, place: int) -> Entry: ...
    @overload
    def __getitem__(self, place: slice) -> "Columns[Entry]": ...
    def __getitem__(self, place: int | slice) -> "Entry | Columns[Entry]":
        if isinstance(place, slice):
            return Columns(self.kind, [column[place] for column in self.columns])
        return tuple.__new__(self.kind, [column[place] for column in self.columns])

    def __iter__(self) -> Iterator[Entry]:
        # Without a call into Python for each: a row has a hundred of them.
        return map(partial(tuple.__new__, self.kind), zip(*self.columns, strict=True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple | Columns) and tuple(self) == tuple(other)

    def __repr__(self) -> str:
        return repr(tuple(self))

    def where(self, kept: Sequence[bool]) -> "Columns[Entry]":
        """Return the entries whose place in `kept` is true."""
        return Columns(self.kind, [list(compress(column, kept)) for column in self.columns])


def as_columns(kind: type[Entry], entries: Sequence[Entry]) -> Columns[Entry]:
    """Return entries as columns, those that are so already as they are."""
    if isinstance(entries, Columns):
        return entries
    return Columns(kind, [*zip(*entries, strict=True)] or [()] * len(kind._fields))


@dataclass(frozen=True)
class UserRow:
    """What the online store knows of one user: history oldest first, habits strongest first.

    `stored_at` is the event timestamp of the stored row in microseconds since 1970, None where there is no row.
    """

    history: Sequence[Interaction] = ()
    habits: Sequence[Habit] = ()
    history_stored_at: int | None = None
    habits_stored_at: int | None = None


def with_interactions(row: UserRow, fresh: list[Interaction]) -> UserRow:
    """Return the row after `fresh` interactions: each in its place by time, none twice, the newest 100 kept."""
    seen = set(row.history)
    history = list(row.history)
    habits = row.habits
    for interaction in fresh:
        if interaction in seen or interaction.event_type not in INTERACTION_TYPES:
            continue
        seen.add(interaction)
        insort_right(history, interaction, key=_event_time)
        if interaction.event_type == "purchase":
            habits = with_purchase(habits, interaction)
    return replace(row, history=tuple(history[-HISTORY_LENGTH:]), habits=habits)


def with_purchase(habits: Sequence[Habit], purchase: Interaction) -> Sequence[Habit]:
    """Return the habits after one purchase newer than the last of its item; an older one may be counted already.

    The batch transform orders habits with decay and counts a basket once; until it runs again a new item takes the last
    place, and lines of one basket that were pushed with different moments count each.
    """
    for position, habit in enumerate(habits):
        if habit.item_id != purchase.item_id:
            continue
        if purchase.event_time <= habit.last_time:
            return habits
        grown = Habit(habit.item_id, habit.purchases + 1, purchase.event_time)
        return (*habits[:position], grown, *habits[position + 1 :])
    return (*habits[: HABIT_LENGTH - 1], Habit(purchase.item_id, 1.0, purchase.event_time))


def _event_time(interaction: Interaction) -> int:
    return interaction.event_time
