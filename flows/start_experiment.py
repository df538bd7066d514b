"""Start an experiment from Prefect: the story of `aisle experiment start`, with its plan as the run's artifact."""

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact

from feature_repo.experiments import Bounds
from flows.experiment_report import markdown_of, report_of
from flows.experiments import Plan
from flows.experiments import start_experiment as begin
from flows.settings import load_settings
from flows.watch_experiment import ARTIFACT_KEY


@flow(name="start-experiment")
def start_experiment(
    release_id: str, mode: str = "canary", share: float = 0.05, planned_users: int = 10_000, slow_ms: float = 100.0
) -> str:
    """Let a stored release run beside the champion; return the experiment's id. Serving follows within seconds.

    Raises what flows/experiments.py raises: one that runs, a plan that cannot be meant, no such release.
    """
    settings = load_settings()
    plan = Plan(release_id, mode, share, Bounds(slow_ms=slow_ms), planned_users=planned_users)
    experiment = begin(settings, plan)
    report = report_of(settings, experiment)
    create_markdown_artifact(markdown_of(report), key=ARTIFACT_KEY, description=report.headline)
    get_run_logger().info("%s: %s", experiment.experiment_id, report.headline)
    return experiment.experiment_id
