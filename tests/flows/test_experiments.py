"""One experiment at a time, started and stopped by conditional writes, with a release that is ours and stays stored."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from feature_repo.experiments import EXPERIMENT_KEY, ExperimentError, read_experiment
from flows.champion import read_pointer
from flows.commands.experiment import command
from flows.experiments import (
    BrokenExperiment,
    ExperimentRunning,
    Plan,
    current_experiment,
    past_experiment,
    start_experiment,
    stop_experiment,
)
from flows.object_client import ObjectMissing, WriteConflict, object_client
from flows.release_cleanup import plan_cleanup
from flows.release_objects import BrokenRelease, object_key
from flows.release_signatures import problem_of_signature
from flows.settings import Settings, public_key_of
from tests.flows.test_release_cleanup import publish_many


@pytest.fixture
def releases(store_settings: Settings, tmp_path: Path) -> list[str]:
    """Two releases, the newest is champion."""
    return publish_many(store_settings, tmp_path, 2)


def test_a_started_experiment_is_signed_and_names_both_releases_and_a_stopped_one_says_why(
    store_settings: Settings, releases: list[str]
):
    challenger, champion = releases
    started = start_experiment(store_settings, Plan(challenger, "canary", 0.1))
    body = object_client(store_settings).get_object(Bucket=store_settings.object_store.bucket, Key=EXPERIMENT_KEY)
    found = read_experiment(body["Body"].read())
    assert found.experiment == started == current_experiment(store_settings)
    assert (started.champion, started.challenger) == (champion, challenger)
    assert problem_of_signature(found.signed, _json(found.signature), public_key_of(store_settings.signing_key)) is None
    assert problem_of_signature(found.signed + b" ", _json(found.signature), public_key_of(store_settings.signing_key))
    with pytest.raises(ExperimentRunning, match=started.experiment_id):
        start_experiment(store_settings, Plan(challenger, "ab", 0.5))
    stopped = stop_experiment(store_settings, "seen enough")
    assert (stopped.running, stopped.reason, stopped.version) == (False, "seen enough", 2)
    assert stop_experiment(store_settings, "again") == stopped
    again = start_experiment(store_settings, Plan(challenger, "ab", 0.5))
    assert again.salt != started.salt, "another draw"
    assert past_experiment(store_settings, started.experiment_id) == stopped
    assert read_pointer(store_settings).release_id == champion


def test_of_sixteen_starts_at_once_one_counts(store_settings: Settings, releases: list[str]):
    def start(number: int) -> str:
        try:
            return start_experiment(store_settings, Plan(releases[0], "canary", 0.01 * (number + 1))).experiment_id
        except (WriteConflict, ExperimentRunning):
            return ""

    with ThreadPoolExecutor(16) as pool:
        ids = list(pool.map(start, range(16)))
    assert [name for name in ids if name] == [current_experiment(store_settings).experiment_id]


def test_no_experiment_with_what_is_no_release_of_ours(store_settings: Settings, releases: list[str]):
    with pytest.raises(ObjectMissing):
        stop_experiment(store_settings, "there is none")
    with pytest.raises(ExperimentError, match="other than the champion"):
        start_experiment(store_settings, Plan(releases[1], "ab", 0.5))
    with pytest.raises(ObjectMissing):
        start_experiment(store_settings, Plan("r20000101-000000000000", "ab", 0.5))
    object_client(store_settings).delete_object(
        Bucket=store_settings.object_store.bucket, Key=object_key(releases[0], "manifest.sig")
    )
    with pytest.raises(BrokenRelease, match="not signed"):
        start_experiment(store_settings, Plan(releases[0], "ab", 0.5))
    assert current_experiment(store_settings) is None


def test_what_stands_in_its_place_and_is_no_experiment_is_told_and_nothing_is_removed(
    store_settings: Settings, releases: list[str]
):
    client, bucket = object_client(store_settings), store_settings.object_store.bucket
    client.put_object(Bucket=bucket, Key=EXPERIMENT_KEY, Body=b'{"schema": 1}')
    for deed in (
        lambda: current_experiment(store_settings),
        lambda: plan_cleanup(store_settings, 0),
        lambda: start_experiment(store_settings, Plan(releases[0], "ab", 0.5)),
    ):
        with pytest.raises(BrokenExperiment, match="Delete that object"):
            deed()


def test_clean_up_leaves_the_challenger_alone_while_its_experiment_runs(store_settings: Settings, tmp_path: Path):
    names = publish_many(store_settings, tmp_path, 13)
    forgotten = names[0]  # older than what a pointer remembers
    start_experiment(store_settings, Plan(forgotten, "canary", 0.1))
    fates = {fate.release_id: fate.needed for fate in plan_cleanup(store_settings, 0)}
    assert "experiment" in " ".join(fates[forgotten])
    stop_experiment(store_settings, "seen enough")
    fates = {fate.release_id: fate.needed for fate in plan_cleanup(store_settings, 0)}
    assert fates[forgotten] == ()


def test_the_end_of_one_experiment_does_not_end_the_next(store_settings: Settings, releases: list[str]):
    first = start_experiment(store_settings, Plan(releases[0], "ab", 0.5))
    stopped = stop_experiment(store_settings, "seen enough", first.experiment_id)
    second = start_experiment(store_settings, Plan(releases[0], "ab", 0.2))
    assert stop_experiment(store_settings, "the challenger is worse", first.experiment_id) == stopped
    assert current_experiment(store_settings) == second
    assert stop_experiment(store_settings, "worse", second.experiment_id).reason == "worse"


def test_the_command_line_starts_shows_and_stops(
    store_settings: Settings, releases: list[str], monkeypatch: pytest.MonkeyPatch
):
    use_in_commands(store_settings, monkeypatch)
    run = CliRunner().invoke
    assert "There is no experiment" in run(command, ["show"]).output
    started = run(command, ["start", releases[0], "--mode", "ab", "--share", "0.5", "--slow-ms", "20"])
    assert started.exit_code == 0, started.output
    assert f"ab of {releases[0]} beside {releases[1]}" in started.output
    shown = run(command, ["show"]).output
    assert "running" in shown
    assert "slower than 20 ms" in shown
    refused = run(command, ["start", releases[0]])
    assert (refused.exit_code, "is running since" in refused.output) == (1, True)
    blank = run(command, ["stop", "--reason", " "])
    assert (blank.exit_code, "expected why it ends" in blank.output) == (1, True)
    assert "ended: seen enough. Serving follows" in run(command, ["stop", "--reason", "seen enough"]).output
    again = run(command, ["stop", "--reason", "again"]).output
    assert "had ended already" in again
    assert "Serving follows" not in again
    assert "ended" in run(command, ["show"]).output
    assert "`aisle experiment start` and `show` print it" in run(command, ["report", "--id", "x-unknown"]).output
    wrong = run(command, ["start", releases[0], "--mode", "ab", "--share", "1"])
    assert (wrong.exit_code, "share below 1" in wrong.output) == (1, True)


def use_in_commands(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands find these settings in the environment."""
    for name, value in {
        "AISLE_HOME": str(settings.home),
        "AISLE_S3_ENDPOINT_URL": settings.object_store.endpoint_url,
        "AISLE_S3_BUCKET": settings.object_store.bucket,
        "AISLE_S3_SECRET_KEY": settings.object_store.secret_key,
        "AISLE_RELEASE_SIGNING_KEY": settings.signing_key,
    }.items():
        monkeypatch.setenv(name, value)


def _json(content: object) -> bytes:
    return json.dumps(content).encode()
