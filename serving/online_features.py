"""The online store as user rows: one read a request, and the row that a pushed event changes.

It reads and writes what Feast reads and writes, without Feast in the process (docs/serving.md). The project's
name comes from the registry snapshot inside the release.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from feature_repo.features import USER_HABITS, USER_HISTORY, FeatureView
from serving.feast_values import read_value, registry_project, write_list
from serving.history import Columns, Habit, Interaction, UserRow, with_interactions
from serving.online_rows import BrokenRow, OnlineRows, OnlineStoreUnavailable
from serving.row_store import RowStore, StoredUser, StoredView, WrittenRow
from serving.settings import OnlineStoreSettings
from serving.stored_rows import open_row_store

#: Seconds since 1970 beyond which a stored time is no time (the year 2242).
LATEST_SECONDS = 2**33
#: Seconds that a push waits for its turn behind others; one that the store keeps waiting fails after a second.
TURN_PATIENCE = 2.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def open_online_features(settings: OnlineStoreSettings, registry_path: Path) -> OnlineRows:
    """Open the online store of the project in `registry_path`, the release's snapshot.

    Raises OnlineStoreUnavailable when the snapshot or the store cannot be opened.
    """
    try:
        project = registry_project(registry_path)
        store = open_row_store(settings, project, (USER_HISTORY, USER_HABITS))
    except Exception as error:
        raise OnlineStoreUnavailable(f"cannot open the online store with {registry_path}: {error}") from error
    return OnlineRows(
        read=partial(read_user, store),
        read_many=partial(read_users, store),
        push=partial(push_interactions, store, threading.Lock()),
        waits=store.waits,
    )


def read_user(store: RowStore, pseudonym: str) -> UserRow:
    """Return the user's stored history and habits, an empty row for one never seen.

    Raises OnlineStoreUnavailable when the store does not answer or its values do not fit together.
    """
    row = read_users(store, (pseudonym,))[0]
    if row is None:
        raise BrokenRow("the online row of one user does not fit together")
    return row


def read_users(store: RowStore, pseudonyms: Sequence[str]) -> list[UserRow | None]:
    """Return the rows of several users, in their order, in one exchange; None for one that does not fit together.

    Raises OnlineStoreUnavailable when the store does not answer.
    """
    try:
        stored = store.read(pseudonyms)
    except Exception as error:
        raise OnlineStoreUnavailable(f"cannot read the online rows of {len(pseudonyms)} users: {error}") from error
    return [_user_row_or_none(user) for user in stored]


def _user_row_or_none(stored: StoredUser | None) -> UserRow | None:
    try:
        return None if stored is None else _user_row(stored)
    except (ValueError, TypeError):
        return None


def push_interactions(
    store: RowStore,
    writing: threading.Lock,
    pseudonym: str,
    fresh: list[Interaction],
    arrived: datetime | None = None,
) -> UserRow:
    """Write the user's row as it is after `fresh` interactions, and return it.

    A write reads the row first, so writes take turns (`writing`), for which nobody waits long. An older event takes its
    place by time. The row is stamped with the moment at which the events `arrived` (by default now), whenever they
    happened: a load of the store stamps its rows with the newest arrival that they hold, so it keeps a row that knows
    more. The stamp never goes back. An event that the row holds already changes nothing. Raises OnlineStoreUnavailable.
    """
    moment = ((arrived or datetime.now(UTC)) - _EPOCH) // timedelta(microseconds=1)
    try:
        with _turn(writing):
            before = _user_row_or_none(store.read((pseudonym,))[0])
            if before is None:
                raise BrokenRow("the online row of one user does not fit together")
            after = with_interactions(before, fresh)
            if after.history != before.history:
                _write(store, USER_HISTORY, pseudonym, after.history, _next_stored_at(after.history_stored_at, moment))
            if after.habits != before.habits:
                _write(store, USER_HABITS, pseudonym, after.habits, _next_stored_at(after.habits_stored_at, moment))
            return after
    except BrokenRow:
        raise
    except Exception as error:
        raise OnlineStoreUnavailable(f"cannot write the online row of one user: {error}") from error


@contextmanager
def _turn(writing: threading.Lock) -> Iterator[None]:
    if not writing.acquire(timeout=TURN_PATIENCE):
        raise TimeoutError(f"expected a turn to write within {TURN_PATIENCE:g} s")
    try:
        yield
    finally:
        writing.release()


def _user_row(stored: StoredUser) -> UserRow:
    history, habits = stored
    deeds, bought = _columns(history, USER_HISTORY), _columns(habits, USER_HABITS)
    for times in (deeds[2], bought[2]):
        if times and not (min(times) > -LATEST_SECONDS and max(times) < LATEST_SECONDS):
            raise ValueError("expected times within 270 years of 1970 in a user's row")
    for view in stored:
        if view is not None and not abs(view.event_us) < LATEST_SECONDS * 1_000_000:
            raise ValueError("expected a row stored within 270 years of 1970")
    return UserRow(
        history=Columns(Interaction, deeds),
        habits=Columns(Habit, bought),
        history_stored_at=history.event_us if history else None,
        habits_stored_at=habits.event_us if habits else None,
    )


def _columns(stored: StoredView | None, view: FeatureView) -> list[Sequence[Any]]:
    if stored is None:
        return [()] * len(view.feature_names)
    columns = [read_value(stored.values.get(name, b"")) or () for name in view.feature_names]
    if len({len(column) for column in columns}) != 1:
        lengths = dict(zip(view.feature_names, map(len, columns), strict=True))
        raise ValueError(f"expected lists of one length in {view.name}, but found {lengths}")
    return columns


def _next_stored_at(stored_at: int | None, arrived: int) -> int:
    # One microsecond later at least: the store keeps the row it has when the new one is not newer.
    return max(arrived, 0 if stored_at is None else stored_at + 1)


def _write(
    store: RowStore, view: FeatureView, pseudonym: str, entries: Sequence[tuple[Any, ...]], stored_at: int
) -> None:
    columns = zip(*entries, strict=True)
    values = {
        feature.name: write_list(feature.dtype, column) for feature, column in zip(view.features, columns, strict=True)
    }
    store.write(WrittenRow(view, pseudonym, values, stored_at, time.time_ns() // 1000))
