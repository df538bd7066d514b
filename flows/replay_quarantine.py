"""The story of a replay: judge the held rows again, land what passes, rebuild what that touched."""

from datetime import UTC, datetime

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.tasks import exponential_backoff

from flows.automations import QUARANTINE_REPLAYED, announce
from flows.ingest import open_export
from flows.quarantine import Selection
from flows.replay import ReplayReport, replay_held
from flows.settings import load_settings
from flows.touched_features import Refreshed, refresh_touched
from flows.validation import publish_verdict


@flow(name="replay-quarantine")
def replay_quarantine(
    source: str, table: str | None = None, rule: str | None = None, window: str | None = None, row_id: str | None = None
) -> ReplayReport:
    """Judge a shop's held rows by its mapping and the contract as they stand now; land what passes, keep the rest.

    Args: `source`, a shipped mapping's name or a mapping file; the others choose some of its held rows. Feature tables
    and online values are brought up where the landed rows touched them. Running it again, or after a kill, gives the
    same end. Raises MappingError, LakeError, and DataRejected when a rebuilt feature table breaks a rule.
    """
    report = replay(source, Selection(None, table, rule, window, row_id))
    refreshed = rebuild()
    create_markdown_artifact(page(report, refreshed), key="quarantine-replay", description=report.sentence)
    get_run_logger().info("%s: %s", report.source, report.sentence)
    if report.windows:
        announce(QUARANTINE_REPLAYED, report.source, {"windows": len(report.windows), "rows": report.rows_landed})
    return report


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=exponential_backoff(2), retry_jitter_factor=0.5)
def replay(source: str, selection: Selection) -> ReplayReport:
    """Move what passes from the quarantine into the lake."""
    settings, log = load_settings(), get_run_logger()
    mapping = open_export(settings, source, None, None, None).mapping
    return replay_held(
        settings,
        mapping,
        selection,
        datetime.now(UTC),
        lambda table, window, rows: log.info("%s %s: %d row%s landed", table, window, rows, "" if rows == 1 else "s"),
    )


@task(cache_policy=NO_CACHE)
def rebuild() -> Refreshed:
    """Build the touched feature tables again and load their rows."""
    return refresh_touched(load_settings(), publish_verdict)


def page(report: ReplayReport, refreshed: Refreshed) -> str:
    """The artifact: what landed, what was rebuilt, what stays held and why."""
    lines = [f"# Replay of {report.source}", "", report.sentence, ""]
    lines += ["| landed in | rows |", "|---|---:|", *(f"| {name} | {n:,} |" for name, n in report.landed.items()), ""]
    lines += [f"Windows written: {', '.join(f'{table} {window}' for table, window in report.windows) or 'none'}.", ""]
    lines += [f"Feature tables built again: {refreshed.built} of {refreshed.tables}; loaded: {refreshed.loaded} views."]
    if report.still_held:
        lines += ["", "| still held | rule | rows | for example |", "|---|---|---:|---|"]
        lines += [f"| {table} | {rule} | {n:,} | {_cell(why)} |" for table, rule, why, n in report.still_held]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:300]
