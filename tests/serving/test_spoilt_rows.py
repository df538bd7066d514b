"""Rows spoilt in the store itself, on SQLite, Redis and Postgres: they count for their own user alone."""

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psycopg
import pytest
import redis

from feature_repo.online_format import entity_key, redis_key, table_name
from feature_repo.schema import pseudonym
from feature_repo.store import StoreAddress
from serving.feast_values import registry_project
from serving.history import Interaction
from serving.online_breaker import Breakers, opened_with_breakers
from serving.online_features import open_online_features
from serving.online_rows import BrokenRow, OnlineRows
from serving.settings import OnlineStoreSettings
from tests.serving.tiny_shop import AS_OF, KEY, MILK, REGULAR, fill_online_store

NEWS = [Interaction(MILK, "view", int(AS_OF.timestamp()) + 60)]
SPOILT = pseudonym("spoilt", KEY)
#: Of the Redis server that all tests share, this one is ours.
DATABASE = 12


def filled(place: StoreAddress) -> tuple[OnlineRows, str]:
    """The tiny shop's store behind breakers, with a row of one more user, and the project it is of."""
    fill_online_store(place)
    settings = OnlineStoreSettings(place.online_type, place.online_path, place.redis_url, place.postgres_url)
    online = opened_with_breakers(partial(open_online_features, settings), Breakers(), Path(place.registry_path))
    online.push(SPOILT, NEWS)
    assert online.read(SPOILT).history == tuple(NEWS)
    return online, registry_project(Path(place.registry_path))


def assert_spoilt_for_one_alone(online: OnlineRows) -> None:
    for _ in range(3):
        spoilt, regular = online.read_many([SPOILT, REGULAR])
        assert spoilt is None
        assert regular is not None
        assert len(regular.history) == 5
        with pytest.raises(BrokenRow):
            online.read(SPOILT)
        with pytest.raises(BrokenRow):
            online.push(SPOILT, NEWS)
        online.push(REGULAR, [])


def _bytes_that_are_no_time(client: redis.Redis, key: bytes) -> None:
    client.hset(key, "_ts:user_history", b"\xff\xff\xffgarbage")


def _time_that_no_calendar_has(client: redis.Redis, key: bytes) -> None:
    client.hset(key, "_ts:user_history", b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f")


def _another_kind_of_value(client: redis.Redis, key: bytes) -> None:
    client.delete(key)
    client.set(key, b"a string where the hash of a user stood")


@pytest.mark.parametrize("spoil", [_bytes_that_are_no_time, _time_that_no_calendar_has, _another_kind_of_value])
def test_a_row_spoilt_in_redis(tmp_path: Path, redis_url: str, spoil: Callable[[redis.Redis, bytes], None]):
    client = redis.Redis.from_url(f"redis://{redis_url}/{DATABASE}")
    client.flushdb()
    place = StoreAddress(str(tmp_path / "registry.db"), "redis", "", f"{redis_url},db={DATABASE}")
    online, project = filled(place)
    key = redis_key(project, entity_key("user_id", SPOILT))
    assert client.exists(key)
    spoil(client, key)
    assert_spoilt_for_one_alone(online)


@pytest.mark.parametrize("moment", ["NULL", "'infinity'", "'-infinity'"])
def test_a_row_without_a_time_in_postgres(tmp_path: Path, postgres_url: str, moment: str):
    online, project = filled(StoreAddress(str(tmp_path / "registry.db"), "postgres", "", "", postgres_url))
    table, key = table_name(project, "user_history"), entity_key("user_id", SPOILT)
    with psycopg.connect(postgres_url) as connection:
        spoilt = connection.execute(f'UPDATE "{table}" SET event_ts = {moment} WHERE entity_key = %s', [key])  # type: ignore[arg-type]
        assert spoilt.rowcount == 3
        connection.commit()
        assert_spoilt_for_one_alone(online)
        connection.execute(f'DELETE FROM "{table}" WHERE entity_key = %s', [key])  # type: ignore[arg-type]


@pytest.mark.parametrize("moment", [None, "yesterday", 2**62])
def test_a_row_without_a_time_in_sqlite(tmp_path: Path, moment: object):
    path = tmp_path / "online.db"
    online, _ = filled(StoreAddress(str(tmp_path / "registry.db"), "sqlite", str(path), ""))
    with sqlite3.connect(path) as connection:
        key = entity_key("user_id", SPOILT)
        assert connection.execute("UPDATE row_times SET event_us = ? WHERE entity_key = ?", (moment, key)).rowcount == 1
    assert_spoilt_for_one_alone(online)
