"""What serving needs of an online store: read users' rows, and push interactions into one.

Behind this door stands online_features.py; only the wiring in app.py knows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from serving.history import Interaction, UserRow


class OnlineStoreUnavailable(Exception):
    """The online store did not answer, or answered something that is no user row."""


class BrokenRow(OnlineStoreUnavailable):
    """The row of one user is no user row; the store itself answers."""


def _nobody() -> None:
    """Hear nothing."""


class Push(Protocol):
    """Brings a user's row up to date."""

    def __call__(self, pseudonym: str, fresh: list[Interaction], arrived: datetime | None = None) -> UserRow:
        """Write the row as it is after `fresh` interactions, which `arrived` then (by default now); return it."""


@dataclass(frozen=True)
class OnlineRows:
    """Every function takes pseudonyms and raises OnlineStoreUnavailable; `push` returns the row as it is after it,
    `read_many` gives None for a row whose values do not fit together.

    `waits` says that reading waits for another process: not to be done where other requests are served. `overdue` is
    told that somebody gave up a read which has not ended.
    """

    read: Callable[[str], UserRow]
    read_many: Callable[[Sequence[str]], list[UserRow | None]]
    push: Push
    waits: bool = False
    overdue: Callable[[], None] = _nobody


#: Opens the online store with the feature definitions of a release (its registry snapshot).
OpenOnlineRows = Callable[[Path], OnlineRows]


def no_online_rows(_: Path) -> OnlineRows:
    """Open no store, for a release that is given the rows it answers from. Raises OnlineStoreUnavailable."""
    raise OnlineStoreUnavailable("this release is given the rows that it answers from")
