"""A store that fails is left alone for a moment: its reads for reads, its writes for writes."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import redis

from feature_repo.store import StoreAddress
from serving.history import Interaction
from serving.online_breaker import Breakers, opened_with_breakers
from serving.online_features import open_online_features
from serving.online_rows import OnlineRows, OnlineStoreUnavailable
from serving.settings import OnlineStoreSettings
from tests.serving.tiny_shop import AS_OF, COFFEE, REGULAR, fill_online_store

#: Of the Redis server that all tests share, this one is ours.
DATABASE = 11
NEWS = [Interaction(COFFEE, "view", int(AS_OF.timestamp()) + 60)]


@pytest.fixture
def read_only_user(redis_url: str) -> Iterator[str]:
    """The shared Redis as a user of it who may read and not write."""
    client = redis.Redis.from_url(f"redis://{redis_url}/{DATABASE}")
    client.acl_setuser("reader", enabled=True, nopass=True, keys=["*"], commands=["+@read", "+select", "+client"])
    yield f'{redis_url},db={DATABASE},username="reader",password="any"'
    client.acl_deluser("reader")


def opened(address: str, registry: Path) -> OnlineRows:
    open_online = partial(open_online_features, OnlineStoreSettings("redis", "", address))
    return opened_with_breakers(open_online, Breakers(), registry)


def test_a_store_that_refuses_writes_alone_is_read_as_before(redis_url: str, read_only_user: str, tmp_path: Path):
    registry = tmp_path / "registry.db"
    fill_online_store(StoreAddress(str(registry), "redis", "", f"{redis_url},db={DATABASE}"))
    online = opened(read_only_user, registry)
    before = online.read(REGULAR)
    assert len(before.history) == 5
    with pytest.raises(OnlineStoreUnavailable, match="cannot write"):
        online.push(REGULAR, NEWS)
    with pytest.raises(OnlineStoreUnavailable, match="left alone"):
        online.push(REGULAR, NEWS)
    assert online.read(REGULAR) == before


def test_a_store_that_cannot_be_read_is_left_alone_by_readers(redis_url: str, tmp_path: Path):
    registry = tmp_path / "registry.db"
    fill_online_store(StoreAddress(str(registry), "redis", "", f"{redis_url},db={DATABASE}"))
    online = opened("127.0.0.1:9", registry)
    for words in ("cannot read", "left alone"):
        with pytest.raises(OnlineStoreUnavailable, match=words):
            online.read(REGULAR)
