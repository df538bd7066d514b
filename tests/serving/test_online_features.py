"""User rows through Feast, on SQLite and on a real Redis: read by name, changed by events, never back in time."""

import threading
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import redis

from feature_repo.features import HISTORY_LENGTH, USER_HISTORY
from feature_repo.schema import pseudonym
from feature_repo.store import StoreAddress, open_store
from serving.history import Habit, Interaction, UserRow
from serving.online_features import open_online_features
from serving.online_rows import OnlineRows, OnlineStoreUnavailable
from serving.settings import OnlineStoreSettings
from tests.serving.tiny_shop import AS_OF, BREAD, COFFEE, KEY, MILK, REGULAR, fill_online_store

NOW = int(AS_OF.timestamp())
DAY = 86_400
#: Of the Redis server that all tests share, this one is ours.
DATABASE = 9


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> StoreAddress:
    redis_url = ""
    postgres_url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    if request.param == "redis":
        host_and_port = request.getfixturevalue("redis_url")
        redis.Redis.from_url(f"redis://{host_and_port}/{DATABASE}").flushdb()
        redis_url = f"{host_and_port},db={DATABASE}"
    paths = str(tmp_path / "registry.db"), request.param, str(tmp_path / "online.db")
    return StoreAddress(*paths, redis_url, postgres_url)


@pytest.fixture
def online(address: StoreAddress) -> OnlineRows:
    fill_online_store(address)
    return opened(address)


def opened(address: StoreAddress) -> OnlineRows:
    settings = OnlineStoreSettings(address.online_type, address.online_path, address.redis_url, address.postgres_url)
    return open_online_features(settings, Path(address.registry_path))


def someone(name: str) -> str:
    return pseudonym(name, KEY)


def test_a_row_written_through_feast_is_read_as_it_was_meant(online: OnlineRows):
    row = online.read(REGULAR)
    assert row.history[0] == Interaction(MILK, "purchase", NOW - 40 * DAY)
    assert [entry.item_id for entry in row.history] == [MILK, BREAD, MILK, COFFEE, MILK]
    assert row.habits == (
        Habit(MILK, 3.0, NOW - 5 * DAY),
        Habit(COFFEE, 1.0, NOW - 10 * DAY),
        Habit(BREAD, 1.0, NOW - 30 * DAY),
    )
    assert row.history_stored_at == NOW * 1_000_000


def test_an_unknown_user_has_an_empty_row(online: OnlineRows, request: pytest.FixtureRequest):
    assert online.read(someone(request.node.name)) == UserRow()


def test_a_pushed_event_is_in_the_next_row_and_the_pushed_row_is_the_stored_one(
    online: OnlineRows, request: pytest.FixtureRequest
):
    user = someone(request.node.name)
    pushed = online.push(user, [Interaction(MILK, "purchase", NOW + 5), Interaction(COFFEE, "view", NOW + 9)])
    stored = online.read(user)
    assert (stored.history, stored.habits) == (pushed.history, pushed.habits)
    assert stored.history == (Interaction(MILK, "purchase", NOW + 5), Interaction(COFFEE, "view", NOW + 9))
    assert stored.habits == (Habit(MILK, 1.0, NOW + 5),)


def test_two_events_of_one_second_are_both_kept(online: OnlineRows, request: pytest.FixtureRequest):
    user = someone(request.node.name)
    online.push(user, [Interaction(MILK, "view", NOW)])
    online.push(user, [Interaction(BREAD, "view", NOW)])
    assert [entry.item_id for entry in online.read(user).history] == [MILK, BREAD]


def test_an_older_event_takes_its_place_and_the_row_does_not_go_back_in_time(online: OnlineRows):
    before = online.read(REGULAR)
    online.push(REGULAR, [Interaction(BREAD, "view", NOW - 7 * DAY)])
    after = online.read(REGULAR)
    assert [entry.item_id for entry in after.history] == [MILK, BREAD, MILK, COFFEE, BREAD, MILK]
    assert after.history_stored_at > before.history_stored_at


