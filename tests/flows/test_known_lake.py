"""What was known when: training sets and features of the past, built today, are those that were built then."""

import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from feature_repo.features import FEATURE_VIEWS
from flows.feature_tables import build_tables, snapshot_path
from flows.known_lake import lake_as_known
from flows.settings import Settings
from flows.training_set import TrainingTables, build_training_tables
from tests.flows.feature_lake import SERVING, START, fill_lake, made_event, made_events, write_events
from tests.flows.test_replay import files_of
from tests.flows.tiny_shop import LATER, SALES, land, sale, write_shop

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)


def moment_between_commits() -> datetime:
    """Now, with no commit in the same millisecond."""
    time.sleep(0.02)
    now = datetime.now(UTC)
    time.sleep(0.02)
    return now


def assert_same(one: TrainingTables, other: TrainingTables) -> None:
    assert (one.input_hash, one.lake) == (other.input_hash, other.lake)
    assert one.histories.equals(other.histories)
    assert one.items.equals(other.items)
    assert one.truths == other.truths


def test_a_training_set_of_a_past_moment_built_today_is_the_one_built_then(settings: Settings):
    fill_lake(settings, users=60)
    then = build_training_tables(settings)
    known_at = moment_between_commits()
    late = [made_event(900_000 + n, 5, START + n * DAY, "purchase", 3) for n in range(1, 30)]
    write_events(settings, "late", late)
    corrected = [{**event, "unit_price": 9.75} for event in made_events(60)[::2]]
    write_events(settings, "first", corrected)
    now = build_training_tables(settings)
    assert now.input_hash != then.input_hash
    folder = Path(settings.feature_store.offline_path)
    present = {path: path.stat().st_mtime_ns for path in folder.glob("*/*.parquet")}
    shutil.rmtree(settings.home / "training_sets")
    assert_same(build_training_tables(lake_as_known(settings, known_at)), then)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*/*.parquet")} == present
    shutil.rmtree(settings.home / "training_sets")
    assert_same(build_training_tables(settings), now)


def test_the_past_cannot_be_written_and_needs_a_time_zone(settings: Settings):
    fill_lake(settings, users=5)
    with pytest.raises(ValueError, match="can be read, not written"):
        write_events(lake_as_known(settings, datetime.now(UTC)), "late", [made_event(1, 1, START, "view", 1)])
    with pytest.raises(ValueError, match="expected a time with a time zone"):
        lake_as_known(settings, datetime(2026, 3, 1))


def test_before_anything_had_landed_the_lake_is_empty(settings: Settings):
    before = datetime.now(UTC) - DAY
    fill_lake(settings, users=5)
    with pytest.raises(LookupError, match="no events"):
        build_tables(lake_as_known(settings, before), {"user_history": (SERVING,)})


def test_a_late_event_rewrites_its_own_window_and_the_features_after_it(settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path))
    moments = tuple(datetime(2026, 10, day, tzinfo=UTC) for day in (2, 3, 4))
    build_tables(settings, dict.fromkeys(FEATURE_VIEWS, moments))
    files, tables = files_of(settings), _written(settings, moments)
    late = sale(sold_at="2026-10-02 23:59:59", customer="card-late")
    land(settings, write_shop(tmp_path, [*SALES, late]), LATER)
    report = build_tables(settings, dict.fromkeys(FEATURE_VIEWS, moments))
    after = files_of(settings)
    assert {window for window in after if after[window] != files[window]} == {"2026-10-02"}
    assert report.built == 2 * len(FEATURE_VIEWS)
    rebuilt = {key for key, content in _written(settings, moments).items() if content != tables[key]}
    assert rebuilt == {(view, as_of) for view in FEATURE_VIEWS for as_of in moments[1:]}


def _written(settings: Settings, moments: tuple[datetime, ...]) -> dict[tuple[str, datetime], int]:
    """When each table was written."""
    return {(v, m): snapshot_path(settings, v, m).stat().st_mtime_ns for v in FEATURE_VIEWS for m in moments}


def test_events_of_the_past_are_in_no_feature_table_of_that_knowledge(settings: Settings):
    fill_lake(settings, users=20)
    known_at = moment_between_commits()
    write_events(settings, "late", [made_event(900_000, 900, START + DAY, "purchase", 3)])
    past = lake_as_known(settings, known_at)
    for each, expected in ((settings, True), (past, False)):
        build_tables(each, {"user_history": (SERVING,)})
        users = pq.read_table(snapshot_path(each, "user_history", SERVING))["user_id"].to_pylist()
        assert ("u0900" in users) is expected
