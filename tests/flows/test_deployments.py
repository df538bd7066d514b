"""A real Prefect server gets every deployment, really schedules runs, holds each automation once, and has a worker."""

import time
from collections.abc import Iterator

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId, FlowRunFilterState
from prefect.client.schemas.objects import StateType
from prefect.deployments import run_deployment
from prefect.events.actions import RunDeployment
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.automations import upsert_automations
from flows.deployments import RUNS_AT_ONCE, deployment_ids
from flows.services import PROJECT, WORK_POOL, service_states, start_services
from flows.settings import HEARTBEAT_SECONDS, Settings, environment_for_children

pytestmark = pytest.mark.slow
SCHEDULED = (
    "ingest-hourly",
    "features-hourly",
    "retrain-daily",
    "check-champion-daily",
    "watch-drift-daily",
    "watch-freshness-hourly",
)


@pytest.fixture(autouse=True)
def _ask_that_server(deployed: Settings) -> Iterator[None]:
    with temporary_settings({PREFECT_API_URL: deployed.services.prefect_api_url}):
        yield


def _scheduled_runs(name: str) -> int:
    with get_client(sync_client=True) as client:
        (deployment,) = [each for each in client.read_deployments() if each.name == name]
        runs = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                deployment_id=FlowRunFilterDeploymentId(any_=[deployment.id]),
                state=FlowRunFilterState.model_validate({"type": {"any_": [StateType.SCHEDULED]}}),
            )
        )
    return len(runs)


@pytest.mark.parametrize("name", SCHEDULED)
def test_scheduled_runs_really_appear(name: str):
    deadline = time.monotonic() + 90
    while not _scheduled_runs(name):
        assert time.monotonic() < deadline, f"the scheduler made no run of {name} in 90 s"
        time.sleep(0.5)


def test_the_server_holds_what_prefect_yaml_says(deployed: Settings):
    declared = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]
    with get_client(sync_client=True) as client:
        held = {each.name: each for each in client.read_deployments()}
        pool = client.read_work_pool(WORK_POOL)
    assert set(held) == {each["name"] for each in declared}
    assert pool.concurrency_limit == RUNS_AT_ONCE
    for each in declared:
        there = held[each["name"]]
        assert there.tags == each["tags"]
        assert {s.schedule.cron for s in there.schedules} == {s["cron"] for s in each.get("schedules", [])}
        environment = there.job_variables["env"]
        assert int(environment["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]) == HEARTBEAT_SECONDS
        assert environment.items() <= environment_for_children(deployed).items()
        assert set(each.get("parameters", {})) <= set(there.parameter_openapi_schema["properties"])


def test_automations_are_held_once_and_start_deployments_that_exist():
    upsert_automations(deployment_ids())
    with get_client(sync_client=True) as client:
        automations = client.read_automations()
        ids = {each.id for each in client.read_deployments()}
    assert sorted(each.name for each in automations) == [
        "aisle: alert on a breach",
        "aisle: crash silent runs",
        "aisle: features after ingest",
        "aisle: report failed automations",
        "aisle: report failed runs",
        "aisle: retrain on a breach",
    ]
    started = {a.deployment_id for each in automations for a in each.actions if isinstance(a, RunDeployment)}
    assert started <= ids


def test_a_worker_takes_a_run_and_leaves_the_failure_as_an_artifact(deployed: Settings):
    start_services(deployed, ("worker",))
    states = {state.name: state.running for state in service_states(deployed)}
    assert states == {"object-store": False, "prefect": True, "worker": True, "serving": False}
    run = run_deployment("report-failure/report-failure", parameters={"subject": "nobody"}, timeout=120)
    assert run.state.is_completed(), run.state
    with get_client(sync_client=True) as client:
        artifacts = client.read_artifacts()
    assert "**nobody** could not start a run" in next(each.data for each in artifacts if each.key == "failures")
