"""What serving needs of an online store: read one user's row, and push interactions into it.

Behind this door stands Feast (online_features.py); only the wiring in app.py knows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from serving.history import Interaction, UserRow


class OnlineStoreUnavailable(Exception):
    """The online store did not answer, or answered something that is no user row."""


@dataclass(frozen=True)
class OnlineRows:
    """Both functions take a pseudonym and raise OnlineStoreUnavailable; `push` returns the row as it is after it."""

    read: Callable[[str], UserRow]
    push: Callable[[str, list[Interaction]], UserRow]


#: Opens the online store with the feature definitions of a release (its registry snapshot).
OpenOnlineRows = Callable[[Path], OnlineRows]
