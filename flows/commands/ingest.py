"""`aisle ingest`: land a shop's export in the lake."""

from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Table

from expectations.validate import DataRejected, Verdict
from flows.early_checks import UnknownSource, require_export
from flows.ingest import IngestSummary, ingest
from flows.lake import LakeError
from flows.settings import load_settings
from flows.sources.mapping_keys import ExportRejected, MappingError


@click.command(name="ingest")
@click.option(
    "--source", required=True, help="A shipped shop (`aisle source` lists them) or the path of a mapping file."
)
@click.option("--path", default=None, help="The export: a file, a glob or a folder, if not where the mapping says.")
@click.option("--since", type=click.DateTime(), default=None, help="Only events from this moment on (UTC).")
@click.option("--until", type=click.DateTime(), default=None, help="Only events before this moment (UTC).")
@click.option("--replace", is_flag=True, help="Remove what the lake has of the export's span and the export has not.")
def command(source: str, path: str | None, since: datetime | None, until: datetime | None, replace: bool) -> None:
    """Land a shop's export in the lake, window by window. Running it again changes nothing.

    \b
    Examples:
      aisle ingest --source complete_journey
      aisle ingest --source rees46 --path 2019-Oct.csv.gz
      aisle ingest --source my_shop.toml --since 2026-11-01
      aisle ingest --source my_shop.toml --replace
    """
    if replace and (since or until):
        raise click.UsageError("--replace takes the whole export: leave out --since and --until.")
    if since and until and since >= until:
        raise click.UsageError(f"--since must lie before --until, but {since} is not before {until}.")
    bounds = [moment.replace(tzinfo=UTC) if moment else None for moment in (since, until)]
    try:
        require_export(load_settings(), source, path, *bounds)
        summary = ingest(source, path, *bounds, replace)
    except (UnknownSource, MappingError, ExportRejected, DataRejected, LakeError) as error:
        raise click.ClickException(str(error)) from error
    print_summary(summary, Console(), replace)


def print_summary(summary: IngestSummary, console: Console, replaced: bool = False) -> None:
    """Print a table: rows in, written and held, windows landed and skipped, the verdict."""
    table = Table(title=f"Ingest of {summary.source}", title_justify="left")
    table.add_column("table", no_wrap=True)
    for heading in ("rows in", "written", "held", "landed", "skipped"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict")
    for each in summary.tables:
        counts = (each.rows_in, each.rows_written, each.rows_held, each.windows_landed, each.windows_skipped)
        table.add_row(each.table, *(f"{count:,}" for count in counts), verdict_words(each.verdict))
    console.print(table)
    console.print("Landed and skipped are windows; one is skipped when the same content has landed before.")
    for each in summary.tables:
        if each.rows_of_before:
            console.print(f"{each.table}: {each.told_of_before(replaced)}", markup=False, highlight=False)
    for each in summary.tables:
        for check in each.verdict.failed_checks if each.verdict else ():
            broken = f"{each.table}: {check.sentence} {check.failed_rows:,} rows do not."
            console.print(broken, markup=False, highlight=False)
    if any(each.rows_held for each in summary.tables):
        console.print("Held rows, with rule and reason: aisle quarantine")


def verdict_words(verdict: Verdict | None) -> str:
    """A verdict in a few words: passed, passed but for some rules, or no rows."""
    if verdict is None:
        return "no rows"
    failed = len(verdict.failed_checks)
    return (
        f"passed, {failed} of {len(verdict.checks)} rules not kept" if failed else f"passed {len(verdict.checks)} rules"
    )
