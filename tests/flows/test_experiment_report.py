"""What is told of an experiment: its state as serving sees it, figures that were taken, and sentences that end once."""

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from feature_repo.experiments import Experiment
from feature_repo.schema import pseudonym
from flows.answers import land_answers
from flows.commands.experiment import command
from flows.experiment_outcomes import outcomes_of
from flows.experiment_report import markdown_of, page_of, report_of
from flows.experiments import Plan, current_experiment, own_key, start_experiment, stop_by_hand, stop_experiment
from flows.object_client import object_client
from flows.releases import promote
from flows.settings import Settings
from tests.flows.test_experiment_watch import NOW, event_row, slate_row, spool
from tests.flows.test_experiments import use_in_commands
from tests.flows.test_release_cleanup import publish_many
from training.experiment_analysis import analyse_arms, analyse_preferences


@pytest.fixture
def challenger(store_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The older one of two releases, in a store that is named in the environment."""
    older, _ = publish_many(store_settings, tmp_path, 2)
    use_in_commands(store_settings, monkeypatch)
    return older


def call_stop(settings: Settings, experiment: Experiment) -> None:
    """Say what a server says whose guard has ended an experiment."""
    told = {"reason": "errors: 5 of 5", "server": "host-1", "at": NOW.isoformat()}
    key = own_key(experiment.experiment_id, "stop.json")
    object_client(settings).put_object(Bucket=settings.object_store.bucket, Key=key, Body=json.dumps(told).encode())


def test_an_experiment_that_serving_has_ended_is_not_told_as_running(store_settings: Settings, challenger: str):
    experiment = start_experiment(store_settings, Plan(challenger, "canary", 0.1))
    call_stop(store_settings, experiment)
    for name in ("show", "report"):
        told = " ".join(CliRunner().invoke(command, [name]).output.split())
        assert "Serving gives it no traffic any more: errors: 5 of 5 (host-1, 2026-11-28 12:00 UTC)" in told
    assert current_experiment(store_settings).running, "to look ends nothing"


def test_an_experiment_whose_champion_has_moved_is_not_told_as_running(store_settings: Settings, challenger: str):
    start_experiment(store_settings, Plan(challenger, "canary", 0.1))
    promote(store_settings, challenger)
    assert f"the champion is {challenger} now" in " ".join(CliRunner().invoke(command, ["show"]).output.split())


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("stopped by hand", "errors: 5 of 5 (host-1, 2026-11-28 12:00 UTC)"),
        ("Seen.", "Seen.; serving had ended it: errors: 5 of 5 (host-1, 2026-11-28 12:00 UTC)"),
    ],
)
def test_a_stop_by_hand_keeps_what_had_ended_the_traffic(
    store_settings: Settings, challenger: str, asked: str, kept: str
):
    call_stop(store_settings, start_experiment(store_settings, Plan(challenger, "canary", 0.1)))
    assert stop_by_hand(store_settings, asked).reason == kept


def test_a_reason_of_a_whole_sentence_or_of_several_lines_is_told_as_one_sentence(
    store_settings: Settings, challenger: str
):
    experiment = start_experiment(store_settings, Plan(challenger, "ab", 0.5))
    told = CliRunner().invoke(command, ["stop", "--reason", "It is worse.\nWe saw it."]).output
    assert told == f"{experiment.experiment_id} ended: It is worse. We saw it. Serving follows within seconds.\n"
    assert "We saw it.</p>" in page_of(report_of(store_settings, current_experiment(store_settings)))


def test_the_page_of_a_shadow_tells_of_no_clicks_and_no_verdict_and_dashes_what_nobody_took(
    store_settings: Settings, challenger: str
):
    experiment = start_experiment(store_settings, Plan(challenger, "shadow", 0.2))
    page = page_of(report_of(store_settings, experiment))
    assert "Share 0.2 of the answers" in page
    assert "a click counts" not in page
    assert "The verdict holds" not in page
    assert "<td>champion</td><td>0</td><td>–</td><td>–</td><td>0</td>" in page
    assert "Share 0.2 of the answers" in markdown_of(report_of(store_settings, experiment)), (
        "Prefect's page tells it, too"
    )
    stopped = stop_experiment(store_settings, "seen enough")
    assert f"ended {stopped.stopped_at[:16].replace('T', ' ')} UTC" in page_of(report_of(store_settings, stopped))


def test_after_its_end_an_experiments_last_windows_close_as_the_log_goes_on(store_settings: Settings, challenger: str):
    experiment = start_experiment(store_settings, Plan(challenger, "ab", 0.5, window_hours=1))
    first = slate_row(experiment, pseudonym("last", b"key"), NOW)
    spool(store_settings, [first], [event_row(first["user_id"], "a", NOW + timedelta(minutes=1))])
    land_answers(store_settings)
    assert outcomes_of(store_settings, experiment).waiting == 1
    later = slate_row(experiment, pseudonym("another", b"key"), NOW + timedelta(hours=2))
    spool(store_settings, [{**later, "experiment_id": None, "arm": None, "propensity": None}], [])
    land_answers(store_settings)
    found = outcomes_of(store_settings, stop_experiment(store_settings, "seen enough"))
    assert (found.waiting, list(found.clicked)) == (0, [True])


def test_the_effect_is_told_in_figures_with_its_interval_once_it_is_known(store_settings: Settings, challenger: str):
    experiment = start_experiment(store_settings, Plan(challenger, "ab", 0.5))
    assert "told once 20 users of each arm have clicked" in page_of(report_of(store_settings, experiment))
    arms, clicked = np.array([True, False] * 200), np.array([True, True, True, False] * 100)
    effect, low, high = analyse_arms(arms, clicked, 0.5, 400).effect_now()
    assert low < effect < high
    assert effect == pytest.approx(0.5, abs=0.05)


def test_one_user_is_told_in_the_singular_and_an_arm_without_users_has_no_share():
    one = np.array([False])
    assert analyse_arms(one, ~one, 0.5, 1_000).sentence() == (
        "Of the challenger's users none counts yet, of the champion's 100.00% of 1 clicked: no verdict yet."
    )
    assert analyse_arms(one[:0], one[:0], 0.5, 1_000).sentence() == "No user counts yet, so there is no verdict."
    assert analyse_preferences(np.ones(1), 1_000).sentence().startswith("Of 1 user who met slates of both, 1 preferred")


def test_a_challenger_that_is_the_champion_is_refused_with_what_to_do(store_settings: Settings, challenger: str):
    promote(store_settings, challenger)
    told = CliRunner().invoke(command, ["start", challenger]).output
    assert f"both are {challenger}. Name another one of `aisle release list`" in told
    assert "aisle release rollback" in told
