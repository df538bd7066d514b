"""Online stores that never go back in time: a row replaces another only when it is not older.

Feast's SQLite store lets an older row overwrite a newer one (feast-dev/feast#5163); its Redis store reads, then
writes, so that two writers can race, and refuses a corrected row of the same moment. Both stores here compare
(event time, created time) and write in one step. Feast loads them by the path that feature_store.yaml names.
"""

import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from feast import Entity, FeatureView, RepoConfig
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import _mmh3, compute_table_id, compute_versioned_name
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from feast.infra.online_stores.sqlite import SqliteOnlineStore, SqliteOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import ConfigDict

from feature_repo.encoded_rows import EncodedRow, newest_rows
from feature_repo.online_format import (
    CREATE_TIMES,
    CREATE_VALUES,
    REDIS_GUARDED_WRITE,
    SQLITE_GUARD,
    SQLITE_WRITE,
    redis_key,
    redis_moment,
)

#: One online row as Feast hands it over: entity key, feature values, event time, created time.
OnlineRow = tuple[EntityKey, dict[str, Value], datetime, datetime | None]
OnlineRead = tuple[datetime | None, dict[str, Value] | None]
Progress = Callable[[int], Any] | None

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A reader or writer waits this long for another process's write, then fails.
_BUSY_SECONDS = 20
# SQLite takes at most 32,766 values in one statement.
_KEYS_A_STATEMENT = 1000


class GuardedSqliteOnlineStoreConfig(SqliteOnlineStoreConfig):
    """Settings of the SQLite store: `path` of its file; settings of other stores are ignored."""

    model_config = ConfigDict(extra="ignore")
    type: Literal["feature_repo.online_store.GuardedSqliteOnlineStore"] = (
        "feature_repo.online_store.GuardedSqliteOnlineStore"
    )


class GuardedRedisOnlineStoreConfig(RedisOnlineStoreConfig):
    """Settings of the Redis store: `connection_string`, as host:port,db=0; settings of other stores are ignored."""

    model_config = ConfigDict(extra="ignore")
    type: Literal["feature_repo.online_store.GuardedRedisOnlineStore"] = (
        "feature_repo.online_store.GuardedRedisOnlineStore"
    )


