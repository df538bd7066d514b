"""What Prefect does by itself, with a real server and worker: failures are told, silent runs end, features follow."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import TypeVar
from uuid import uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.automations import FEATURES_AFTER_INGEST, INGEST_COMPLETED, MISSED_HEARTBEATS, automations
from flows.deployments import deployment_ids
from flows.failures import failure_text
from flows.services import start_services
from flows.settings import HEARTBEAT_SECONDS, Settings, environment_for_children

Seen = TypeVar("Seen")
STARTED = ("features-hourly", "report-failure", "report-alert", "retrain-daily")
BROKEN = """
from prefect import flow
@flow(name="broken")
def broken():
    raise ValueError("table events, column unit_price: expected ≥ 0, came -1")
broken()
"""
KILLED = """
import os, signal, time
from prefect import flow
@flow(name="killed")
def killed():
    time.sleep(5)
    os.kill(os.getpid(), signal.SIGKILL)
killed()
"""
INGESTED = """
from flows.automations import FEATURES_AFTER_INGEST, INGEST_COMPLETED, announce
from prefect import flow
@flow(name="ingested")
def ingested():
    announce(INGEST_COMPLETED, "planted", {"windows": 1})
ingested()
"""


@pytest.fixture(autouse=True)
def _ask_that_server(request: pytest.FixtureRequest) -> Iterator[None]:
    if "deployed" not in request.fixturenames:
        yield
        return
    settings: Settings = request.getfixturevalue("deployed")
    start_services(settings, ("worker",))
    with temporary_settings({PREFECT_API_URL: settings.services.prefect_api_url}):
        yield


def _run(settings: Settings, script: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment_for_children(settings), capture_output=True, timeout=120
    )
    return done.returncode


def _wait_for(look: Callable[[], Seen | None], seconds: float) -> Seen:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (seen := look()) is not None:
            return seen
        time.sleep(1)
    pytest.fail(f"not seen within {seconds:.0f} s")


def _runs_of(flow: str) -> list[FlowRun]:
    with get_client(sync_client=True) as client:
        ids = {each.id for each in client.read_flows() if each.name == flow}
        return [run for run in client.read_flow_runs(limit=200) if run.flow_id in ids]


def _artifact_with(words: str) -> str | None:
    with get_client(sync_client=True) as client:
        texts = [
            str(each.data)
            for each in client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["failures"])))
        ]
    return next((text for text in texts if words in text), None)


def test_a_failure_without_a_run_says_where_to_look():
    assert "could not start a run: no such pool. Look at Automations" in failure_text("x", None, "no such pool")


def test_the_ingest_automation_listens_to_what_the_flow_announces():
    wanted = automations({name: uuid4() for name in STARTED})
    (follow,) = [each for each in wanted if each.name == FEATURES_AFTER_INGEST]
    assert follow.trigger.expect == {INGEST_COMPLETED}


@pytest.mark.slow
def test_a_failed_run_leaves_its_last_words(deployed: Settings):
    assert _run(deployed, BROKEN) != 0
    text = _wait_for(lambda: _artifact_with("column unit_price"), 90)
    assert "ended Failed" in text


@pytest.mark.slow
def test_a_run_whose_process_was_killed_ends_crashed(deployed: Settings):
    assert _run(deployed, KILLED) == -9

    def crashed() -> FlowRun | None:
        return next((run for run in _runs_of("killed") if run.state_name == "Crashed"), None)

    run = _wait_for(crashed, MISSED_HEARTBEATS * HEARTBEAT_SECONDS + 60)
    assert "No heartbeat" in (run.state.message if run.state else "")


@pytest.mark.slow
def test_features_follow_an_ingest_that_landed_rows(deployed: Settings):
    features = deployment_ids()["features-hourly"]
    assert _run(deployed, INGESTED) == 0

    def started() -> FlowRun | None:
        runs = _runs_of("refresh-features")
        return next((r for r in runs if r.deployment_id == features and r.created_by and not r.auto_scheduled), None)

    _wait_for(started, 60)
