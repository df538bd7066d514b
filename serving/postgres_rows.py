"""Rows of the Postgres online store, read and written with psycopg alone: Feast's tables, our guard."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import psycopg

from feature_repo.features import FeatureView
from feature_repo.online_format import POSTGRES_CREATE, POSTGRES_WRITE, entity_key, table_name
from serving.row_store import RowStore, StoredUser, StoredView, WrittenRow

#: A shopper does not wait for a Postgres that is gone: seconds to connect (libpq's least), milliseconds to answer.
CONNECT_PATIENCE = 2
ANSWER_PATIENCE = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: Null where there is no time, and where there is one that Python has no value for.
_MOMENT = "CASE WHEN event_ts BETWEEN '1700-01-01' AND '2240-01-01' THEN event_ts END"
Answer = TypeVar("Answer")


def postgres_store(url: str, project: str, views: Sequence[FeatureView]) -> RowStore:
    """Open the Postgres online store of a Feast project for these views of one entity; nothing is read yet.

    `url`: any form that libpq takes. A connection that broke between two requests is opened anew.
    """
    local = threading.local()
    tables = [table_name(project, view.name) for view in views]

    def ask(question: Callable[[psycopg.Connection], Answer]) -> Answer:
        opened: psycopg.Connection | None = getattr(local, "connection", None)
        if opened is not None and not opened.closed:
            try:
                return question(opened)
            except psycopg.OperationalError:
                if not opened.closed:
                    raise
        local.connection = _connect(url)
        return question(local.connection)

    def read(users: Sequence[str]) -> list[StoredUser | None]:
        keys = [entity_key(views[0].key, user) for user in users]
        found, timeless = ask(lambda connection: _read(connection, tables, keys))
        return [
            None if key in timeless else tuple(found.get((place, key)) for place in range(len(tables))) for key in keys
        ]

    def write(row: WrittenRow) -> None:
        table, values = table_name(project, row.view.name), sorted(row.values.items())
        moments = [[_EPOCH + moment * _MICROSECOND] * len(values) for moment in (row.event_us, row.created_us)]
        keys = [entity_key(row.view.key, row.user)] * len(values)
        columns: list[list[Any]] = [keys, [feature for feature, _ in values], [value for _, value in values], *moments]
        ask(lambda connection: _write(connection, table, columns))

    return RowStore(read, write, waits=True)


def _connect(url: str) -> psycopg.Connection:
    return psycopg.connect(
        url,
        autocommit=True,
        connect_timeout=CONNECT_PATIENCE,
        tcp_user_timeout=ANSWER_PATIENCE,
        # A machine that is gone after it took the question is noticed in seconds; the system would wait two hours.
        keepalives_idle=2,
        keepalives_interval=1,
        keepalives_count=3,
        options=f"-c statement_timeout={ANSWER_PATIENCE}",
    )


def _read(
    connection: psycopg.Connection, tables: Sequence[str], keys: Sequence[bytes]
) -> tuple[dict[tuple[int, bytes], StoredView], set[bytes]]:
    """The rows of all tables by (place of the table, key), in one question, and the keys of those without a time.

    A table that is not there has no rows.
    """
    try:
        rows = _rows(connection, list(enumerate(tables)), keys)
    except psycopg.errors.UndefinedTable:
        asked = connection.execute(
            "SELECT t, to_regclass(quote_ident(t)) IS NOT NULL FROM unnest(%s) t", [list(tables)]
        )
        there = {table for table, is_there in asked.fetchall() if is_there}
        rows = _rows(connection, [(place, table) for place, table in enumerate(tables) if table in there], keys)
    found: dict[tuple[int, bytes], StoredView] = {}
    timeless = {key for _, key, _, _, moment in rows if moment is None}
    for place, key, feature, value, moment in rows:
        if key in timeless:
            continue
        view = found.setdefault((place, key), StoredView({}, (moment - _EPOCH) // _MICROSECOND))
        view.values[feature] = value
    return found, timeless


def _rows(connection: psycopg.Connection, places: Sequence[tuple[int, str]], keys: Sequence[bytes]) -> list[Any]:
    if not places:
        return []
    query = " UNION ALL ".join(
        f'SELECT {place}, entity_key, feature_name, value, {_MOMENT} FROM "{table}" WHERE entity_key = ANY(%(keys)s)'
        for place, table in places
    )
    with connection.cursor(binary=True) as cursor:
        return cursor.execute(query, {"keys": list(keys)}).fetchall()


def _write(connection: psycopg.Connection, table: str, columns: Sequence[list[Any]]) -> None:
    write = POSTGRES_WRITE.format(table=table)
    try:
        connection.execute(write, columns)
    except psycopg.errors.UndefinedTable:
        connection.execute(POSTGRES_CREATE.format(table=table))
        connection.execute(write, columns)
