import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from feast import FeatureStore, RepoConfig
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_repo.feature_definitions import HISTORY_PUSH_SOURCE
from feature_repo.features import USER_HISTORY
from feature_repo.store import StoreAddress, apply_definitions, open_store

MOMENT = datetime(2026, 11, 2, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
FEATURES = [f"user_history:{name}" for name in USER_HISTORY.feature_names]


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def address(request, tmp_path: Path) -> StoreAddress:
    urls = {name: request.getfixturevalue(f"{name}_url") for name in ("redis", "postgres") if name == request.param}
    paths = str(tmp_path / "feast" / "registry.db"), request.param, str(tmp_path / "online.db")
    return StoreAddress(*paths, urls.get("redis", ""), urls.get("postgres", ""))


@pytest.fixture
def store(address: StoreAddress, tmp_path: Path) -> FeatureStore:
    opened = open_store(address)
    apply_definitions(opened, str(tmp_path / "offline"))
    return opened


def write(store: FeatureStore, user: str, item: str, event_time: datetime, created: datetime = MOMENT) -> None:
    store.write_to_online_store(
        "user_history",
        inputs={
            "user_id": [user],
            "history_item_ids": [[item]],
            "history_event_types": [["view"]],
            "history_event_times": [[event_time]],
            "event_timestamp": [event_time],
            "created_timestamp": [created],
        },
    )


def read(store: FeatureStore, *users: str) -> list[list[str] | None]:
    rows = [{"user_id": user} for user in users]
    return store.get_online_features(features=FEATURES, entity_rows=rows).to_dict()["history_item_ids"]


def name(request: pytest.FixtureRequest, user: str) -> str:
    """Redis outlives a test, so a user is a test's own."""
    return f"{request.node.name} {user}"


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1), (1, 3, 0, 2)])
def test_the_newest_row_stays_whatever_the_order_of_pushes(request, store, order):
    user = name(request, "u")
    for number in order:
        write(store, user, f"item {number}", MOMENT + number * MICROSECOND)
    assert read(store, user) == [["item 3"]]


@given(
    orders=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), min_size=1, max_size=12), batch=st.integers(1, 4)
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pushes_in_any_order_and_in_batches_of_any_size_end_in_the_newest_row(request, store, orders, batch):
    user = name(request, f"u {orders} {batch}")
    for start in range(0, len(orders), batch):
        part = orders[start : start + batch]
        moments = [MOMENT + event * MICROSECOND for event, _ in part]
        store.write_to_online_store(
            "user_history",
            inputs={
                "user_id": [user] * len(part),
                "history_item_ids": [[str(pushed)] for pushed in part],
                "history_event_types": [["view"]] * len(part),
                "history_event_times": [[moment] for moment in moments],
                "event_timestamp": moments,
                "created_timestamp": [MOMENT + created * MICROSECOND for _, created in part],
            },
        )
    assert read(store, user) == [[str(max(orders))]]


def test_one_batch_with_several_rows_of_a_user_keeps_the_newest(request, store):
    user = name(request, "u")
    moments = [MOMENT + n * MICROSECOND for n in (1, 3, 2)]
    store.write_to_online_store(
        "user_history",
        inputs={
            "user_id": [user] * 3,
            "history_item_ids": [["1"], ["3"], ["2"]],
            "history_event_types": [["view"]] * 3,
            "history_event_times": [[moment] for moment in moments],
            "event_timestamp": moments,
            "created_timestamp": [MOMENT] * 3,
        },
    )
    assert read(store, user) == [["3"]]


def test_a_corrected_row_of_the_same_moment_replaces_an_earlier_one_only(request, store):
    user = name(request, "u")
    write(store, user, "first", MOMENT, created=MOMENT)
    write(store, user, "corrected", MOMENT, created=MOMENT + MICROSECOND)
    write(store, user, "outdated", MOMENT, created=MOMENT - MICROSECOND)
    assert read(store, user) == [["corrected"]]


