"""The drift watch over a real lake: what it shows, what it triggers, and how a person lets the flows go on."""

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from flows.build_features import build_features
from flows.cli import main
from flows.drift_days import judge_drift, remember_told
from flows.settings import Settings
from flows.stops import Stopped, put_stop, raise_if_stopped, read_stops
from flows.train_model import train_model
from flows.watch_drift import watch_drift
from flows.watch_policy import PolicyError, WatchPolicy, load_policy, policy_path
from tests.conftest import settings_in
from tests.flows.tiny_shop import MAPPING, Row, land, sale, write_shop

pytestmark = pytest.mark.slow

FIRST, DAYS = date(2026, 9, 1), 40


def _sales(changed_from: int = DAYS - 3) -> list[Row]:
    """60 sales a day; from `changed_from` on prices are half as much again."""
    rows = []
    for day in range(DAYS):
        factor = 1.5 if day >= changed_from else 1.0
        for number in range(60):
            price = factor * (1 + number % 7)
            moment = f"{FIRST + timedelta(days=day)} {9 + number % 9:02d}:{number:02d}:00"
            rows.append(sale(sold_at=moment, customer=f"card-{number}", line_total=f"{2 * price:.2f}"))
    return rows


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake whose last whole days are dearer; the last day is not whole."""
    folder = tmp_path_factory.mktemp("drift")
    settings = settings_in(folder / "home")
    land(settings, write_shop(folder / "shop", _sales(), MAPPING.replace('window = "day"', 'window = "month"')))
    return settings


@pytest.fixture
def shop(landed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """That lake, with a home of its own for the watch's records; also what flows load."""
    own = replace(landed, home=tmp_path / "home")
    own.home.mkdir()
    monkeypatch.setenv("AISLE_HOME", str(own.home))
    monkeypatch.setenv("AISLE_LAKE_URI", landed.lake_uri)
    return own


def test_the_last_whole_day_is_judged_and_what_changed_is_in_alarm(shop: Settings):
    report = judge_drift(shop, WatchPolicy(), "corner_shop")
    assert report.day == FIRST + timedelta(days=DAYS - 2)
    assert {alarm.signal for alarm in report.alarms} == {"price EUR", "price EUR, level"}
    calm = judge_drift(shop, WatchPolicy(), "corner_shop", FIRST + timedelta(days=DAYS - 4))
    assert calm.alarms == ()
    assert max(reading.score for reading in calm.days[-1]) < 1


def test_a_breach_is_shown_triggers_what_was_declared_and_is_told_once(shop: Settings, prefect_harness: None):
    policy_path(shop).write_text('[drift]\non_breach = []\nsignals = { "price *" = ["alert", "stop"] }\n')
    (summary,) = watch_drift()
    assert summary.actions == ("stop", "alert")
    with get_client(sync_client=True) as client:
        page = next(
            str(each.data)
            for each in client.read_artifacts(
                artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["drift-corner-shop"]))
            )
        )
    assert "| price EUR, level |" in page
    assert "data:image/svg+xml;base64," in page
    for refused in (build_features, train_model):
        with pytest.raises(Stopped, match="aisle drift acknowledge"):
            refused()
    (again,) = watch_drift()
    assert (again.fresh, again.actions) == ((), ())
    assert len(again.alarms) == len(summary.alarms)


def test_a_stop_holds_until_a_person_acknowledges_it(shop: Settings):
    raise_if_stopped(shop)
    put_stop(shop, "corner_shop", ["price EUR: twice as dear"])
    put_stop(shop, "corner_shop", ["price EUR: twice as dear", "volume: half"])
    (stop,) = read_stops(shop)
    assert stop.reasons == ("price EUR: twice as dear", "volume: half")
    with pytest.raises(Stopped, match="twice as dear, volume: half"):
        raise_if_stopped(shop)
    assert "volume: half" in CliRunner().invoke(main, ["drift", "stops"]).output
    assert "Acknowledged: corner_shop" in CliRunner().invoke(main, ["drift", "acknowledge"]).output
    raise_if_stopped(shop)
    assert "Nothing was stopped" in CliRunner().invoke(main, ["drift", "acknowledge"]).output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[drift]\non_breach = ['shout']", r"drift.on_breach: expected a list of alert, retrain, stop"),
        ("[drift]\ntimezone = 'Mars/Base'", r"drift.timezone: expected a time zone"),
        ("[drift]\nweeks = 1", r"drift.weeks: expected a whole number from 4 to 52; came 1"),
        ("[drif]\nweeks = 8", r"drif: expected one of drift, freshness"),
        ("[drift", r"the file: expected a file of TOML in UTF-8"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused_by_its_key(settings: Settings, text: str, message: str):
    settings.home.mkdir(parents=True, exist_ok=True)
    policy_path(settings).write_text(text)
    with pytest.raises(PolicyError, match=message):
        load_policy(settings)


def test_the_first_pattern_that_fits_says_what_a_signal_triggers(settings: Settings):
    settings.home.mkdir(parents=True, exist_ok=True)
    assert load_policy(settings).actions_for("volume") == ("alert",)
    policy_path(settings).write_text('[drift.signals]\n"missing *" = ["stop"]\n"*" = ["retrain"]\n')
    policy = load_policy(settings)
    assert policy.actions_for("missing item_id in view") == ("stop",)
    assert policy.actions_for("volume") == ("retrain",)


def test_what_was_told_is_kept_as_plain_json(shop: Settings):
    report = judge_drift(shop, WatchPolicy(), "corner_shop")
    remember_told(shop, report)
    told = json.loads((shop.home / "watch" / "told.json").read_text())
    run = {str(FIRST + timedelta(DAYS - 3)): str(FIRST + timedelta(DAYS - 2))}
    assert told == {"corner_shop": {"price EUR": run, "price EUR, level": run}}
