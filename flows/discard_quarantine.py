"""The story of a discard: held rows that will never land are marked, with a reason, and stay to be looked up."""

from datetime import UTC, datetime

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.quarantine import Selection, discard
from flows.settings import load_settings


@flow(name="discard-quarantine")
def discard_quarantine(
    reason: str,
    source: str | None = None,
    table: str | None = None,
    rule: str | None = None,
    window: str | None = None,
    row_id: str | None = None,
) -> int:
    """Mark the chosen held rows as discarded, and say why; return how many. Again and again gives the same.

    Raises ValueError without a reason, or when no row is chosen (an empty word chooses none): nothing is discarded by
    accident.
    """
    selection = Selection(source or None, table or None, rule or None, window or None, row_id or None)
    if not reason.strip() or selection == Selection():
        raise ValueError("discard: expected a reason, and a source, table, rule, window or row_id; came nothing.")
    count = mark(selection, reason)
    chosen = ", ".join(f"{name} {value}" for name, value in vars(selection).items() if value is not None)
    text = f"{count:,} held rows of {chosen} were discarded: {reason}"
    create_markdown_artifact(f"# Discarded\n\n{text}\n", key="quarantine-discard", description=text)
    get_run_logger().info(text)
    return count


@task(cache_policy=NO_CACHE)
def mark(selection: Selection, reason: str) -> int:
    """Write the rows' new state."""
    return discard(load_settings(), selection, reason, datetime.now(UTC))
