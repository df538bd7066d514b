"""Rows as the online store keeps them, in SQLite, Redis or Postgres (postgres_rows.py).

Feast writes the same rows through feature_repo/online_store.py; feature_repo/online_format.py is the form of both.
"""

import json
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import mmh3
import redis

from feature_repo.features import FeatureView
from feature_repo.online_format import (
    CREATE_TIMES,
    CREATE_VALUES,
    REDIS_GUARDED_WRITE,
    SQLITE_GUARD,
    SQLITE_WRITE,
    entity_key,
    redis_key,
    redis_moment,
    table_name,
)
from serving.feast_values import read_timestamp, write_timestamp
from serving.postgres_rows import postgres_store
from serving.row_store import RowStore, StoredUser, StoredView, WrittenRow
from serving.settings import OnlineStoreSettings

#: Seconds that a reader or writer waits for SQLite; readers do not wait for writers, writers for each other. A shopper
#: waits for what is written here, while materialise holds the lock for some milliseconds at a time.
SQLITE_PATIENCE = 1.0
#: One row a user and view: SQLite hands over to other threads at each row.
SQLITE_READ = (
    "SELECT entity_key, event_us, {values} FROM row_times AS t "
    "WHERE feature_table = '{table}' AND entity_key IN ({marks})"
)
SQLITE_VALUE = "(SELECT value FROM \"{table}\" WHERE entity_key = t.entity_key AND feature_name = '{name}')"
#: A shopper does not wait for a Redis that is gone; AISLE_REDIS_URL may say otherwise, as host:port,socket_timeout=2.
REDIS_PATIENCE = {"socket_connect_timeout": 0.5, "socket_timeout": 1.0, "retry": None}


def open_row_store(settings: OnlineStoreSettings, project: str, views: Sequence[FeatureView]) -> RowStore:
    """Open the online store of a Feast project for these views of one entity; nothing is read yet."""
    if settings.online_type == "redis":
        return _redis_store(settings.redis_url, project, views)
    if settings.online_type == "postgres":
        return postgres_store(settings.postgres_url, project, views)
    return _sqlite_store(settings.online_path, project, views)


def _sqlite_store(path: str, project: str, views: Sequence[FeatureView]) -> RowStore:
    local = threading.local()
    tables = {table_name(project, view.name): view.feature_names for view in views}
    queries = cache(partial(_sqlite_query, tables))

    def connection() -> sqlite3.Connection:
        if not hasattr(local, "connection"):
            local.connection = _open_sqlite(Path(path))
        opened: sqlite3.Connection = local.connection
        return opened

    def read(users: Sequence[str]) -> list[StoredUser | None]:
        own = connection()
        if not users:
            return []
        keys = [entity_key(views[0].key, user) for user in users]
        # Marks are a power of two, so that few statements are prepared.
        places = 1 << (len(keys) - 1).bit_length()
        asked = [*keys, *[keys[-1]] * (places - len(keys))]
        found = [_sqlite_views(own, queries(table, places), names, asked) for table, names in tables.items()]
        return [tuple(rows.get(key) for rows in found) for key in keys]

    def write(row: WrittenRow) -> None:
        own = connection()
        table, key = table_name(project, row.view.name), entity_key(row.view.key, row.user)
        own.execute(CREATE_VALUES.format(table=table))
        with own:
            if own.execute(SQLITE_GUARD, (table, key, row.event_us, row.created_us)).rowcount:
                rows = [(key, feature, value) for feature, value in row.values.items()]
                own.executemany(SQLITE_WRITE.format(table=table), rows)

    return RowStore(read, write, waits=False)


def _open_sqlite(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=SQLITE_PATIENCE)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(CREATE_TIMES)
    return connection


def _sqlite_query(tables: Mapping[str, Sequence[str]], table: str, places: int) -> str:
    values = ", ".join(SQLITE_VALUE.format(table=table, name=name) for name in tables[table])
    return SQLITE_READ.format(table=table, values=values, marks=",".join("?" * places))


def _sqlite_views(
    connection: sqlite3.Connection, query: str, names: Sequence[str], keys: Sequence[bytes]
) -> dict[bytes, StoredView]:
    """Return the rows of one view by key, in one statement."""
    views = dict[bytes, StoredView]()
    try:
        for key, event_us, *values in connection.execute(query, keys):
            kept = {name: value for name, value in zip(names, values, strict=True) if value is not None}
            if kept:
                views[key] = StoredView(kept, event_us)
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):  # else a view that was never written
            raise
    return views


def _redis_store(address: str, project: str, views: Sequence[FeatureView]) -> RowStore:
    client = _redis_client(address)
    guarded_write = client.register_script(REDIS_GUARDED_WRITE)
    fields = [_redis_fields(view) for view in views]
    asked = [field for of_view in fields for field in of_view]

    def read(users: Sequence[str]) -> list[StoredUser | None]:
        with client.pipeline(transaction=False) as pipe:
            for user in users:
                pipe.hmget(redis_key(project, entity_key(views[0].key, user)), asked)  # type: ignore[arg-type]
            answers = pipe.execute(raise_on_error=False)
        return [_redis_user(views, answer) for answer in answers]

    def write(row: WrittenRow) -> None:
        name, moment = row.view.name, redis_moment(row.event_us, row.created_us)
        content: list[Any] = [f"_us:{name}", moment, f"_ts:{name}", write_timestamp(row.event_us)]
        for feature, value in row.values.items():
            content += [_redis_field(name, feature), value]
        guarded_write(keys=[redis_key(project, entity_key(row.view.key, row.user))], args=content)

    return RowStore(read, write, waits=True)


def _redis_client(address: str) -> redis.Redis:
    parts = address.split(",")
    host, _, port = next(part for part in parts if "=" not in part).partition(":")
    options = dict(REDIS_PATIENCE)
    for name, _, text in (part.partition("=") for part in parts if "=" in part):
        try:
            options[name] = json.loads(text)
        except ValueError:
            options[name] = text  # type: ignore[assignment]  # a password, say
    return redis.Redis(host=host, port=int(port or 6379), **options)  # type: ignore[arg-type]


def _redis_fields(view: FeatureView) -> list[bytes]:
    return [f"_ts:{view.name}".encode(), *(_redis_field(view.name, feature) for feature in view.feature_names)]


def _redis_field(view: str, feature: str) -> bytes:
    return mmh3.hash(f"{view}:{feature}", signed=False).to_bytes(4, "little")


def _redis_user(views: Sequence[FeatureView], answer: Any) -> StoredUser | None:
    """Return what one key holds, None where it is no user's row. Raises the error of a store that does not answer."""
    if isinstance(answer, Exception):
        if str(answer).startswith("WRONGTYPE"):
            return None
        raise answer
    rows: list[StoredView | None] = []
    fields = iter(answer)
    for view in views:
        moment = next(fields)
        values = {name: value for name in view.feature_names if (value := next(fields)) is not None}
        try:
            rows.append(StoredView(values, read_timestamp(moment or b"")) if values else None)
        except ValueError:
            return None
    return tuple(rows)
