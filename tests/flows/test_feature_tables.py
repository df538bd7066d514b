import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from expectations.validate import DataRejected
from feature_repo.features import FEATURE_VIEWS, USER_VIEWS
from feature_repo.transforms import TRANSFORMS
from flows import feature_tables
from flows.feature_source import event_span
from flows.feature_tables import build_tables, read_snapshot, remove_passing_snapshots, snapshot_moments, snapshot_path
from flows.settings import Settings, load_settings
from tests.conftest import settings_in
from tests.flows.feature_lake import SERVING, START, fill_items, fill_lake, made_event, made_events, write_events

ALL = dict.fromkeys(FEATURE_VIEWS, (SERVING,))
EARLIER = SERVING - timedelta(days=14)
PROJECT = Path(__file__).parents[2]


@pytest.fixture
def settings(tmp_path) -> Settings:
    small = settings_in(tmp_path / "home")
    fill_lake(small, users=60)
    return small


def contents(settings: Settings) -> dict[str, pa.Table]:
    """Every feature table, but for the moment at which a row was computed."""
    files = Path(settings.feature_store.offline_path).glob("*/*.parquet")
    return {str(path): pq.read_table(path).drop_columns(["created_timestamp"]) for path in files}


def run_script(stage: str, home: Path, point: str) -> int:
    command = [sys.executable, "-m", "tests.flows.killed_features", stage, str(home), point]
    return subprocess.run(command, cwd=PROJECT, env={**os.environ, "PYTHONPATH": str(PROJECT)}).returncode


def test_tables_hold_microseconds_and_exactly_their_columns(settings):
    build_tables(settings, ALL)
    for name, view in FEATURE_VIEWS.items():
        schema = pq.read_schema(snapshot_path(settings, name, SERVING))
        assert schema.names == [view.key, *view.feature_names, "event_timestamp", "created_timestamp"]
        assert schema.field("event_timestamp").type == pa.timestamp("us", tz="UTC")
        assert schema.field("created_timestamp").type == pa.timestamp("us", tz="UTC")


def test_building_again_builds_nothing(settings):
    first = build_tables(settings, ALL)
    assert (first.built, len(first.snapshots)) == (len(ALL), len(ALL))
    before = contents(settings)
    again = build_tables(settings, ALL)
    assert (again.built, again.snapshots) == (0, first.snapshots)
    assert contents(settings) == before


def test_only_snapshots_after_a_late_event_are_built_again(settings):
    wanted = {"user_history": (EARLIER, SERVING)}
    assert build_tables(settings, wanted).built == 2
    write_events(settings, "late", [made_event(900_000, 5, EARLIER + timedelta(days=1), "purchase", 3)])
    assert build_tables(settings, wanted).built == 1
    write_events(settings, "later", [made_event(900_001, 5, EARLIER - timedelta(days=1), "purchase", 3)])
    assert build_tables(settings, wanted).built == 2


def test_a_correction_of_an_even_number_of_events_or_items_is_built_again(settings):
    wanted = {"user_activity": (SERVING,), "user_affinity": (SERVING,)}
    build_tables(settings, wanted)
    events = made_events(60)[::2]
    kinds = [each["event_type"] for each in events]
    first = kinds.index("purchase")
    for number in (first, kinds.index("purchase", first + 1)):
        events[number] = {**events[number], "discount": events[number]["discount"] + 2.5}
    write_events(settings, "first", events)
    assert build_tables(settings, wanted).built == 2
    fill_items(settings, {"Brand 1": "Brand 2", "Brand 2": "Brand 1"})
    assert build_tables(settings, wanted).built == 2


def test_other_code_builds_everything_again_and_leaves_no_old_table(settings, monkeypatch):
    build_tables(settings, {"user_history": (EARLIER, SERVING)})
    monkeypatch.setattr(feature_tables, "code_hash", lambda: "another version")
    assert build_tables(settings, {"user_history": (SERVING,)}).built == 1
    assert snapshot_moments(settings, "user_history") == [SERVING]


def test_a_table_that_breaks_a_rule_stops_the_run_and_leaves_the_tables_in_use(settings, monkeypatch):
    build_tables(settings, ALL)
    before = contents(settings)

    def broken(connection, as_of):
        rows = TRANSFORMS["user_channels"](connection, as_of)
        position = rows.column_names.index("store_share")
        return rows.set_column(position, "store_share", pc.add(rows["store_share"], 1.5))

    write_events(settings, "late", [made_event(900_000, 5, START, "purchase", 3)])
    verdicts = []
    monkeypatch.setattr(feature_tables, "TRANSFORMS", {**TRANSFORMS, "user_channels": broken})
    with pytest.raises(DataRejected, match="user_channels"):
        build_tables(settings, {"user_channels": (SERVING,)}, publish=lambda _, verdict, __: verdicts.append(verdict))
    monkeypatch.undo()
    assert contents(settings) == before
    assert [(verdict.table, verdict.passed) for verdict in verdicts] == [("user_channels", False)]
    assert build_tables(settings, {"user_channels": (SERVING,)}).built == 1


def test_one_shop_of_the_lake_can_be_built_alone(settings):
    with pytest.raises(LookupError, match="other_shop"):
        build_tables(settings, ALL, source="other_shop")
    assert build_tables(settings, {"user_history": (SERVING,)}, source="made_shop").snapshots[0].rows == 60


def test_an_empty_lake_says_what_to_do(tmp_path):
    with pytest.raises(LookupError, match="aisle ingest"):
        event_span(settings_in(tmp_path / "empty"))


def test_the_span_of_events_is_that_of_the_lake(settings):
    times = [event["event_time"] for event in made_events(60)]
    assert event_span(settings) == (min(times), max(times))


@pytest.mark.slow
def test_a_build_that_was_killed_ends_in_the_same_tables_when_run_again(settings):
    assert run_script("build", settings.home, "4") == -signal.SIGKILL
    half = [view for view in FEATURE_VIEWS if read_snapshot(settings, view, SERVING)]
    assert len(half) == 3
    assert list(Path(settings.feature_store.offline_path).glob("*/*.part"))
    report = build_tables(load_settings({"AISLE_HOME": str(settings.home)}), ALL)
    assert report.built == len(FEATURE_VIEWS) - 3
    assert not list(Path(settings.feature_store.offline_path).glob("*/*.part"))
    killed = {Path(path).parent.name: table for path, table in contents(settings).items()}
    untouched = settings_in(settings.home.parent / "other home")
    fill_lake(untouched, users=60)
    build_tables(untouched, ALL)
    assert killed == {Path(path).parent.name: table for path, table in contents(untouched).items()}


def test_the_user_who_only_redeemed_a_coupon_is_in_every_user_view(settings):
    build_tables(settings, ALL)
    for view in USER_VIEWS:
        keys = pq.read_table(snapshot_path(settings, view.name, SERVING), columns=["user_id"])["user_id"]
        assert "u0000" in keys.to_pylist()


def test_of_the_moments_within_a_day_only_the_newest_stay(settings):
    hours = [SERVING - timedelta(hours=n) for n in range(5, 0, -1)]
    build_tables(settings, {"user_channels": (EARLIER, *hours, SERVING)})
    assert remove_passing_snapshots(settings) == 2
    assert snapshot_moments(settings, "user_channels") == [EARLIER, *hours[2:], SERVING]
