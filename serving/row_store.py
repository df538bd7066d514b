"""What is read of an online store and written to it: bytes by feature, and the moment of each view's row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from feature_repo.features import FeatureView


@dataclass(slots=True)
class StoredView:
    """One view's row of one user: stored values by feature (absent: never written), and its event time."""

    values: dict[str, bytes]
    event_us: int


#: A user's row of each view that was asked for, None where there is none.
StoredUser = tuple[StoredView | None, ...]


@dataclass(frozen=True)
class WrittenRow:
    """One view's row to write: whose, what, and when it was true (microseconds since 1970)."""

    view: FeatureView
    user: str
    values: dict[str, bytes]
    event_us: int
    created_us: int


@dataclass(frozen=True)
class RowStore:
    """Reads users' rows of `views` and writes a row unless a newer one is stored; both raise what the driver raises.

    A user whose row is stored in a form that cannot be read is None, so that the others are read.
    `waits` says that reading waits for another process: not to be done where other requests are served.
    """

    read: Callable[[Sequence[str]], list[StoredUser | None]]
    write: Callable[[WrittenRow], None]
    waits: bool
