"""When pushed events happened: as they say themselves, or now, and then after all that is known of their user.

The release clock starts again with the process, and a sender's clock may be ahead of ours. A deed dated before what its
user did last, or upon the very same deed, would count for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from feature_repo.schema import INTERACTION_TYPES
from serving.contract import Event
from serving.history import Interaction, UserRow, with_interactions
from serving.metrics import Metrics
from serving.recommender import Question, read_rows
from serving.release import Release

#: Times of a history are whole seconds: the least by which a deed can be newer.
_STEP = timedelta(seconds=1)


@dataclass(slots=True)
class _Past:
    """What is known of a user, events of the same request too, and the earliest moment of the next without a time."""

    row: UserRow
    moment: datetime


def event_moments(
    release: Release, events: Sequence[Event], users: Sequence[str], now: datetime, metrics: Metrics
) -> list[datetime]:
    """Return the moment of each event; `users` are their pseudonyms."""
    named = list(zip(users, events, strict=True))
    undated = list(dict.fromkeys(user for user, event in named if event.event_time is None))
    rows = read_rows(release, [Question(user, 1) for user in undated], metrics)
    pasts = {user: _past(row or UserRow(), now) for user, row in zip(undated, rows, strict=True)}
    for user, event in named:
        if user in pasts and event.event_time is not None:
            pasts[user] = _past(_after(pasts[user].row, event, event.event_time), now)
    return [event.event_time or _next_moment(pasts[user], event) for user, event in named]


def _past(row: UserRow, now: datetime) -> _Past:
    newest = max(
        [*(entry.event_time for entry in row.history[-1:]), *(habit.last_time for habit in row.habits)], default=0
    )
    ahead = newest > int(now.timestamp())
    return _Past(row, datetime.fromtimestamp(newest, now.tzinfo) + _STEP if ahead else now)


def _next_moment(past: _Past, event: Event) -> datetime:
    """Return the earliest moment at which the event still changes what is known, and add it there."""
    if event.event_type in INTERACTION_TYPES:
        while not _counts(past.row, after := _after(past.row, event, past.moment), event.event_type):
            past.moment += _STEP
        past.row = after
    return past.moment


def _counts(before: UserRow, after: UserRow, event_type: str) -> bool:
    return after.history != before.history and (event_type != "purchase" or after.habits != before.habits)


def _after(row: UserRow, event: Event, moment: datetime) -> UserRow:
    return with_interactions(row, [Interaction(event.item_id or "", event.event_type, int(moment.timestamp()))])
