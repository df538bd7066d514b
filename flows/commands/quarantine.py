"""`aisle quarantine`: the held rows, and what to do with them."""

import difflib
from collections.abc import Callable
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from expectations.validate import DataRejected
from feature_repo.schema import TABLES
from flows.command_group import CommandGroup
from flows.demo_report import report_console
from flows.discard_quarantine import discard_quarantine
from flows.early_checks import UnknownSource, require_source
from flows.ingest import open_export
from flows.lake import LakeError, arrow_dataset
from flows.quarantine import Selection, counts_by_rule, list_rows
from flows.replay import ReplayReport
from flows.replay_quarantine import replay_quarantine
from flows.settings import Settings, load_settings
from flows.sources.mapping_keys import ExportRejected, MappingError

STATES = ("held", "replayed", "discarded", "all")
_CHOICES = (
    click.option("--table", type=click.Choice(list(TABLES)), default=None, help="Only rows meant for this table."),
    click.option("--rule", default=None, help="Only rows that broke this rule."),
    click.option("--window", default=None, help="Only rows of this window, like 2026-11 or 'unknown'."),
    click.option("--row", "row_id", default=None, help="Only rows whose id starts with this."),
)
_ANY_SOURCE = click.option("--source", default=None, help="Only rows of this shop.")


def _choices(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_CHOICES):
        command = option(command)
    return command


@click.group(name="quarantine", cls=CommandGroup, invoke_without_command=True)
@_ANY_SOURCE
@click.pass_context
def command(context: click.Context, source: str | None) -> None:
    """Count the held rows by rule; or list, show, replay or discard some.

    \b
    Examples:
      aisle quarantine
      aisle quarantine list --rule quantity_in_bounds --limit 5
      aisle quarantine show q_1f0c
      aisle quarantine replay --source my_shop.toml
      aisle quarantine discard --rule line_readable --reason "torn lines of 3 November"
    """
    if context.invoked_subcommand is not None:
        return
    settings = load_settings()
    counts = [count for count in counts_by_rule(settings) if source in (None, count["source"])]
    console = report_console()
    if not counts:
        _require_known(settings, source)
        console.print("Nothing is held: every row that came has landed.")
        return
    table = Table(title="Held rows", title_justify="left")
    for heading in ("source", "table", "rule", "state", "rows", "for example"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("rule", "rows"))
    for count in counts:
        values = (count[key] for key in ("source", "table_name", "rule", "state", "rows", "example"))
        table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in values))
    console.print(table, markup=False)
    if any(count["state"] == "held" for count in counts):
        console.print("See them: aisle quarantine list --rule RULE", highlight=False)
        console.print("Mend the mapping, then: aisle quarantine replay --source SHOP")


@command.command(name="list")
@_ANY_SOURCE
@_choices
@click.option("--state", type=click.Choice(STATES), default="held", show_default=True, help="What became of them.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Rows to show.")
def list_command(state: str, limit: int, **chosen: str | None) -> None:
    """List rows, the newest first: where they belong, why they are held, and the row as it came.

    Example: aisle quarantine list --rule quantity_in_bounds --limit 5
    """
    console, settings = report_console(), load_settings()
    _require_rule(settings, chosen["rule"])
    rows = list_rows(settings, Selection(**chosen), None if state == "all" else state, limit).to_pylist()
    for row in rows:
        place = f"{row['source']} {row['table_name']} {row['window']} {row['row_id']}"
        console.print(place, markup=False, soft_wrap=True)
        reason = f"  {row['rule']}: {row['reason']}\n  {row['raw']}"
        console.print(reason, markup=False, highlight=False, soft_wrap=True)
    if not rows:
        console.print(f"No {state} row like that. The counts: aisle quarantine")


