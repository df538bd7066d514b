"""The story of an experiment's watch: end what burns, land what was logged, analyse, show, and act on a verdict."""

from dataclasses import replace

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact

from feature_repo.experiments import Experiment
from flows.answers import land_answers, land_shadows
from flows.automations import EXPERIMENT_DECIDED, announce
from flows.experiment_report import ExperimentReport, markdown_of, publish_report, report_of
from flows.experiments import current_experiment, own_key, stop_experiment, why_to_end
from flows.object_client import WriteConflict
from flows.release_objects import create_object
from flows.settings import Settings, load_settings

ARTIFACT_KEY = "experiment"


@flow(name="watch-experiment")
def watch_experiment() -> ExperimentReport | None:
    """Bring the running experiment's report up to date (artifact `experiment`); None where none runs.

    One that a server stopped, whose champion has moved, whose challenger is worse, or whose arms do not have their
    shares is ended, with its reason. That a challenger is better is told (event aisle.experiment.decided): a person
    promotes it.
    """
    settings, log = load_settings(), get_run_logger()
    experiment = current_experiment(settings)
    if experiment is None or not experiment.running:
        return None
    reason = why_to_end(settings, experiment)
    if reason is not None:
        experiment = stop_experiment(settings, reason, experiment.experiment_id)
    land_answers(settings)
    land_shadows(settings)
    report = act(settings, report_of(settings, experiment))
    log.log(30 if report.verdict != "open" or reason else 20, "%s. %s", report.headline, report.sentence)
    create_markdown_artifact(markdown_of(report), key=ARTIFACT_KEY, description=report.sentence[:200])
    publish_report(settings, report)
    return report


def act(settings: Settings, report: ExperimentReport) -> ExperimentReport:
    """Do what a verdict asks for: end the experiment, or tell of a challenger that is better."""
    experiment = report.experiment
    if not experiment.running or report.verdict == "open":
        return report
    advice = f" Promote it: aisle release promote {experiment.challenger}" if report.verdict == "better" else ""
    if _first_time(settings, experiment, report.verdict):
        announce(EXPERIMENT_DECIDED, experiment.experiment_id, {"text": report.sentence + advice})
    if report.verdict == "better":
        return report
    return replace(report, experiment=stop_experiment(settings, report.sentence, experiment.experiment_id))


def _first_time(settings: Settings, experiment: Experiment, verdict: str) -> bool:
    """Return whether this verdict has not been told yet; a verdict is told once."""
    try:
        create_object(settings, own_key(experiment.experiment_id, f"told-{verdict.replace(' ', '-')}.json"), b"{}")
    except WriteConflict:
        return False
    return True
