"""The story of a backfill: a long past landed in chunks of windows, staged ahead, going on where it was stopped."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.deployments import run_deployment
from prefect.runtime import deployment

from flows.automations import INGEST_COMPLETED, announce
from flows.backfill_plan import (
    BackfillRecord,
    Chunk,
    backfill_key,
    drop_record,
    open_record,
    plan_chunks,
    record_chunk,
)
from flows.ingest import judge, land, open_export, publish, refuse, remember
from flows.judging import JudgedTable
from flows.landing import staging_folder
from flows.quarantine import UNKNOWN_WINDOW
from flows.settings import Settings, load_settings
from flows.sources import staging
from flows.sources.staging import Export, StagedTable

#: A run of the deployment hands over to the next after so many seconds, so that hourly flows come in between.
TURN_SECONDS = 600
DEPLOYMENT = "backfill/backfill"


@dataclass(frozen=True)
class BackfillSummary:
    """How far a backfill has come: chunks of the plan, landed before and by this run, and what this run landed."""

    source: str
    chunks: int
    done_before: int
    done_now: int
    rows: int
    windows: int

    @property
    def complete(self) -> bool:
        """Every chunk has landed."""
        return self.done_before + self.done_now == self.chunks


@flow(name="backfill")
def backfill(
    source: str, since: datetime, until: datetime, path: str | None = None, at_once: int = 2
) -> BackfillSummary:
    """Land the events of [since, until) in chunks; killed and run again it goes on, and ends in the same lake.

    Args: `source` and `path` as those of ingest; `at_once`, chunks that are staged side by side (the lake has one
    writer: they land one after another, in time order). Started from its deployment it hands over to a next run every
    ten minutes. Raises what an ingest raises, and SpanError; chunks that have landed stay.
    """
    settings, began, now = load_settings(), time.monotonic(), datetime.now(UTC)
    export = open_export(settings, source, path, since, until)
    chunks = plan_chunks(export.mapping, *_span(export))
    record = open_record(settings, backfill_key(export))
    left = [chunk for chunk in chunks if chunk.number not in record.done]
    summary = BackfillSummary(export.mapping.source, len(chunks), len(chunks) - len(left), 0, 0, 0)
    parameters = {"source": source, "since": since, "until": until, "path": path, "at_once": at_once}
    bar = show_plan(summary)
    with staged_ahead(settings, export, left, at_once) as staged:
        for chunk, tables, folder in staged:
            again = chunk.since is not None and chunk.since > _span(export)[0]
            summary = add(summary, land_chunk(settings, export, tables, folder, now, again))
            record = record_chunk(settings, record, chunk)
            show_progress(bar, summary, chunk, time.monotonic() - began)
            if not summary.complete and time.monotonic() - began > TURN_SECONDS and hand_over(record, parameters):
                break
    finish(settings, export, summary, record, now)
    return summary


@contextmanager
def staged_ahead(
    settings: Settings, export: Export, chunks: Sequence[Chunk], at_once: int
) -> Iterator[Iterator[tuple[Chunk, list[StagedTable], Path]]]:
    """Stage chunks in threads, at most `at_once` under way or waiting to be landed; give them in the plan's order."""
    with staging_folder(settings) as parent, ThreadPoolExecutor(max_workers=max(at_once, 1)) as pool:
        ahead: deque[tuple[Chunk, Path, Future[list[StagedTable]]]] = deque()
        waiting = deque(chunks)

        def given() -> Iterator[tuple[Chunk, list[StagedTable], Path]]:
            while waiting or ahead:
                while waiting and len(ahead) < max(at_once, 1):
                    chunk = waiting.popleft()
                    folder = parent / f"chunk-{chunk.number}"
                    ahead.append((chunk, folder, pool.submit(_stage, settings, export, chunk, folder)))
                chunk, folder, future = ahead.popleft()
                yield chunk, future.result(), folder
                _empty(folder)

        try:
            yield given()
        finally:
            for _, _, future in ahead:
                future.cancel()