class GuardedSqliteOnlineStore(SqliteOnlineStore):
    """Feast's SQLite store with a guard by event time, microseconds, a connection a thread, and a write-ahead log."""

    def __init__(self) -> None:
        self._local = threading.local()

    def _get_conn(self, config: RepoConfig) -> sqlite3.Connection:
        if not hasattr(self._local, "connection"):
            path = Path(self._get_db_path(config))
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=_BUSY_SECONDS)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(CREATE_TIMES)
            self._local.connection = connection
        connection = self._local.connection
        return connection

    def online_write_batch(
        self, config: RepoConfig, table: FeatureView, data: list[OnlineRow], progress: Progress = None
    ) -> None:
        """Write rows of one view in one transaction; a row older than the stored one is left out."""
        self.write_rows(config, table, encoded(config, data))
        if progress:
            progress(len(data))

    def write_rows(self, config: RepoConfig, table: FeatureView, rows: list[EncodedRow]) -> None:
        """Write encoded rows of one view as `online_write_batch` does."""
        connection, name = self._get_conn(config), stored_table(config, table)
        connection.execute(CREATE_VALUES.format(table=name))
        rows = newest_rows(rows)
        with connection:
            connection.execute("BEGIN IMMEDIATE")  # what is read here stays so until the rows are written
            stored = _stored_moments(connection, name, [row.key for row in rows])
            newer = [row for row in rows if row.key not in stored or row.moment >= stored[row.key]]
            connection.executemany(SQLITE_GUARD, [(name, row.key, *row.moment) for row in newer])
            cells = ((row.key, *cell) for row in newer for cell in row.values.items())
            connection.executemany(SQLITE_WRITE.format(table=name), cells)

    def event_times(self, config: RepoConfig, table: FeatureView, keys: list[bytes]) -> list[int | None]:
        """Return the event time of each key's row in microseconds since 1970; None where there is no row."""
        stored = _stored_moments(self._get_conn(config), stored_table(config, table), keys)
        return [stored[key][0] if key in stored else None for key in keys]

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[OnlineRead]:
        """Read rows of one view in the order of the keys; a view that was never written has no rows."""
        connection, name = self._get_conn(config), stored_table(config, table)
        keys = [stored_key(config, entity_key) for entity_key in entity_keys]
        asked = [feature.name for feature in table.features] if requested_features is None else requested_features
        query = (
            f'SELECT entity_key, feature_name, value, event_us FROM "{name}" JOIN row_times USING (entity_key) '
            f"WHERE feature_table = ? AND entity_key IN ({_marks(keys)}) AND feature_name IN ({_marks(asked)})"
        )
        try:
            found = connection.execute(query, (name, *keys, *asked)).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            return [(None, None)] * len(keys)
        rows: dict[bytes, dict[str, Value]] = defaultdict(dict)
        times: dict[bytes, datetime] = {}
        for key, feature, value, event_us in found:
            rows[key][feature] = Value.FromString(value)
            times[key] = EPOCH + timedelta(microseconds=event_us)
        return [(times[key], rows[key]) if key in rows else (None, None) for key in keys]

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Create the tables of the views that are kept, drop those of the others."""
        with self._get_conn(config) as connection:
            for table in tables_to_keep:
                connection.execute(CREATE_VALUES.format(table=stored_table(config, table)))
            for table in tables_to_delete:
                name = stored_table(config, table)
                connection.execute(f'DROP TABLE IF EXISTS "{name}"')
                connection.execute("DELETE FROM row_times WHERE feature_table = ?", (name,))


class GuardedRedisOnlineStore(RedisOnlineStore):
    """Feast's Redis store whose write compares and sets in one step on the server; reading is Feast's own."""

    def online_write_batch(
        self, config: RepoConfig, table: FeatureView, data: list[OnlineRow], progress: Progress = None
    ) -> None:
        """Write rows of one view; a row older than the stored one is left out, whoever else writes."""
        self.write_rows(config, table, encoded(config, data))
        if progress:
            progress(len(data))

    def write_rows(self, config: RepoConfig, table: FeatureView, rows: list[EncodedRow]) -> None:
        """Write encoded rows of one view as `online_write_batch` does."""
        client, view = self._get_client(config.online_store), _redis_view(config, table)
        guarded_hset = client.register_script(REDIS_GUARDED_WRITE)
        fields = {feature.name: _mmh3(f"{view}:{feature.name}") for feature in table.features}
        stamp = Timestamp()
        with client.pipeline(transaction=False) as pipe:
            for row in rows:
                stamp.FromMicroseconds(row.moment[0])
                content: list[Any] = [
                    f"_us:{view}",
                    redis_moment(*row.moment),
                    f"_ts:{view}",
                    stamp.SerializeToString(),
                ]
                for feature, value in row.values.items():
                    content += [fields[feature], value]
                guarded_hset(keys=[redis_key(config.project, row.key)], args=content, client=pipe)
            pipe.execute()

    def event_times(self, config: RepoConfig, table: FeatureView, keys: list[bytes]) -> list[int | None]:
        """Return the event time of each key's row in microseconds since 1970; None where there is no row."""
        client, view = self._get_client(config.online_store), _redis_view(config, table)
        with client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hget(redis_key(config.project, key), f"_us:{view}")
            found = pipe.execute()
        return [int(moment.partition(b":")[0]) if moment else None for moment in found]


def encoded(config: RepoConfig, data: list[OnlineRow]) -> list[EncodedRow]:
    """Return rows that Feast hands over as they are kept."""
    return [
        EncodedRow(
            stored_key(config, entity_key),
            (microseconds(event_time), microseconds(created_time)),
            {feature: value.SerializeToString() for feature, value in values.items()},
        )
        for entity_key, values, event_time, created_time in data
    ]


def microseconds(moment: datetime | None) -> int:
    """Return microseconds since 1970; Feast's naive times are UTC, a missing one is 0."""
    if moment is None:
        return 0
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(microseconds=1)


def stored_table(config: RepoConfig, table: FeatureView) -> str:
    """Return the name of a view's table."""
    name: str = compute_table_id(config.project, table, config.registry.enable_online_feature_view_versioning)
    return name


def stored_key(config: RepoConfig, entity_key: EntityKey) -> bytes:
    """Return an entity's serialised key."""
    version = config.entity_key_serialization_version
    return serialize_entity_key(entity_key, entity_key_serialization_version=version)


def _redis_view(config: RepoConfig, table: FeatureView) -> str:
    name: str = compute_versioned_name(table, config.registry.enable_online_feature_view_versioning)
    return name


def _stored_moments(connection: sqlite3.Connection, name: str, keys: Sequence[bytes]) -> dict[bytes, tuple[int, int]]:
    stored: dict[bytes, tuple[int, int]] = {}
    for start in range(0, len(keys), _KEYS_A_STATEMENT):
        part = keys[start : start + _KEYS_A_STATEMENT]
        query = (
            "SELECT entity_key, event_us, created_us FROM row_times "
            f"WHERE feature_table = ? AND entity_key IN ({_marks(part)})"
        )
        stored.update({key: (event, created) for key, event, created in connection.execute(query, (name, *part))})
    return stored


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
