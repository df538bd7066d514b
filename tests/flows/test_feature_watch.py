"""The watch over feature tables: what is computed, kept and judged on a real lake, and what a fault triggers."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from feature_repo.features import FEATURE_VIEWS
from flows.build_features import build_features
from flows.feature_days import FEATURE_TABLES, count_days, judge_features
from flows.feature_tables import build_tables, snapshot_path
from flows.settings import Settings
from flows.stops import Stopped
from flows.watch_drift import watch_drift
from flows.watch_policy import WatchPolicy, policy_path
from tests.conftest import settings_in
from tests.flows.feature_lake import SERVING, fill_lake

pytestmark = pytest.mark.slow

#: The day that ends with the newest tables.
LAST = date(2026, 4, 9)
BOTH = (SERVING - timedelta(days=1), SERVING)
WEEKS = WatchPolicy(weeks=4)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake of 40 days with the tables of its last two midnights, all of them counted."""
    settings = settings_in(tmp_path_factory.mktemp("features") / "home")
    fill_lake(settings, users=150)
    build_tables(settings, dict.fromkeys(FEATURE_VIEWS, BOTH))
    judge_features(settings, WEEKS, LAST)
    return settings


@pytest.fixture
def shop(built: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """That lake with a home of its own: what was counted before is there, the tables may be spoilt."""
    home = tmp_path / "home"
    own = replace(built, home=home, feature_store=replace(built.feature_store, offline_path=str(home / "features")))
    for folder in ("features", "watch"):
        copy_files(built.home / folder, home / folder)
    monkeypatch.setenv("AISLE_HOME", str(home))
    monkeypatch.setenv("AISLE_LAKE_URI", built.lake_uri)
    return own


def copy_files(source: Path, target: Path) -> None:
    for path in source.rglob("*"):
        if path.is_file():
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())


def spoil(settings: Settings, moments: Sequence[datetime] = BOTH) -> None:
    """Multiply what users spend in the tables in place; the day before the last is counted anew."""
    for moment in moments:
        path = snapshot_path(settings, "user_activity", moment)
        table = pq.read_table(path)
        for name in ("spend_7d", "spend_28d", "spend_84d", "spend_364d"):
            place = table.schema.get_field_index(name)
            table = table.set_column(place, table.schema.field(name), pc.multiply(table[name], 10.0))
        pq.write_table(table, path)
    kept(settings, LAST - timedelta(days=1)).unlink(missing_ok=True)


def kept(settings: Settings, day: date) -> Path:
    return settings.home / "watch" / "features" / f"{day}.json"


def test_tables_of_a_calm_shop_are_as_usual_and_each_midnight_is_counted_once(shop: Settings):
    days = {path.stem for path in (shop.home / "watch" / "features").iterdir()}
    assert days == {str(LAST - timedelta(days=back + 7 * week)) for back in (0, 1) for week in range(5)}
    before = {day: kept(shop, date.fromisoformat(day)).stat().st_mtime_ns for day in days}
    report = judge_features(shop, WEEKS, LAST)
    assert report is not None
    assert (report.source, report.day, report.alarms) == (FEATURE_TABLES, LAST, ())
    assert len(report.days[-1]) > 100
    changed = {day for day in days if kept(shop, date.fromisoformat(day)).stat().st_mtime_ns != before[day]}
    assert changed == {str(LAST)}


def test_the_last_whole_day_is_judged_by_default_from_tables_that_nobody_built(shop: Settings):
    report = judge_features(shop, WEEKS)
    assert report is not None
    assert report.day == LAST - timedelta(days=1)
    assert kept(shop, report.day - timedelta(days=1)).exists()


def test_a_table_that_was_spoilt_is_in_alarm_on_its_second_day(shop: Settings):
    spoil(shop, BOTH[1:])
    assert judge_features(shop, WEEKS, LAST).alarms == ()
    spoil(shop, BOTH[:1])
    alarms = {alarm.signal for alarm in judge_features(shop, WEEKS, LAST).alarms}
    assert "user_activity.spend_28d, level" in alarms
    assert {alarm.partition("_")[0] for alarm in alarms} == {"user"}
    assert all("spend" in alarm for alarm in alarms)


def test_a_midnight_without_tables_is_counted_as_the_tables_in_place_would_be(shop: Settings):
    in_place = json.loads(kept(shop, LAST).read_text())
    for view in FEATURE_VIEWS:
        snapshot_path(shop, view, SERVING).unlink()
    count_days(shop, None, [LAST], anew=LAST)
    assert json.loads(kept(shop, LAST).read_text()) == in_place


def test_a_shop_that_never_built_features_is_not_judged(tmp_path: Path):
    settings = settings_in(tmp_path / "home")
    fill_lake(settings, users=10)
    assert judge_features(settings, WEEKS) is None


def test_a_day_before_the_first_event_has_no_readings(shop: Settings):
    report = judge_features(shop, WEEKS, date(2025, 6, 1))
    assert report is not None
    assert (report.days, report.alarms) == (((),), ())


def test_a_breach_goes_the_way_of_the_events(shop: Settings, prefect_harness: None):
    spoil(shop)
    policy_path(shop).write_text(
        '[drift]\nweeks = 4\non_breach = []\nsignals = { "user_activity.*" = ["alert", "stop"] }\n'
    )
    *_, summary = watch_drift(day=LAST)
    assert (summary.source, summary.actions) == (FEATURE_TABLES, ("stop", "alert"))
    with get_client(sync_client=True) as client:
        page = next(
            str(each.data)
            for each in client.read_artifacts(
                artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["drift-feature-tables"]))
            )
        )
    assert "| user_activity.spend_28d, level |" in page
    assert "data:image/svg+xml;base64," in page
    with pytest.raises(Stopped, match=r"user_activity\.spend"):
        build_features()
    *_, again = watch_drift(day=LAST)
    assert (again.fresh, again.actions) == ((), ())
