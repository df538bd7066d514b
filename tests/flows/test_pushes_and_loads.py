"""What shoppers do while a load of the online store is made stays online; who left the lake does not."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from feature_repo.features import USER_HABITS, USER_HISTORY
from flows.feature_moments import serving_moment
from flows.feature_source import event_span
from flows.feature_store import feature_store
from flows.feature_tables import build_tables
from flows.lake import Window, write_window
from flows.online_rows import load_view, loaded_views
from flows.settings import Settings
from serving.history import Interaction
from serving.online_features import open_online_features
from serving.online_rows import OnlineRows
from serving.settings import OnlineStoreSettings
from tests.conftest import settings_in
from tests.flows.feature_lake import START, fill_items, made_event, table_of, write_events

VIEWS = (USER_HISTORY.name, USER_HABITS.name)
#: A minute of a live shop.
MINUTE = START + timedelta(days=3)


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Two users' views of half an hour ago, loaded."""
    mine = settings_in(tmp_path / "home")
    url = f"{request.getfixturevalue('redis_url')},db=4" if request.param == "redis" else ""
    place = replace(
        mine.feature_store,
        online_type=request.param,
        redis_url=url,
        postgres_url=request.getfixturevalue("postgres_url") if request.param == "postgres" else "",
    )
    mine = replace(mine, feature_store=place)
    fill_items(mine)
    early = MINUTE - timedelta(minutes=30)
    write_events(mine, "a", [made_event(1, 1, early, "view", 1), made_event(2, 2, early, "view", 2)])
    load_newest(mine)
    yield mine
    store = feature_store(mine)
    if request.param == "redis":
        store._get_provider().online_store._get_client(store.config.online_store).flushdb()
    if request.param == "postgres":
        views = [store.get_feature_view(view) for view in VIEWS]
        store._get_provider().online_store.update(store.config, views, [], [], [], partial=True)


def load_newest(settings: Settings) -> datetime:
    """Build what the lake has, as of just after its newest event, and load it."""
    newest = event_span(settings)[1]
    moment = serving_moment(newest, now=newest + timedelta(minutes=2))
    build_tables(settings, dict.fromkeys(VIEWS, (moment,)))
    for view in VIEWS:
        load_view(settings, view, moment)
    return moment


def online_rows(settings: Settings) -> OnlineRows:
    place = settings.feature_store
    address = OnlineStoreSettings(place.online_type, place.online_path, place.redis_url, place.postgres_url)
    return open_online_features(address, Path(place.registry_path))


def push(settings: Settings, user: int, item: int, kind: str, happened: datetime, arrived: datetime) -> None:
    deed = Interaction(f"item {item:02d}", kind, int(happened.timestamp()))
    online_rows(settings).push(f"u{user:04d}", [deed], arrived)


def land_live(settings: Settings, *events: tuple[int, int, int, str, datetime, datetime]) -> None:
    """Land live events: number, user, item, kind, when it happened, when it arrived."""
    rows = [
        {**made_event(number, user, happened, kind, item), "source": "live", "known_at": arrived}
        for number, user, item, kind, happened, arrived in events
    ]
    write_window(settings, Window("events", "live", "now"), table_of("events", rows))


def items(settings: Settings, user: int) -> list[str]:
    return [entry.item_id for entry in online_rows(settings).read(f"u{user:04d}").history]


def at(seconds: float) -> datetime:
    return MINUTE + timedelta(seconds=seconds)


def test_what_is_pushed_after_the_spool_was_sealed_outlives_the_load_and_the_next_load_takes_its_place(settings):
    push(settings, 2, 3, "view", at(10), at(10))
    landed = (3, 2, 3, "view", at(10), at(10))
    land_live(settings, landed)
    push(settings, 1, 9, "purchase", at(40), at(40))
    assert load_newest(settings) == at(60)
    assert items(settings, 1) == ["item 01", "item 09"]
    assert [habit.item_id for habit in online_rows(settings).read("u0001").habits] == ["item 09"]
    assert items(settings, 2) == ["item 02", "item 03"]

    write_events(settings, "b", [made_event(4, 1, at(-600), "view", 5)])  # the shop's own export, of before
    land_live(settings, landed, (5, 1, 9, "purchase", at(40), at(40)))
    load_newest(settings)
    assert items(settings, 1) == ["item 01", "item 05", "item 09"]


def test_a_late_deed_and_a_sender_ahead_of_the_clock_lose_nothing_to_a_load(settings):
    push(settings, 2, 3, "view", at(100), at(10))  # its clock is 90 s ahead
    land_live(settings, (3, 2, 3, "view", at(100), at(10)))
    push(settings, 1, 9, "view", at(-3600), at(40))  # done an hour ago
    load_newest(settings)
    assert items(settings, 1) == ["item 09", "item 01"]


def test_a_newer_snapshot_replaces_an_older_one_where_nothing_live_has_landed(settings):
    before = loaded_views(settings)[USER_HISTORY.name]
    write_events(settings, "b", [made_event(4, 1, MINUTE - timedelta(hours=2), "view", 5)])
    load_newest(settings)
    assert items(settings, 1) == ["item 05", "item 01"]
    assert loaded_views(settings)[USER_HISTORY.name].stamp == before.stamp


def test_who_left_the_lake_is_nobody_online_unless_something_was_pushed_since(settings):
    push(settings, 3, 7, "purchase", at(5), at(5))
    land_live(settings, (3, 3, 7, "purchase", at(5), at(5)))
    load_newest(settings)
    write_events(settings, "a", [made_event(6, 4, at(6), "view", 6)])  # users 1 and 2 are gone from the export
    push(settings, 2, 8, "view", at(50), at(50))
    land_live(settings, (7, 4, 6, "view", at(20), at(20)))  # and user 3 from the live events
    load_newest(settings)
    assert (items(settings, 1), items(settings, 3), items(settings, 4)) == ([], [], ["item 06", "item 06"])
    assert online_rows(settings).read("u0003").habits == ()
    assert items(settings, 2) == ["item 02", "item 08"]
