"""The story of the drift watch: judge each shop's last whole day and the feature tables, show, do what is declared."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.tasks import exponential_backoff

from expectations.drift import Reading
from expectations.drift_report import drift_headline, drift_markdown
from flows.automations import DRIFT_BREACHED, RETRAIN_WANTED, announce
from flows.drift_days import DriftReport, fresh_alarms, judge_drift, remember_told, sources_of
from flows.feature_days import judge_features
from flows.settings import load_settings
from flows.stops import put_stop
from flows.watch_policy import load_policy


@dataclass(frozen=True)
class DriftSummary:
    """The day of a shop (or the feature tables): what is in alarm, what of it is new, the actions it triggered."""

    source: str
    day: date
    headline: str
    alarms: tuple[Reading, ...]
    fresh: tuple[Reading, ...]
    actions: tuple[str, ...]


@flow(name="watch-drift")
def watch_drift(source: str | None = None, day: date | None = None) -> list[DriftSummary]:
    """Hold each shop's last whole day, and the feature tables as of its end, against the weeks before.

    A new alarm triggers what watch.toml says. Args: `source`, one shop (None: all of the lake, and the feature
    tables); `day`, by default the last whole one before the newest event. Running it again tells nothing twice. Raises
    PolicyError (watch.toml) and LookupError (the shop has no events).
    """
    summaries = []
    for name in [source] if source else find_sources():
        report = judge(name, day)
        show(report)
        summaries.append(act(report))
    tables = None if source else judge_tables(day)
    if tables:
        show(tables)
        summaries.append(act(tables))
    return summaries


@task(cache_policy=NO_CACHE)
def find_sources() -> list[str]:
    """Ask the lake for its shops. Raises LookupError when it has no events."""
    found = sources_of(load_settings())
    if not found:
        raise LookupError("The lake has no events yet. Land some first: aisle ingest --source complete_journey")
    return found


@task(task_run_name="judge {source}", cache_policy=NO_CACHE, retries=2, retry_delay_seconds=exponential_backoff(2))
def judge(source: str, day: date | None) -> DriftReport:
    """Read a shop's last weeks and judge the days shown."""
    settings = load_settings()
    return judge_drift(settings, load_policy(settings), source, day)


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=exponential_backoff(2))
def judge_tables(day: date | None) -> DriftReport | None:
    """Count the feature tables of the weeks that were not counted yet, and judge; None when none was ever built."""
    settings = load_settings()
    return judge_features(settings, load_policy(settings), day)


def show(report: DriftReport) -> None:
    """Put the day on the run's page; the key's page is the shop's history."""
    headline = drift_headline(report.alarms, len(report.days[-1]))
    create_markdown_artifact(
        drift_markdown(report.source, report.day, report.days, report.alarms, report.note),
        key=artifact_key(report.source),
        description=f"{report.day}: {headline}",
    )
    get_run_logger().info("%s on %s: %s", report.source, report.day, headline)


def act(report: DriftReport) -> DriftSummary:
    """Do what the policy says of the alarms that were not told before: first the stop, then the events."""
    settings, log = load_settings(), get_run_logger()
    policy, fresh = load_policy(settings), fresh_alarms(settings, report)
    wanted = {
        action: [r for r in fresh if action in policy.actions_for(r.signal)] for action in ("stop", "alert", "retrain")
    }
    words = {action: [f"{r.signal}: {r.words}" for r in readings] for action, readings in wanted.items()}
    for reading in fresh:
        log.warning("%s drifts: %s (score %.2f, two days in a row)", reading.signal, reading.words, reading.score)
    if words["stop"]:
        put_stop(settings, report.source, words["stop"])
    if words["alert"]:
        announce(DRIFT_BREACHED, report.source, _facts(report, words["alert"]))
    if words["retrain"]:
        announce(RETRAIN_WANTED, report.source, _facts(report, words["retrain"]))
    remember_told(settings, report)
    headline = drift_headline(report.alarms, len(report.days[-1]))
    actions = tuple(action for action, readings in wanted.items() if readings)
    return DriftSummary(report.source, report.day, headline, report.alarms, tuple(fresh), actions)


def artifact_key(source: str) -> str:
    """Return the key of a shop's artifact."""
    return f"drift-{source.replace('_', '-').lower()}"


def _facts(report: DriftReport, words: Sequence[str]) -> dict[str, object]:
    text = f"{report.source} drifted on {report.day}. {'; '.join(words)}. Artifact: {artifact_key(report.source)}."
    return {"day": report.day.isoformat(), "text": text}