@command.command(name="show")
@click.argument("row_id")
def show_command(row_id: str) -> None:
    """Show all that is known of the rows whose id starts with ROW_ID.

    Example: aisle quarantine show q_1f0c
    """
    rows = list_rows(load_settings(), Selection(row_id=row_id), None, 10).to_pylist()
    if not rows:
        raise click.ClickException(f"No row's id starts with {row_id!r}. List them: aisle quarantine list --state all")
    for row in rows:
        table = Table(show_header=False, title=row["row_id"], title_justify="left")
        table.add_column("column", no_wrap=True)
        table.add_column("value", overflow="fold")
        for name, value in row.items():
            if value is not None:
                table.add_row(name, str(value))
        Console().print(table, markup=False)


@command.command(name="replay")
@click.option("--source", required=True, help="The shop: a shipped mapping's name, or a mapping file as it stands now.")
@_choices
def replay_command(source: str, **chosen: str | None) -> None:
    """Judge held rows again by the mapping and contract as they stand now; land what passes, rebuild what it touched.

    The rest stays held with its new reason. Running it again, or after a kill, ends in the same lake.

    \b
    Examples:
      aisle quarantine replay --source complete_journey
      aisle quarantine replay --source my_shop.toml --rule event_type_allowed
    """
    try:
        require_source(source)
        open_export(settings := load_settings(), source, None, None, None)
        _require_rule(settings, chosen["rule"])
        report = replay_quarantine(source, **chosen)
    except (UnknownSource, MappingError, ExportRejected, DataRejected, LakeError) as error:
        raise click.ClickException(str(error)) from error
    print_report(report, Console())


def print_report(report: ReplayReport, console: Console) -> None:
    """Print what landed where, and what stays held and why."""
    console.print(f"{report.source}: {report.sentence}", highlight=False)
    windows = ", ".join(f"{table} {window}" for table, window in report.windows)
    console.print(f"Windows written: {windows or 'none'}", highlight=False, soft_wrap=True)
    if report.still_held:
        table = Table(title="Still held", title_justify="left")
        for heading in ("table", "rule", "rows", "for example"):
            table.add_column(heading, overflow="fold")
        for name, rule, why, count in report.still_held:
            table.add_row(name, rule, f"{count:,}", why)
        console.print(table, markup=False)


@command.command(name="discard")
@_ANY_SOURCE
@_choices
@click.option("--reason", required=True, help="Why these rows will never land; it is kept with them.")
def discard_command(reason: str, **chosen: str | None) -> None:
    """Mark held rows as discarded, with a reason. They are not deleted: `list --state discarded` shows them.

    \b
    Example:
      aisle quarantine discard --rule line_readable --reason "torn lines of 3 November"
    """
    if not reason.strip():
        raise click.ClickException("--reason: expected why these rows will never land, came nothing.")
    if not any(chosen.values()):
        raise click.ClickException("say which rows: --source, --table, --rule, --window or --row.")
    settings = load_settings()
    if chosen["source"] not in {count["source"] for count in counts_by_rule(settings)}:
        _require_known(settings, chosen["source"])
    _require_rule(settings, chosen["rule"])
    try:
        count = discard_quarantine(reason, **chosen)
    except (ValueError, LakeError) as error:
        raise click.ClickException(str(error)) from error
    Console().print(f"{count:,} held rows were discarded. See them: aisle quarantine list --state discarded")


def _require_known(settings: Settings, source: str | None) -> None:
    """Refuse a shop of which the lake has nothing, and name those that it knows."""
    landed = arrow_dataset(settings, "windows").to_table(columns=["source"])["source"]
    known = sorted(set(landed.to_pylist()))
    if source is None or source in known:
        return
    near = difflib.get_close_matches(source, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    shops = f"Shops that have landed: {', '.join(known)}." if known else "No shop has landed yet."
    raise click.ClickException(f"--source: nothing is known of a shop {source!r}. {shops}{hint}")


def _require_rule(settings: Settings, rule: str | None) -> None:
    """Refuse a rule that no row of the quarantine broke, and name those that some did."""
    if rule is None:
        return
    broken = sorted({str(count["rule"]) for count in counts_by_rule(settings)})
    if rule in broken:
        return
    near = difflib.get_close_matches(rule, broken, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    known = f"Rules with held rows: {', '.join(broken)}." if broken else "Nothing is held."
    raise click.ClickException(f"--rule: no row was held by {rule!r}. {known}{hint}")
