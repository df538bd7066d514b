"""The online store through Feast: one user row a request, and the row that a pushed event changes.

The only file of serving that imports Feast. The registry is the snapshot inside the release: Feast answers
reads with errors while a live registry says MATERIALIZING (docs/serving.md).
"""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from feast import FeatureStore, RepoConfig
from feast.protos.feast.core.Registry_pb2 import Registry
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import python_values_to_proto_values

from feature_repo.features import USER_HABITS, USER_HISTORY, FeatureView
from serving.history import Habit, Interaction, UserRow, with_interactions
from serving.online_rows import OnlineRows, OnlineStoreUnavailable
from serving.settings import OnlineStoreSettings

#: A shopper does not wait for a Redis that is gone (the client's own default is to try for 10 s and more).
#: AISLE_REDIS_URL may say otherwise, as host:port,socket_timeout=2.
REDIS_PATIENCE = "socket_connect_timeout=0.5,socket_timeout=1,retry=null"
ROW_FEATURES = [f"{view.name}:{name}" for view in (USER_HISTORY, USER_HABITS) for name in view.feature_names]


def open_online_features(settings: OnlineStoreSettings, registry_path: Path) -> OnlineRows:
    """Open the online store with the feature definitions in `registry_path`, the release's snapshot.

    Raises OnlineStoreUnavailable when the snapshot or the store cannot be opened.
    """
    try:
        store = FeatureStore(config=_repo_config(settings, registry_path))
    except Exception as error:
        raise OnlineStoreUnavailable(f"cannot open the online store with {registry_path}: {error}") from error
    return OnlineRows(partial(read_user, store), partial(push_interactions, store, threading.Lock()))


def read_user(store: FeatureStore, pseudonym: str) -> UserRow:
    """Return the user's stored history and habits, an empty row for one never seen.

    Raises OnlineStoreUnavailable when the store does not answer or its values do not fit together.
    """
    try:
        return _read(store, pseudonym)
    except Exception as error:
        raise OnlineStoreUnavailable(f"cannot read the online row of one user: {error}") from error


def push_interactions(
    store: FeatureStore, writing: threading.Lock, pseudonym: str, fresh: list[Interaction]
) -> UserRow:
    """Write the user's row as it is after `fresh` interactions, and return it.

    A write reads the row first, so writes take turns (`writing`). An older event takes its place by time; the row's
    event timestamp never goes back. An event that the row holds already changes nothing.
    Raises OnlineStoreUnavailable.
    """
    try:
        with writing:
            before = _read(store, pseudonym)
            after = with_interactions(before, fresh)
            if after.history != before.history:
                _write_history(store, pseudonym, after)
            if after.habits != before.habits:
                _write_habits(store, pseudonym, after)
            return after
    except Exception as error:
        raise OnlineStoreUnavailable(f"cannot write the online row of one user: {error}") from error


def _repo_config(settings: OnlineStoreSettings, registry_path: Path) -> RepoConfig:
    snapshot = Registry.FromString(registry_path.read_bytes())
    names = {view.spec.project for view in snapshot.feature_views}
    if len(names) != 1:
        raise ValueError(f"expected the feature views of one Feast project in the registry, but found {sorted(names)}")
    # The stores that never go back in time, by the path that Feast loads them from (feature_repo/online_store.py).
    online = {"type": "feature_repo.online_store.GuardedSqliteOnlineStore", "path": settings.online_path}
    if settings.online_type == "redis":
        online = {
            "type": "feature_repo.online_store.GuardedRedisOnlineStore",
            "connection_string": f"{REDIS_PATIENCE},{settings.redis_url}",
        }
    return RepoConfig(
        project=names.pop(),
        provider="local",
        registry={"path": str(registry_path), "cache_ttl_seconds": 0},  # 0: read once, never again
        offline_store={"type": "duckdb"},  # never opened here
        online_store=online,
        entity_key_serialization_version=3,
    )


def _read(store: FeatureStore, pseudonym: str) -> UserRow:
    # The answer's order is Feast's own: features are found by name, never by position.
    answer = store.get_online_features(ROW_FEATURES, [{"user_id": pseudonym}]).proto
    values: dict[str, Sequence[Any]] = {}
    stored_at: dict[str, int] = {}
    for name, result in zip(answer.metadata.feature_names.val, answer.results, strict=True):
        kind = result.values[0].WhichOneof("val")
        if kind is not None and name != "user_id":
            values[name] = getattr(result.values[0], kind).val
            stored_at[name] = result.event_timestamps[0].ToMicroseconds()
    history = _columns(values, USER_HISTORY)
    habits = _columns(values, USER_HABITS)
    return UserRow(
        history=tuple(map(Interaction, *history)),
        habits=tuple(map(Habit, *habits)),
        history_stored_at=stored_at.get("history_item_ids"),
        habits_stored_at=stored_at.get("habit_item_ids"),
    )


def _columns(values: dict[str, Sequence[Any]], view: FeatureView) -> list[Sequence[Any]]:
    columns = [values.get(name, ()) for name in view.feature_names]
    if len({len(column) for column in columns}) != 1:
        lengths = dict(zip(view.feature_names, map(len, columns), strict=True))
        raise ValueError(f"expected lists of one length in {view.name}, but found {lengths}")
    return columns


def _write_history(store: FeatureStore, pseudonym: str, row: UserRow) -> None:
    lists = (
        [entry.item_id for entry in row.history],
        [entry.event_type for entry in row.history],
        [_moment(entry.event_time) for entry in row.history],
    )
    newest = max(entry.event_time for entry in row.history)
    _write(store, USER_HISTORY, pseudonym, lists, _next_stored_at(row.history_stored_at, newest))


def _write_habits(store: FeatureStore, pseudonym: str, row: UserRow) -> None:
    lists = (
        [habit.item_id for habit in row.habits],
        [habit.count for habit in row.habits],
        [_moment(habit.last_time) for habit in row.habits],
    )
    newest = max(habit.last_time for habit in row.habits)
    _write(store, USER_HABITS, pseudonym, lists, _next_stored_at(row.habits_stored_at, newest))


def _next_stored_at(stored_at: int | None, newest: int) -> datetime:
    # One microsecond later at least: the store keeps the row it has when the new one is not newer.
    microseconds = max(newest * 1_000_000, 0 if stored_at is None else stored_at + 1)
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).replace(microsecond=microseconds % 1_000_000)


def _write(
    store: FeatureStore, view: FeatureView, pseudonym: str, lists: Sequence[list[Any]], stored_at: datetime
) -> None:
    stored_view = store.get_feature_view(view.name)
    types = {stored.name: stored.dtype.to_value_type() for stored in stored_view.features}
    values = {
        name: python_values_to_proto_values([column], types[name])[0]
        for name, column in zip(view.feature_names, lists, strict=True)
    }
    key = EntityKey(join_keys=[view.key], entity_values=[Value(string_val=pseudonym)])
    row = (key, values, stored_at, datetime.now(UTC))
    store.provider.online_write_batch(store.config, stored_view, [row], None)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
