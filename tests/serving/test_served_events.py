"""Served = computed on ordinary days: events of long ago, a load among pushes, a former store, a dead server."""

import json
from datetime import datetime, timedelta
from pathlib import Path

from feature_repo.schema import EVENTS
from flows.answers import land_answers
from flows.comparison import compare_served
from flows.served_features import Comparison
from flows.settings import Settings as FlowSettings
from serving.release import Release
from serving.spool import append_events, open_spool
from tests.serving.test_served_features import LANDED, LOADED, USERS, answer_all, shop_settings  # noqa: F401
from tests.serving.tiny_shop import AS_OF, COFFEE


def compare(settings: FlowSettings, release: Release) -> Comparison:
    """Let every user be answered from a row as it should be, and compare."""
    answer_all(settings, release)
    land_answers(settings)
    return compare_served(settings, len(USERS))


def take(settings: FlowSettings, user: str, known_at: datetime) -> None:
    """Put a purchase of coffee into the spool, done a year ago."""
    times = {"event_time": (AS_OF - timedelta(days=365)).isoformat(), "known_at": known_at.isoformat()}
    named = {"event_id": f"coffee {user}", "user_id": user, "item_id": COFFEE, "event_type": "purchase"}
    append_events(open_spool(settings.spool_path), [dict.fromkeys(EVENTS.column_names) | named | times])


def test_events_that_the_snapshot_holds_are_not_counted_again(shop_settings: FlowSettings, release: Release):  # noqa: F811
    for user in USERS:
        take(shop_settings, user, LANDED - timedelta(hours=1))  # among its habits no more
    found = compare(shop_settings, release)
    assert (found.breaches, found.unjudged) == ([], 0)


def test_users_who_did_something_while_the_load_was_made_are_not_judged(
    shop_settings: FlowSettings,  # noqa: F811
    release: Release,
):
    for user in USERS[:7]:
        take(shop_settings, user, LOADED - timedelta(minutes=1))
    found = compare(shop_settings, release)
    assert (found.breaches, found.unjudged, found.checks["habit_counts"].answers) == ([], 7, 23)


def test_a_former_online_store_and_half_a_line_of_a_dead_server_do_not_matter(
    shop_settings: FlowSettings,  # noqa: F811
    release: Release,
):
    path = Path(shop_settings.feature_store.registry_path).with_name("materialised.json")
    ledger = json.loads(path.read_text())
    former = {
        f"{entry['view']} in redis gone": {**entry, "online_store": "redis gone", "as_of": "2017-06-01T00:00:00+00:00"}
        for entry in ledger.values()
    }
    path.write_text(json.dumps({**former, **ledger}))
    (spooled,) = shop_settings.spool_path.glob("events-*.jsonl")
    spooled.write_bytes(spooled.read_bytes() + spooled.read_bytes()[:100])
    assert compare(shop_settings, release).breaches == []
    assert compare(shop_settings, release).unjudged == 0


def test_an_event_that_was_taken_and_is_not_served_is_a_breach(
    shop_settings: FlowSettings,  # noqa: F811
    release: Release,
):
    for user in USERS:
        take(shop_settings, user, LOADED + timedelta(hours=1))
    assert "history_item_ids" in compare(shop_settings, release).breaches