def _stage(settings: Settings, export: Export, chunk: Chunk, folder: Path) -> list[StagedTable]:
    folder.mkdir()
    bounded = replace(export, since=chunk.since, until=chunk.until)
    return [staging.stage_table(bounded, table, folder, settings.pseudonym_key) for table in chunk.tables]


def _empty(folder: Path) -> None:
    """Give a landed chunk's disk space back at once."""
    for file in folder.rglob("*.parquet"):
        file.unlink()


def land_chunk(
    settings: Settings, export: Export, staged: Sequence[StagedTable], folder: Path, now: datetime, again: bool = False
) -> tuple[int, int]:
    """Judge and land one staged chunk, as an ingest does; return its rows and the windows written.

    Rows without a time and lines that cannot be split come with every chunk: where they came `again`, they are not
    counted.
    """
    judged = judge(settings, export, staged, folder, now)
    publish(settings, judged)
    refuse(judged)
    landed = [land(settings, export, table, now) for table in judged]
    counted_before = sum(_rows_of_no_time(table) for table in judged) if again else 0
    return sum(table.rows_in for table in landed) - counted_before, sum(table.windows_landed for table in landed)


def _rows_of_no_time(table: JudgedTable) -> int:
    undated = sum(window.rows for window in table.windows if window.name == UNKNOWN_WINDOW)
    return undated + table.staged.unread_rows


def add(summary: BackfillSummary, landed: tuple[int, int]) -> BackfillSummary:
    """Count one more chunk."""
    rows, windows = landed
    return replace(summary, done_now=summary.done_now + 1, rows=summary.rows + rows, windows=summary.windows + windows)


def show_plan(summary: BackfillSummary) -> UUID | None:
    """Put a progress bar on the run's page, and say what is left."""
    get_run_logger().info(
        "%s: %d chunks, %d of them landed by earlier runs.", summary.source, summary.chunks, summary.done_before
    )
    return create_progress_artifact(
        progress=100 * summary.done_before / summary.chunks,
        key=f"backfill-{summary.source.replace('_', '-').lower()}",
        description=f"{summary.source}: chunks landed",
    )


def show_progress(bar: UUID | None, summary: BackfillSummary, chunk: Chunk, seconds: float) -> None:
    """Move the bar, and log the chunk with a guess of the time left."""
    done, left = summary.done_before + summary.done_now, summary.chunks - summary.done_before - summary.done_now
    if bar is not None:
        update_progress_artifact(artifact_id=bar, progress=100 * done / summary.chunks)
    minutes = seconds / summary.done_now * left / 60
    get_run_logger().info(
        "chunk %d of %d landed (%s); %s rows so far, about %.0f min left",
        done,
        summary.chunks,
        chunk.name,
        f"{summary.rows:,}",
        minutes,
    )


def hand_over(record: BackfillRecord, parameters: dict[str, Any]) -> bool:
    """Let a next run of the deployment go on, after what waits already; False when no deployment started this run.

    The idempotency key names the backfill and how far it has come: two runs cannot both start the same next one.
    """
    if deployment.id is None:
        return False
    run_deployment(
        DEPLOYMENT,
        parameters=parameters,
        timeout=0,
        idempotency_key=f"{tag_of(record.key)}-{record.started_at}-{len(record.done)}",
        tags=[tag_of(record.key)],
        as_subflow=False,
    )
    get_run_logger().info("Others have their turn; a next run goes on after chunk %d.", len(record.done))
    return True


def tag_of(key: str) -> str:
    """The tag that all runs of one backfill have in Prefect: the queued one, and those that it hands over to."""
    return f"backfill-{key}"


def finish(settings: Settings, export: Export, summary: BackfillSummary, record: BackfillRecord, now: datetime) -> None:
    """Once every chunk has landed: keep the export's profile, let features follow, and forget the backfill."""
    if not summary.complete:
        return
    drop_record(settings, record)
    if summary.windows or summary.done_before:
        remember(settings, export, now)
        announce(INGEST_COMPLETED, summary.source, {"windows": summary.windows})


def _span(export: Export) -> tuple[datetime, datetime]:
    if export.since is None or export.until is None:
        raise ValueError("A backfill needs both ends of its span.")
    return export.since.astimezone(UTC), export.until.astimezone(UTC)