def test_writers_that_race_leave_the_newest_row(request, address, store, tmp_path):
    users = [name(request, f"u{n}") for n in range(5)]

    def write_some(numbers: range) -> None:
        mine = open_store(address)
        for number in numbers:
            for user in users:
                write(mine, user, f"item {number}", MOMENT + number * MICROSECOND)

    threads = [threading.Thread(target=write_some, args=(range(start, 24, 3),)) for start in (2, 1, 0)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert read(store, *users) == [["item 23"]] * 5


def test_an_unknown_user_reads_as_none_and_an_empty_history_as_an_empty_list(request, store):
    user = name(request, "u")
    inputs = {feature: [[]] for feature in USER_HISTORY.feature_names}
    times = {"event_timestamp": [MOMENT], "created_timestamp": [MOMENT]}
    store.write_to_online_store("user_history", inputs={"user_id": [user], **inputs, **times})
    assert read(store, user, name(request, "nobody")) == [[], None]


def test_a_push_goes_to_the_history(request, store):
    user = name(request, "u")
    write(store, user, "old", MOMENT)
    fresh = store.get_feature_view("user_history")
    assert fresh.stream_source is not None
    assert fresh.stream_source.name == HISTORY_PUSH_SOURCE


def test_the_read_time_is_the_event_time_in_any_time_zone(request, store, monkeypatch):
    user = name(request, "u")
    write(store, user, "item", MOMENT)
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        answer = store.get_online_features(features=FEATURES, entity_rows=[{"user_id": user}])
        assert answer.to_dict(include_event_timestamps=True)["history_item_ids__ts"] == [int(MOMENT.timestamp())]
        write(store, user, "older", MOMENT - timedelta(hours=1))
        assert read(store, user) == [["item"]]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_store_without_tables_knows_nobody(tmp_path):
    registry = tmp_path / "registry.db"
    first = open_store(StoreAddress(str(registry), "sqlite", str(tmp_path / "one.db"), ""))
    apply_definitions(first, str(tmp_path / "offline"))
    elsewhere = open_store(StoreAddress(str(registry), "sqlite", str(tmp_path / "new folder" / "two.db"), ""))
    assert read(elsewhere, "u") == [None]


def test_a_postgres_without_tables_knows_nobody_and_takes_the_first_row(tmp_path, postgres_url):
    registry = tmp_path / "registry.db"
    first = open_store(StoreAddress(str(registry), "sqlite", str(tmp_path / "one.db"), ""))
    apply_definitions(first, str(tmp_path / "offline"))
    elsewhere = open_store(StoreAddress(str(registry), "postgres", "", "", postgres_url))
    assert read(elsewhere, "u") == [None]
    write(elsewhere, "u", "first", MOMENT)
    assert read(elsewhere, "u") == [["first"]]


def test_feasts_own_postgres_store_reads_our_rows_and_ours_reads_its(tmp_path, postgres_url):
    ours = open_store(StoreAddress(str(tmp_path / "registry.db"), "postgres", "", "", postgres_url))
    apply_definitions(ours, str(tmp_path / "offline"))
    parts = urlsplit(postgres_url)
    place = {"host": parts.hostname, "port": parts.port, "database": parts.path[1:], "user": "aisle", "password": ""}
    config = RepoConfig(
        project=ours.config.project,
        provider="local",
        registry=str(tmp_path / "registry.db"),
        offline_store={"type": "duckdb"},
        online_store={"type": "postgres", "sslmode": "disable", **place},
        entity_key_serialization_version=ours.config.entity_key_serialization_version,
    )
    theirs = FeatureStore(config=config)
    write(ours, "from ours", "item 1", MOMENT)
    write(theirs, "from theirs", "item 2", MOMENT)
    assert read(theirs, "from ours", "from theirs", "nobody") == [["item 1"], ["item 2"], None]
    assert read(ours, "from ours", "from theirs", "nobody") == [["item 1"], ["item 2"], None]
    write(ours, "from theirs", "older", MOMENT - MICROSECOND)
    assert read(ours, "from theirs") == [["item 2"]]


@pytest.mark.parametrize("online_type", ["sqlite", "postgres"])
def test_removing_a_view_removes_its_rows_and_their_guard(request, tmp_path, online_type):
    url = request.getfixturevalue("postgres_url") if online_type == "postgres" else ""
    store = open_store(StoreAddress(str(tmp_path / "registry.db"), online_type, str(tmp_path / "online.db"), "", url))
    apply_definitions(store, str(tmp_path / "offline"))
    write(store, "u", "new", MOMENT)
    view = store.get_feature_view("user_history")
    online = store._get_provider().online_store
    online.update(store.config, [view], [], [], [], partial=True)
    online.update(store.config, [], [view], [], [], partial=True)
    write(store, "u", "older but alone", MOMENT - timedelta(days=1))
    assert read(store, "u") == [["older but alone"]]
