"""How far behind each stage is: against the lake or the clock, alerted once, with a picture of its history."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from feature_repo.features import USER_VIEWS
from flows.online_rows import loaded_moment
from flows.settings import Settings
from flows.stage_lags import StageLag, fresh_breaches, measure_freshness, read_history, remember
from flows.stage_lags_picture import SHOWN, freshness_svg
from flows.stops import read_stops
from flows.watch_freshness import watch_freshness
from flows.watch_policy import WatchPolicy, load_policy, policy_path
from tests.conftest import settings_in
from tests.flows.tiny_shop import land, write_shop

pytestmark = pytest.mark.slow

NEWEST = datetime(2026, 10, 3, 8, tzinfo=UTC)
NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("fresh")
    settings = settings_in(folder / "home")
    land(settings, write_shop(folder / "shop"))
    return settings


@pytest.fixture
def shop(landed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A lake whose online rows are three hours behind its newest event."""
    home = tmp_path / "home"
    variables = {"AISLE_HOME": str(home), "AISLE_LAKE_URI": landed.lake_uri}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    own = settings_in(home, **variables)
    _load(own, NEWEST - timedelta(hours=3))
    return own


def _load(settings: Settings, as_of: datetime) -> None:
    """What the ledger of online rows says after a materialise; the feature files as it leaves them."""
    path = Path(settings.feature_store.registry_path).with_name("materialised.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    store = "sqlite " + settings.feature_store.online_path
    entries = {}
    for number, view in enumerate(USER_VIEWS):
        moment = as_of + timedelta(minutes=number)
        entry = {"view": view.name, "as_of": moment.isoformat(), "rows": 3, "content": "", "online_store": store}
        entries[f"{view.name} in {store}"] = {**entry, "finished_at": NOW.isoformat()}
    path.write_text(json.dumps(entries))


def _by_stage(lags: list[StageLag]) -> dict[str, StageLag]:
    return {lag.stage: lag for lag in lags}


def test_each_stage_is_held_against_the_lake_or_against_the_clock(shop: Settings):
    assert loaded_moment(shop) == NEWEST - timedelta(hours=3)
    by_lake = _by_stage(measure_freshness(shop, WatchPolicy(), NOW))
    assert by_lake["lake"].behind == 0
    assert by_lake["online store"].behind == 3 * 3600
    assert by_lake["online store"].over
    assert (by_lake["features"].behind, by_lake["release"].behind) == (None, None)
    by_clock = _by_stage(measure_freshness(shop, WatchPolicy(clock="wall"), NOW))
    assert by_clock["lake"].behind == (NOW - NEWEST).total_seconds()
    assert by_clock["online store"].words.endswith("29 days behind (limit 2 h)")


@pytest.mark.parametrize(("minutes", "over"), [(1, False), (180, True)])
def test_pushed_events_are_behind_since_the_first_of_them_waits(shop: Settings, minutes: int, over: bool):
    shop.spool_path.mkdir(parents=True)
    came = [{"known_at": (NOW - timedelta(minutes=ago)).isoformat()} for ago in (minutes, 0)]
    (shop.spool_path / "events-2026-11-01-7.jsonl").write_text("".join(json.dumps(row) + "\n" for row in came))
    lag = _by_stage(measure_freshness(shop, WatchPolicy(), NOW))["pushed events in the lake"]
    assert (lag.behind, lag.over) == (minutes * 60, over)


def test_a_breach_is_told_once_until_the_stage_was_within_its_limit_again(settings: Settings):
    told = []
    for number, behind in enumerate((0.0, 9000.0, 9000.0, 60.0, 9000.0)):
        lags = [StageLag("online store", NOW, behind, 7200.0)]
        told.append(len(fresh_breaches(read_history(settings), lags)))
        remember(settings, NOW + timedelta(hours=number), lags)
    assert told == [0, 1, 0, 0, 1]


def test_a_breach_that_goes_on_over_a_gap_of_measuring_is_told_once(settings: Settings):
    told = []
    for number, behind in enumerate((9000.0, None, None, 9000.0, None, 60.0, None, 9000.0)):
        lags = [StageLag("release", NOW, behind, 7200.0)]
        told.append(len(fresh_breaches(read_history(settings), lags)))
        remember(settings, NOW + timedelta(hours=number), lags)
    assert told == [1, 0, 0, 0, 0, 0, 0, 1]


def test_pushed_events_that_have_landed_end_the_breach_of_those_that_had_not(settings: Settings):
    late = StageLag("pushed events in the lake", NOW, 9000.0, 7200.0)
    for hour, lags in enumerate(([late], [])):
        remember(settings, NOW + timedelta(hours=hour), lags)
    assert fresh_breaches(read_history(settings), [late]) == [late]


def test_the_picture_has_a_bar_a_measurement_and_a_line_a_limit():
    lags = [StageLag("online store", NOW, 9000.0, 7200.0), StageLag("release", NOW, 0.0, 7200.0)]
    history = [{"at": NOW.isoformat(), "behind": {"online store": 60.0 * n, "release": 0.0}} for n in range(400)]
    svg = freshness_svg(history, lags)
    assert svg.count("<rect") == 2 * SHOWN
    assert svg.count("<line") == 2
    assert len(svg) < 100_000
    few = freshness_svg(history[:2], lags)
    assert f"{NOW:%Y-%m-%d %H:%M} to {NOW:%Y-%m-%d %H:%M} UTC" in few, "no moment stands where no bar is"
    assert 'text-anchor="end"' not in few.rpartition("UTC")[0].rpartition("<text")[2]


def test_the_flow_shows_alerts_and_stops_as_declared(shop: Settings, prefect_harness: None):
    policy_path(shop).write_text('[freshness]\nclock = "wall"\nlimit_minutes = 60\non_breach = ["alert", "stop"]\n')
    assert load_policy(shop).slo == timedelta(hours=1)
    lags = _by_stage(watch_freshness())
    assert lags["lake"].over
    (stop,) = read_stops(replace(shop))
    assert any("lake: newest 2026-10-03 08:00 UTC" in reason for reason in stop.reasons)
    with get_client(sync_client=True) as client:
        page = next(
            str(each.data)
            for each in client.read_artifacts(
                artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["stage-lags"]))
            )
        )
    assert "**Over the limit: lake" in page
    assert "data:image/svg+xml;base64," in page
