"""Feast's Postgres online store that never goes back in time: its tables and its reading, our write.

Feast's own write lets an older row overwrite a newer one, and puts times without a zone into the session's zone.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Literal

import psycopg
from feast import Entity, FeatureView, RepoConfig
from feast.infra.online_stores.postgres_online_store.postgres import PostgreSQLOnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.repo_config import FeastConfigBaseModel
from pydantic import ConfigDict, StrictStr

from feature_repo.encoded_rows import EncodedRow, newest_rows
from feature_repo.online_format import POSTGRES_CREATE, POSTGRES_WRITE
from feature_repo.online_store import (
    EPOCH,
    OnlineRead,
    OnlineRow,
    Progress,
    encoded,
    microseconds,
    stored_table,
)

#: Seconds that a connection is waited for.
_PATIENCE = 10
#: Creating a table is no single step in Postgres: those who create one of ours take turns under this number.
_CREATING = 7_301_667
#: A row's oldest value: it is as old as that.
_EVENT_TIMES = 'SELECT entity_key, min(event_ts) FROM "{table}" WHERE entity_key = ANY(%s) GROUP BY entity_key'


class GuardedPostgresOnlineStoreConfig(FeastConfigBaseModel):
    """Settings of the Postgres store: `postgres_url`, postgresql://user:password@host:5432/database (any form that
    libpq takes); settings of other stores are ignored.
    """

    model_config = ConfigDict(extra="ignore")
    type: Literal["feature_repo.postgres_store.GuardedPostgresOnlineStore"] = (
        "feature_repo.postgres_store.GuardedPostgresOnlineStore"
    )
    postgres_url: StrictStr
    #: Views are read one by one, so that one that was never written has no rows and the others do.
    max_batched_result_rows: int = 0


class GuardedPostgresOnlineStore(PostgreSQLOnlineStore):
    """Feast's Postgres store with a guard by event time, and a connection a thread."""

    def __init__(self) -> None:
        self._local = threading.local()

    @contextlib.contextmanager
    def _get_conn(self, config: RepoConfig, autocommit: bool = False) -> Iterator[psycopg.Connection]:
        connection = getattr(self._local, "connection", None)
        if connection is None or connection.closed:
            url = config.online_store.postgres_url
            connection = psycopg.connect(url, connect_timeout=_PATIENCE, options="-c TimeZone=UTC", autocommit=True)
            self._local.connection = connection
        yield connection

    def online_write_batch(
        self, config: RepoConfig, table: FeatureView, data: list[OnlineRow], progress: Progress = None
    ) -> None:
        """Write rows of one view in one statement; a row older than the stored one is left out."""
        self.write_rows(config, table, encoded(config, data))
        if progress:
            progress(len(data))

    def write_rows(self, config: RepoConfig, table: FeatureView, rows: list[EncodedRow]) -> None:
        """Write encoded rows of one view as `online_write_batch` does."""
        with self._get_conn(config) as connection:
            name = stored_table(config, table)
            _create(connection, name)
            connection.execute(POSTGRES_WRITE.format(table=name), _columns(newest_rows(rows)))

    def event_times(self, config: RepoConfig, table: FeatureView, keys: list[bytes]) -> list[int | None]:
        """Return the event time of each key's row in microseconds since 1970; None where there is no row."""
        with self._get_conn(config) as connection:
            found = dict(connection.execute(_EVENT_TIMES.format(table=stored_table(config, table)), (keys,)).fetchall())
        return [microseconds(found[key]) if key in found else None for key in keys]

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[OnlineRead]:
        """Read rows of one view in the order of the keys; a view that was never written has no rows."""
        try:
            found: list[OnlineRead] = super().online_read(config, table, entity_keys, requested_features)
        except psycopg.errors.UndefinedTable:
            return [(None, None)] * len(entity_keys)
        return found

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
                _create(connection, stored_table(config, table))
            for table in tables_to_delete:
                connection.execute(f'DROP TABLE IF EXISTS "{stored_table(config, table)}"')

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        """Drop the tables of these views."""
        self.update(config, tables, [], entities, [], partial=False)


def _create(connection: psycopg.Connection, table: str) -> None:
    found = connection.execute("SELECT to_regclass(%s)", (f'"{table}"',)).fetchone()
    if found == (None,):
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_CREATING,))
            connection.execute(POSTGRES_CREATE.format(table=table))


def _columns(rows: list[EncodedRow]) -> list[list[Any]]:
    """The statement's five arrays."""
    columns: list[list[Any]] = [[], [], [], [], []]
    for row in rows:
        times = [EPOCH + timedelta(microseconds=each) for each in row.moment]
        for feature, value in sorted(row.values.items()):
            for column, cell in zip(columns, (row.key, feature, value, *times), strict=True):
                column.append(cell)
    return columns
