"""What Prefect has on record of a run: how long its stages took, and the verdicts of its tables."""

from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactCollectionFilter,
    ArtifactCollectionFilterKey,
    FlowFilter,
    FlowFilterId,
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun
from prefect.client.schemas.sorting import FlowRunSort

VERDICT_KEY = "validation-"


def stage_seconds(run_id: UUID) -> list[tuple[str, float]]:
    """The flows that the run called, in the order they ran: name, seconds."""
    with get_client(sync_client=True) as client:
        parent = FlowRunFilterParentFlowRunId(any_=[run_id])
        runs = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(parent_flow_run_id=parent), sort=FlowRunSort.START_TIME_ASC
        )
        ids = FlowFilterId(any_=[run.flow_id for run in runs])
        names = {flow.id: flow.name for flow in client.read_flows(flow_filter=FlowFilter(id=ids))} if runs else {}
    return [(names[run.flow_id], run.total_run_time.total_seconds()) for run in runs]


def unfinished_run(tag: str) -> FlowRun | None:
    """A run with this tag that waits or is under way; None when all of them have ended."""
    open_states = FlowRunFilterState(type=FlowRunFilterStateType(not_any_=list(TERMINAL_STATES)))
    with get_client(sync_client=True) as client:
        tagged = FlowRunFilter(tags=FlowRunFilterTags(all_=[tag]), state=open_states)
        found = client.read_flow_runs(flow_run_filter=tagged, limit=1)
    return found[0] if found else None


def newest_verdicts() -> list[tuple[str, str]]:
    """The newest verdict of every table and feature table: table, what was found."""
    key = ArtifactCollectionFilterKey(like_=f"{VERDICT_KEY}%")
    with get_client(sync_client=True) as client:
        artifacts = client.read_latest_artifacts(artifact_filter=ArtifactCollectionFilter(key=key), limit=200)
    found = ((each.key or "", each.description or "") for each in artifacts)
    return sorted((key.removeprefix(VERDICT_KEY).replace("-", "_"), text) for key, text in found)
