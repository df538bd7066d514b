"""Publish a verdict: the report in the object store, the artifact on the run's page in Prefect."""

import logging
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext, TaskRunContext

from expectations.report import headline, html_report, markdown_report
from expectations.verdict import Verdict
from flows.object_client import ObjectStoreError
from flows.object_store import put_report
from flows.settings import Settings

logger = logging.getLogger(__name__)


def publish_verdict(settings: Settings, verdict: Verdict, trend: Sequence[tuple[str, int, int]]) -> str:
    """Store the HTML report and show the verdict in Prefect; return the address (or the local path) of the report.

    `trend` holds (window, rows, held) in time order. Neither a store nor a Prefect that fails loses the verdict: the
    report is then kept under AISLE_HOME/reports, and a warning says so. Outside a run there is no artifact.
    """
    address = _store_report(settings, verdict, html_report(verdict, trend))
    if FlowRunContext.get() is not None or TaskRunContext.get() is not None:
        _show_artifact(verdict, markdown_report(verdict, trend), address)
    return address


def artifact_key(table: str) -> str:
    """Return the key of a table's artifact: its page in Prefect is the table's history."""
    return f"validation-{table.replace('_', '-')}"


def _store_report(settings: Settings, verdict: Verdict, page: str) -> str:
    moment = datetime.now(UTC)
    key = f"validation/{verdict.table}/{moment:%Y-%m-%dT%H-%M-%S-%f}.html"
    try:
        return put_report(settings, key, page)
    except ObjectStoreError as error:
        path = _keep(settings.home / "reports" / key, page)
        logger.warning(
            "The report on table %s (%s) could not be stored and is kept at %s. %s",
            verdict.table,
            headline(verdict),
            path,
            error,
        )
        return str(path)


def _keep(path: Path, page: str) -> Path:
    """Write the page so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{secrets.token_hex(4)}")
    fresh.write_text(page, encoding="utf-8")
    fresh.replace(path)
    return path


def _show_artifact(verdict: Verdict, text: str, address: str) -> None:
    where = f"[The whole report as a page]({address})" if "://" in address else f"The whole report: `{address}`"
    try:
        create_markdown_artifact(
            markdown=f"{text}\n{where}\n",
            key=artifact_key(verdict.table),
            description=f"{headline(verdict)} ({verdict.rows:,} rows looked at)",
        )
    except Exception as error:  # the verdict is in the report; a lost artifact must not stop good data
        logger.warning(
            "The verdict on table %s (%s) could not be shown in Prefect; it is at %s. %s: %s",
            verdict.table,
            headline(verdict),
            address,
            type(error).__name__,
            error,
        )
