"""What happens to a failure that nobody watched: an artifact and a log line that say which run, why, and where."""

from uuid import UUID

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound


@flow(name="report-failure", log_prints=False)
def report_failure(subject: str, run_id: str = "", reason: str = "") -> None:
    """Keep the last words of a failed run as the artifact `failures`; its page is the list of all failures.

    Args: `subject`, the run's or the automation's name; `run_id`, empty when no run came to be;
    `reason`, what the server said in that case.
    """
    text = failure_text(subject, _read_run(run_id), reason)
    create_markdown_artifact(key="failures", markdown=text, description=f"{subject} failed")
    get_run_logger().error("%s", text)


def failure_text(subject: str, run: FlowRun | None, reason: str = "") -> str:
    """Say in markdown what failed, why, and what to do next."""
    if run is None:
        return f"**{subject}** could not start a run: {reason or 'no reason given'}. Look at Automations and Events."
    state = run.state
    return (
        f"**{run.name}** ended {state.name if state else 'without a state'}.\n\n"
        f"{(state.message if state else None) or 'It left no message.'}\n\n"
        f"Run id: `{run.id}`. Every stage can be run again as it is: what was done is not done twice."
    )


def _read_run(run_id: str) -> FlowRun | None:
    if not run_id:
        return None
    try:
        with get_client(sync_client=True) as client:
            return client.read_flow_run(UUID(run_id))
    except ObjectNotFound:
        return None
