"""Bring the server to what prefect.yaml and flows/automations.py say: work pool, deployments, automations."""

import subprocess
import sys
from collections.abc import Callable
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.automations import upsert_automations
from flows.services import PROJECT, WORK_POOL
from flows.settings import Settings, environment_for_children

#: Flows of one machine take turns: the lake has one writer, and two cores train one model.
RUNS_AT_ONCE = 1
TAG = "aisle"


def deploy_everything(
    settings: Settings, api_url: str | None = None, tell: Callable[[str], None] = print
) -> dict[str, UUID]:
    """Put every deployment of prefect.yaml and every automation on a server; again and again gives the same.

    `api_url` is by default that of the server which `aisle up` starts. Returns the deployments' ids by name. Raises
    RuntimeError with Prefect's own words when a deployment is refused.
    """
    address = api_url or settings.services.prefect_api_url
    with temporary_settings({PREFECT_API_URL: address}):
        _ensure_work_pool()
        _deploy_all({**environment_for_children(settings), "PREFECT_API_URL": address, "AISLE_PROJECT": str(PROJECT)})
        deployed = deployment_ids()
        names = upsert_automations(deployed)
    tell(f"Deployments: {', '.join(sorted(deployed))}")
    tell(f"Automations: {', '.join(name.removeprefix('aisle: ') for name in names)}")
    return deployed


def deployment_ids() -> dict[str, UUID]:
    """Our deployments on the server of the present settings: id by name."""
    with get_client(sync_client=True) as client:
        found = client.read_deployments(
            deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG])),
        )
    return {deployment.name: deployment.id for deployment in found}


def _ensure_work_pool() -> None:
    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=WORK_POOL, type="process", concurrency_limit=RUNS_AT_ONCE))
        except ObjectAlreadyExists:
            client.update_work_pool(WORK_POOL, WorkPoolUpdate(concurrency_limit=RUNS_AT_ONCE))


def _deploy_all(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"Prefect refused a deployment of {PROJECT / 'prefect.yaml'}:\n{done.stdout}{done.stderr}")