def test_a_batch_row_older_than_the_pushed_one_does_not_replace_it(address: StoreAddress, online: OnlineRows):
    online.push(REGULAR, [Interaction(COFFEE, "like", NOW + 3600)])
    lists = {name: [[]] for name in USER_HISTORY.feature_names}
    late = {"user_id": [REGULAR], "event_timestamp": [AS_OF + timedelta(minutes=5)], "created_timestamp": [AS_OF]}
    open_store(address).write_to_online_store("user_history", inputs={**late, **lists})
    assert online.read(REGULAR).history[-1] == Interaction(COFFEE, "like", NOW + 3600)


def test_pushes_side_by_side_lose_nothing(online: OnlineRows, request: pytest.FixtureRequest):
    user = someone(request.node.name)
    threads = [
        threading.Thread(target=online.push, args=(user, [Interaction(MILK, "view", NOW + second)]))
        for second in range(24)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [entry.event_time for entry in online.read(user).history] == [NOW + second for second in range(24)]


def test_reads_beside_a_batch_of_writes_never_fail(address: StoreAddress, online: OnlineRows):
    store = open_store(address)
    users = [someone(f"batch {number}") for number in range(200)]
    lists = {name: [[]] * len(users) for name in USER_HISTORY.feature_names}
    moments = {"event_timestamp": [AS_OF] * len(users), "created_timestamp": [AS_OF] * len(users)}
    batch = {"user_id": users, **lists, **moments}
    writing = threading.Thread(
        target=lambda: [store.write_to_online_store("user_history", inputs=batch) for _ in range(5)]
    )
    writing.start()
    reads = 0
    while writing.is_alive():
        assert online.read(REGULAR).history[-1].item_id == MILK
        reads += 1
    writing.join()
    assert reads > 10


def test_a_history_never_grows_beyond_its_length(online: OnlineRows, request: pytest.FixtureRequest):
    user = someone(request.node.name)
    online.push(user, [Interaction(MILK, "view", NOW + second) for second in range(HISTORY_LENGTH + 7)])
    history = online.read(user).history
    assert (len(history), history[0].event_time) == (HISTORY_LENGTH, NOW + 7)


def test_a_store_that_was_never_filled_reads_as_unknown(address: StoreAddress, tmp_path: Path):
    fill_online_store(address)
    empty = OnlineStoreSettings("sqlite", str(tmp_path / "never" / "filled.db"), "")
    assert open_online_features(empty, Path(address.registry_path)).read(REGULAR) == UserRow()


def test_a_broken_row_is_missing_and_its_neighbours_are_read(address: StoreAddress, online: OnlineRows):
    broken = someone("broken row")
    uneven = {name: [[]] for name in USER_HISTORY.feature_names} | {"history_item_ids": [[MILK]]}
    moments = {"event_timestamp": [AS_OF], "created_timestamp": [AS_OF]}
    open_store(address).write_to_online_store("user_history", inputs={"user_id": [broken], **uneven, **moments})
    timeless = someone("row of no time")
    online.push(timeless, [Interaction(MILK, "view", 2**34)])
    first, second, third = online.read_many([broken, REGULAR, timeless])
    assert (first, third) == (None, None)
    assert second == online.read(REGULAR)
    with pytest.raises(OnlineStoreUnavailable, match="fit together"):
        online.read(broken)


def test_a_connection_that_postgres_cut_is_opened_anew(tmp_path: Path, postgres_url: str):
    place = StoreAddress(str(tmp_path / "registry.db"), "postgres", "", "", postgres_url)
    fill_online_store(place)
    online = opened(place)
    before = online.read(REGULAR)
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    assert online.read(REGULAR) == before


def test_a_store_that_is_gone_or_broken_says_so(address: StoreAddress, tmp_path: Path):
    fill_online_store(address)
    (tmp_path / "garbage.db").write_bytes(b"this is no database" * 100)
    for broken in (
        OnlineStoreSettings("sqlite", str(tmp_path / "garbage.db"), ""),
        OnlineStoreSettings("redis", "", "127.0.0.1:9"),
        OnlineStoreSettings("postgres", "", "", "postgresql://127.0.0.1:9/gone"),
    ):
        rows = open_online_features(broken, Path(address.registry_path))
        with pytest.raises(OnlineStoreUnavailable):
            rows.read(REGULAR)
        with pytest.raises(OnlineStoreUnavailable):
            rows.push(REGULAR, [Interaction(MILK, "view", NOW)])
    (tmp_path / "registry.db").write_bytes(b"no registry")
    with pytest.raises(OnlineStoreUnavailable):
        opened(address)
