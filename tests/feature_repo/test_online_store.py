import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from feast import FeatureStore

from feature_repo.feature_definitions import HISTORY_PUSH_SOURCE
from feature_repo.features import USER_HISTORY
from feature_repo.store import StoreAddress, apply_definitions, open_store

MOMENT = datetime(2026, 11, 2, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
FEATURES = [f"user_history:{name}" for name in USER_HISTORY.feature_names]


@pytest.fixture(params=["sqlite", "redis"])
def address(request, tmp_path: Path) -> StoreAddress:
    url = request.getfixturevalue("redis_url") if request.param == "redis" else ""
    return StoreAddress(str(tmp_path / "feast" / "registry.db"), request.param, str(tmp_path / "online.db"), url)


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


def test_removing_a_view_removes_its_rows_and_their_guard(tmp_path):
    store = open_store(StoreAddress(str(tmp_path / "registry.db"), "sqlite", str(tmp_path / "online.db"), ""))
    apply_definitions(store, str(tmp_path / "offline"))
    write(store, "u", "new", MOMENT)
    view = store.get_feature_view("user_history")
    online = store._get_provider().online_store
    online.update(store.config, [view], [], [], [], partial=True)
    online.update(store.config, [], [view], [], [], partial=True)
    write(store, "u", "older but alone", MOMENT - timedelta(days=1))
    assert read(store, "u") == [["older but alone"]]
