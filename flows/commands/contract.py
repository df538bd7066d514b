"""`aisle contract`: what the next export would break."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from expectations.rules import HELD_SHARE_LIMIT
from feature_repo.schema import CONTRACT_VERSION
from flows.command_group import CommandGroup
from flows.contract_check import Finding, compare
from flows.contract_profile import ExportProfile, profile_export, recorded_profile, salt_of
from flows.early_checks import UnknownSource, require_source
from flows.ingest import open_export
from flows.rehearsal import rehearse
from flows.settings import Settings, load_settings
from flows.sources.mapping_keys import ExportRejected, MappingError
from flows.sources.staging import Export

#: Rows of each file that are tried.
_ROWS = 20_000


@click.group(name="contract", cls=CommandGroup)
def command() -> None:
    """What the next export would break: columns gone, renamed or new, event types, units, clocks.

    \b
    Example:
      aisle contract check --source my_shop.toml --path next/
    """


@command.command()
@click.option("--source", required=True, help="A shipped shop or the path of a mapping file.")
@click.option("--path", required=True, help="The sample: a file, a folder or a zip of the next export.")
@click.option("--against", default=None, help="An earlier sample, in place of the last export that landed.")
def check(source: str, path: str, against: str | None) -> None:
    """Compare a sample of the next export with the last one that landed, and say which lines to write.

    Ends with 0 when nothing would break, with 1 when something would, with 2 when there is nothing to compare with.

    \b
    Examples:
      aisle contract check --source my_shop.toml --path next/
      aisle contract check --source my_shop.toml --path next.csv --against last.csv
    """
    settings, console = load_settings(), Console()
    try:
        require_source(source)
        export = open_export(settings, source, path, None, None, _ROWS)
        before = _before(settings, source, export, against)
        findings = compare(export.mapping, before, profile_export(export, salt_of(settings), datetime.now(UTC)))
    except (UnknownSource, MappingError, ExportRejected) as error:
        raise click.ClickException(str(error)) from error
    if not any(finding.breaks for finding in findings):
        findings = [*_tried(settings, export), *findings]
    _print(findings, before, console)
    if any(finding.breaks for finding in findings):
        raise SystemExit(1)


def _before(settings: Settings, source: str, export: Export, against: str | None) -> ExportProfile:
    if against is not None:
        earlier = open_export(settings, source, against, None, None, _ROWS)
        return profile_export(earlier, salt_of(settings), datetime.now(UTC))
    recorded = recorded_profile(settings, export.mapping.source)
    if recorded is None:
        error = click.ClickException(
            f"No export of {export.mapping.source} has landed here yet, so there is nothing to compare with. Land one "
            f"(aisle ingest --source {source}), or name an earlier sample with --against."
        )
        error.exit_code = 2
        raise error
    return recorded


def _tried(settings: Settings, export: Export) -> list[Finding]:
    """What the judge would refuse: the last word, where nothing else was found."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            tables = rehearse(settings, export, Path(folder), datetime.now(UTC))
    except (MappingError, ExportRejected) as error:
        return [Finding(True, "the mapping", str(error))]
    torn = [
        Finding(True, table.table, f"{count:,} of {table.rows:,} lines cannot be split into the columns: {example}")
        for table in tables
        for rule, count, example in table.held
        if rule == "line_readable" and count > HELD_SHARE_LIMIT * table.rows
    ]
    return torn + [
        Finding(True, table.table, f"would be refused: {check.sentence}", check.advice)
        for table in tables
        for check in (table.verdict.failed_checks if table.verdict else ())
        if check.level == "table" and check.severity == "critical"
    ]


def _print(findings: list[Finding], before: ExportProfile, console: Console) -> None:
    console.print(
        f"Compared with {before.source} as recorded {before.recorded_at[:19]} (contract {before.contract_version}, "
        f"mapping {before.mapping_hash[:12]}; now contract {CONTRACT_VERSION})",
        highlight=False,
    )
    for finding in findings:
        head = f"\n{'BREAKS' if finding.breaks else 'new   '} {finding.place}"
        console.print(head, style="bold", markup=False, highlight=False)
        console.print(f"       {finding.what}", markup=False, highlight=False, soft_wrap=True)
        for number, line in enumerate(finding.line.splitlines()):
            head = "write: " if number == 0 else "       "
            console.print(f"       {head}{line}", markup=False, highlight=False, soft_wrap=True)
    breaking = sum(finding.breaks for finding in findings)
    console.print(
        f"\n{breaking} would break, {len(findings) - breaking} to look at." if findings else "Nothing changed."
    )
