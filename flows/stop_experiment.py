"""End the running experiment from Prefect: the story of `aisle experiment stop`, with what came of it."""

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact

from flows.answers import land_answers, land_shadows
from flows.experiment_report import markdown_of, publish_report, report_of
from flows.experiments import BY_HAND, stop_by_hand
from flows.settings import load_settings
from flows.watch_experiment import ARTIFACT_KEY


@flow(name="stop-experiment")
def stop_experiment(reason: str = BY_HAND) -> str:
    """End the experiment and report what came of it; return its id. Serving follows within seconds.

    Raises ObjectMissing when there is none. What was still on its way is in a later `aisle experiment report`.
    """
    settings = load_settings()
    experiment = stop_by_hand(settings, reason)
    land_answers(settings)
    land_shadows(settings)
    report = report_of(settings, experiment)
    publish_report(settings, report)
    create_markdown_artifact(markdown_of(report), key=ARTIFACT_KEY, description=report.headline)
    get_run_logger().info("%s: %s. %s", experiment.experiment_id, report.headline, report.sentence)
    return experiment.experiment_id
