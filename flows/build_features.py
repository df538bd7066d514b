"""Build the feature tables that serving reads: every view, as of one moment."""

from datetime import UTC, datetime

from prefect import flow, get_run_logger, task
from prefect.tasks import exponential_backoff

from feature_repo.features import FEATURE_VIEWS
from flows.feature_moments import require_past, serving_moment
from flows.feature_source import event_span
from flows.feature_store import feature_store
from flows.feature_tables import BuildReport, build_tables, ready_line, remove_passing_snapshots
from flows.settings import load_settings
from flows.stops import raise_if_stopped
from flows.validation import publish_verdict


@flow(name="build-features")
def build_features(as_of: datetime | None = None, source: str | None = None) -> datetime:
    """Build, judge and publish every feature table as of a moment; return the moment.

    Args: `as_of`, by default just after the newest event (the midnight after it, once that day is over); `source`, one
    shop of the lake (with live events), by default all. Tables that are up to date stay. Raises DataRejected when a
    table breaks a rule, Stopped while a stop of the watch stands, LookupError for a moment that has not come.
    """
    raise_if_stopped(load_settings())
    moment = require_past(as_utc(as_of)) if as_of else find_moment(source)
    report = build_feature_tables(moment, source)
    rows = sum(snapshot.rows for snapshot in report.snapshots)
    register_features()
    get_run_logger().info(
        "%d feature tables as of %s: %d built, %s rows in all.",
        len(report.snapshots),
        f"{moment:%Y-%m-%d %H:%M} UTC",
        report.built,
        f"{rows:,}",
    )
    return moment


@task(retries=2, retry_delay_seconds=exponential_backoff(5), retry_jitter_factor=0.5)
def find_moment(source: str | None) -> datetime:
    """Ask the lake for its newest event."""
    return serving_moment(event_span(load_settings(), source)[1])


@task
def build_feature_tables(moment: datetime, source: str | None) -> BuildReport:
    """Compute, judge and put in place the tables of all views."""
    wanted = dict.fromkeys(FEATURE_VIEWS, (moment,))
    log = get_run_logger()
    return build_tables(
        load_settings(), wanted, source, publish_verdict, lambda view, count: log.info("%s", ready_line(view, count))
    )


@task
def register_features() -> None:
    """Register the definitions in Feast, where they changed, and let passing snapshots go."""
    feature_store(load_settings())
    remove_passing_snapshots(load_settings())


def as_utc(moment: datetime) -> datetime:
    """Return a moment in UTC; one without a zone means UTC."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
