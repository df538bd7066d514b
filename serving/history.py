"""A user's history and habits as values, and how an event changes them. Pure functions, no store.

The order of a history is the order of event time, whatever order the events arrived in.
"""

from bisect import insort_right
from dataclasses import dataclass, replace
from typing import NamedTuple

from feature_repo.features import HABIT_LENGTH, HISTORY_LENGTH
from feature_repo.schema import INTERACTION_TYPES


class Interaction(NamedTuple):
    """One entry of a history; `event_time` in whole seconds since 1970 (UTC), as the online store keeps it."""

    item_id: str
    event_type: str
    event_time: int


class Habit(NamedTuple):
    """One item a user buys: `purchases` in distinct baskets and the last one, in seconds since 1970 (UTC)."""

    item_id: str
    purchases: float
    last_time: int


@dataclass(frozen=True)
class UserRow:
    """What the online store knows of one user: history oldest first, habits strongest first.

    `stored_at` is the event timestamp of the stored row in microseconds since 1970, None where there is no row.
    """

    history: tuple[Interaction, ...] = ()
    habits: tuple[Habit, ...] = ()
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


def with_purchase(habits: tuple[Habit, ...], purchase: Interaction) -> tuple[Habit, ...]:
    """Return the habits after one purchase newer than the last of its item; an older one may be counted already.

    The batch transform orders habits with decay; until it runs again a new item takes the last place.
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
