"""`aisle backfill`: land a long past in chunks."""

from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import click
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from rich.console import Console

from expectations.validate import DataRejected
from flows.backfill import DEPLOYMENT, backfill, tag_of
from flows.backfill_plan import SpanError, backfill_key, plan_chunks
from flows.early_checks import UnknownSource, require_export
from flows.lake import LakeError
from flows.run_progress import progress_on
from flows.run_records import unfinished_run
from flows.settings import load_settings
from flows.sources.mapping import shipped_mappings
from flows.sources.mapping_keys import ExportRejected, MappingError
from flows.sources.staging import Export


@click.command(name="backfill")
@click.option("--source", required=True, help="A shipped shop, or the path of a mapping file.")
@click.option("--from", "since", type=click.DateTime(), required=True, help="First moment (UTC).")
@click.option("--to", "until", type=click.DateTime(), required=True, help="End (UTC), itself not included.")
@click.option("--path", default=None, help="The export, if not where the mapping says.")
@click.option("--at-once", type=click.IntRange(1, 16), default=2, show_default=True, help="Chunks staged side by side.")
@click.option("--later", is_flag=True, help="Leave it to the worker of `aisle up`, after what waits there.")
def command(source: str, since: datetime, until: datetime, path: str | None, at_once: int, later: bool) -> None:
    """Land the events of a long span in chunks of about a month. Stopped or killed, the same command goes on.

    \b
    Examples:
      aisle backfill --source complete_journey --from 2017-01-01 --to 2018-01-02
      aisle backfill --source my_shop.toml --path exports/ --from 2024-01-01 --to 2026-11-01 --later
    """
    start, end, console = since.replace(tzinfo=UTC), until.replace(tzinfo=UTC), Console(highlight=False)
    if later:
        source, path = _from_anywhere(source), None if path is None else str(Path(path).resolve())
    try:
        export = require_export(load_settings(), source, path, start, end)
        plan_chunks(export.mapping, start, end)
        if later:
            console.print(_queue(export, source, at_once), soft_wrap=True)
            return
        with progress_on(console):
            summary = backfill(source, start, end, path, at_once)
    except (UnknownSource, MappingError, ExportRejected, DataRejected, SpanError, LakeError) as error:
        raise click.ClickException(str(error)) from error
    before = f", {summary.done_before} of them by earlier runs" if summary.done_before else ""
    console.print(f"{summary.source}: all {summary.chunks} chunks have landed{before}.")
    console.print(f"This run: {summary.rows:,} rows in, {summary.windows} windows written.")


def _from_anywhere(source: str) -> str:
    """A shipped shop's name, or the mapping file as the worker finds it, which runs in another folder."""
    return source if source in shipped_mappings() or not Path(source).is_file() else str(Path(source).resolve())


def _queued(parameters: dict[str, object], tag: str) -> FlowRun:
    """The run of this backfill that waits or is under way, or a new one: of two who ask at once both get the same."""
    key, run = tag, unfinished_run(tag)
    while run is None or (run.state is not None and run.state.is_final()):
        asked = run_deployment(
            DEPLOYMENT, parameters=parameters, timeout=0, idempotency_key=key, tags=[tag], as_subflow=False
        )
        run = cast(FlowRun, asked)
        key = f"{tag}-{run.id}"
    return run


def _queue(export: Export, source: str, at_once: int) -> str:
    """Hand the backfill to the worker; asked again before it ended, it is the same run, afterwards another one."""
    path = None if export.path is None else str(export.path)
    bounds = {"since": export.since, "until": export.until}
    parameters = {"source": source, **bounds, "path": path, "at_once": at_once}
    try:
        run = _queued(parameters, tag_of(backfill_key(export)))
    except ObjectNotFound as error:
        raise click.ClickException(f"The deployment {DEPLOYMENT} is not there. Start everything: aisle up") from error
    return f"Queued as run {run.name}; its progress is in Prefect, artifact backfill-*."
