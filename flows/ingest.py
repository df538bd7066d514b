"""The story of an ingest: stage a shop's export, judge it whole, then hold the bad rows and land the good ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
from prefect import flow, get_run_logger, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task, exponential_backoff

from expectations.validate import raise_if_refused
from flows import judging, landing
from flows.automations import INGEST_COMPLETED, announce
from flows.contract_profile import record_profile
from flows.judging import JudgedTable
from flows.landing import TableSummary, staging_folder
from flows.object_client import ObjectStoreError
from flows.settings import Settings, load_settings
from flows.sources import staging
from flows.sources.mapping import load_mapping
from flows.sources.mapping_keys import ExportRejected, MappingError
from flows.sources.staging import Export, StagedTable
from flows.spool_files import LIVE_SOURCE, only_reader, put_away, seal_spool
from flows.validation import publish_verdict


@dataclass(frozen=True)
class IngestSummary:
    """What became of an export, a summary a table: the catalogue first, events last."""

    source: str
    tables: tuple[TableSummary, ...]

    @property
    def windows_landed(self) -> int:
        """Windows written by this run; 0 when all of it had landed before."""
        return sum(table.windows_landed for table in self.tables)


@flow(name="ingest")
def ingest(
    source: str = "complete_journey",
    path: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    replace: bool = False,
) -> IngestSummary:
    """Land a shop's export in the lake; running it again, or after a kill, gives the same lake.

    Args: `source`, a shipped mapping's name or a mapping file; `path`, where the files lie, if not where the mapping
    says; `since` and `until` bound the event times; `replace` removes events within the export's span that it does not
    name. Raises MappingError or ExportRejected (the export cannot be read) and DataRejected (a table broke a rule of
    the table); then nothing was written.
    """
    settings, now = load_settings(), datetime.now(UTC)
    export = open_export(settings, source, path, since, until)
    require_whole(export, replace)
    if export.mapping.source == LIVE_SOURCE:
        summary = ingest_spool(settings, export, now)
    else:
        summary = land_export(settings, export, now, replace)
    if summary.windows_landed:
        remember(settings, export, now)
        announce(INGEST_COMPLETED, summary.source, {"windows": summary.windows_landed})
    return summary


def ingest_spool(settings: Settings, export: Export, now: datetime) -> IngestSummary:
    """Land the events of a spool and put its files away, after any other ingest that is at them."""
    folder, log = export.path or export.mapping.folder, get_run_logger()
    with only_reader(folder, "events", lambda: log.info("Another ingest of live events is under way; waiting for it.")):
        sealed = seal_spool(folder)
        summary = land_export(settings, export, now, replace=False)
        put_away(sealed, export.whole)
    return summary


def land_export(settings: Settings, export: Export, now: datetime, replace: bool) -> IngestSummary:
    """Stage every table of an export, judge them together, and land them, the catalogue first."""
    with staging_folder(settings) as folder:
        # Events are staged first: a catalogue may be made of them.
        tables = sorted(export.mapping.tables, key=lambda table: table != "events")
        staged = [stage(settings, export, table, folder) for table in tables]
        judged = judge(settings, export, staged, folder, now)
        publish(settings, judged)
        refuse(judged)
        return IngestSummary(
            export.mapping.source, tuple(land(settings, export, table, now, replace) for table in judged)
        )


def open_export(
    settings: Settings,
    source: str,
    path: str | None,
    since: datetime | None,
    until: datetime | None,
    rows: int | None = None,
) -> Export:
    """Read the mapping; times without a zone are UTC; `rows` bounds a sample.

    Raises MappingError, also for a path that does not fit the mapping.
    """
    mapping = load_mapping(source, {"spool": str(settings.spool_path), "home": str(settings.home)})
    if path is not None and not Path(path).is_dir() and not path.endswith(".zip") and mapping.file_sets > 1:
        expected = f"a folder or a zip, because the mapping reads {mapping.file_sets} sets of files"
        raise MappingError(mapping.file, "--path", expected, repr(path))
    bounds = [time.replace(tzinfo=UTC) if time and time.tzinfo is None else time for time in (since, until)]
    return Export(mapping, Path(path) if path else None, *bounds, rows)


def require_whole(export: Export, replace: bool) -> None:
    """Raise ValueError where a part of an export would take the place of all that its windows have."""
    if replace and (not export.whole or export.mapping.source == LIVE_SOURCE):
        raise ValueError("replace: expected a whole export of a shop, came bounds of time, or live events, which add.")


def remember(settings: Settings, export: Export, now: datetime) -> None:
    """Keep a small profile of what landed, for `aisle contract check`. The rows are safe: a failure is only told."""
    try:
        record_profile(settings, export, now)
    except (MappingError, ExportRejected, ObjectStoreError, OSError, duckdb.Error) as error:
        get_run_logger().warning("The profile of this export was not kept: %s", error)


@task(task_run_name="stage {table}", cache_policy=NO_CACHE)
def stage(settings: Settings, export: Export, table: str, folder: Path) -> StagedTable:
    """Map one table's raw rows to the contract's columns, user ids to pseudonyms."""
    staged = staging.stage_table(export, table, folder, settings.pseudonym_key)
    get_run_logger().info("%s: %s rows staged", table, f"{staged.rows + staged.unread_rows:,}")
    if staged.left_out:
        get_run_logger().info("%s: %s rows left out, as the mapping says", table, f"{staged.left_out:,}")
    return staged


@task(cache_policy=NO_CACHE)
def judge(
    settings: Settings, export: Export, staged: Sequence[StagedTable], folder: Path, now: datetime
) -> tuple[JudgedTable, ...]:
    """Give every table its verdict, and find the rows to hold."""
    return judging.judge_tables(settings, export.mapping, staged, folder, now, export.whole)


@task(cache_policy=NO_CACHE)
def publish(settings: Settings, judged: Sequence[JudgedTable]) -> None:
    """Show each verdict in Prefect and keep its report."""
    for table in judged:
        if table.verdict is not None:
            publish_verdict(settings, table.verdict, table.trend)


def refuse(judged: Sequence[JudgedTable]) -> None:
    """Stop here, before anything is written, when a table broke a rule of the table."""
    for table in judged:
        if table.verdict is not None:
            raise_if_refused(table.verdict)


def _storage_failed(_task: Task[..., object], _run: TaskRun, state: State[object]) -> bool:
    """Only what the storage outside does is worth another try; a fault of ours would only fail again."""
    return isinstance(state.result(raise_on_failure=False), OSError | RuntimeError)


@task(
    task_run_name="land {judged.staged.table}",
    cache_policy=NO_CACHE,
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_jitter_factor=0.5,
    retry_condition_fn=_storage_failed,
)
def land(settings: Settings, export: Export, judged: JudgedTable, now: datetime, replace: bool = False) -> TableSummary:
    """Hold the bad rows and write the windows of one table, with a progress bar on the run's page."""
    table, logger = judged.staged.table, get_run_logger()
    bar = create_progress_artifact(progress=0.0, key=f"ingest-{table}", description=f"{table}: windows landed")

    def show(done: int, due: int, rows: int) -> None:
        update_progress_artifact(artifact_id=bar, progress=100 * done / due)  # type: ignore[arg-type]
        logger.info("%s: window %d of %d landed (%s rows)", table, done, due, f"{rows:,}")

    summary = landing.land_table(settings, export.mapping, judged, now, show, replace)
    update_progress_artifact(artifact_id=bar, progress=100.0)  # type: ignore[arg-type]
    logger.info("%s: %s rows in, %s held", table, f"{summary.rows_in:,}", f"{summary.rows_held:,}")
    if summary.rows_of_before:
        logger.warning("%s: %s", table, summary.told_of_before(replace))
    return summary
