"""One state of the lake: what lands while a training set is built is in the next one, and the clock is in none."""

from datetime import datetime, timedelta

import pytest

from flows import feature_moments
from flows.feature_source import event_span, lake_state, open_events
from flows.known_lake import lake_at_versions
from flows.settings import Settings
from flows.training_cuts import training_cuts
from flows.training_set import build_training_tables
from tests.flows.feature_lake import SERVING, START, fill_items, fill_lake, made_event, write_events

pytestmark = pytest.mark.slow


def test_a_training_set_of_visits_has_the_same_moments_whatever_the_clock_says(settings: Settings, monkeypatch):
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return at

    fill_items(settings)
    starts = [START + timedelta(minutes=2 * user + step) for user in range(60) for step in range(2)]
    events = [made_event(n, n // 2, start, "view", (n // 2 + n % 2) % 50) for n, start in enumerate(starts)]
    write_events(settings, "day", events)
    monkeypatch.setattr(feature_moments, "datetime", Clock)
    with open_events(settings) as connection:
        at = START + timedelta(hours=3)
        then = training_cuts(connection, *event_span(settings))
        at = START + timedelta(days=1, hours=3)
        assert training_cuts(connection, *event_span(settings)) == then
    assert then.all[-1] == START + timedelta(hours=2)


def test_a_lake_at_versions_is_read_as_it_was_and_not_written(settings: Settings):
    empty = lake_at_versions(settings, lake_state(settings).versions)
    write_events(settings, "first", [made_event(1, 1, START, "view", 1)])
    one = lake_at_versions(settings, lake_state(settings).versions)
    write_events(settings, "late", [made_event(2, 1, SERVING, "view", 1)])
    assert lake_state(empty).versions == {"events": -1, "items": -1}
    assert (event_span(one), event_span(settings)) == ((START, START), (START, SERVING))
    with pytest.raises(ValueError, match="can be read, not written"):
        write_events(one, "later", [made_event(3, 1, START, "view", 1)])


def test_what_lands_while_a_training_set_is_built_is_not_in_it(settings: Settings):
    fill_lake(settings, users=40)
    before = lake_state(settings)

    def land(view: str, snapshots: int) -> None:
        if view == "user_history":
            fill_items(settings, {"Brand 1": "Brand One"})

    built = build_training_tables(settings, progress=land)
    assert built.lake == before.versions != lake_state(settings).versions
    assert set(built.items["brand"].to_pylist()) == {None, "Brand 0", "Brand 1", "Brand 2"}
