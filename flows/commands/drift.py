"""`aisle drift`: watch for drift now, see a stop, acknowledge it."""

from datetime import date, datetime

import click
from rich.console import Console

from flows.command_group import CommandGroup
from flows.early_checks import require_drift_input
from flows.lake import LakeError
from flows.settings import load_settings
from flows.stops import acknowledge, read_stops
from flows.watch_drift import watch_drift
from flows.watch_policy import PolicyError


@click.group(name="drift", cls=CommandGroup)
def command() -> None:
    """Hold the last whole day and the feature tables against the weeks before; see and acknowledge a stop.

    \b
    Examples:
      aisle drift check
      aisle drift check --source complete_journey --day 2017-11-20
      aisle drift stops
      aisle drift acknowledge
    """


@command.command(name="check")
@click.option("--source", default=None, help="Only this shop; by default all, and the feature tables.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), default=None, help="Default: the last whole day.")
def check_command(source: str | None, day: datetime | None) -> None:
    """Judge a day, print what is in alarm, and do what AISLE_HOME/watch.toml says of new alarms.

    Example: aisle drift check --source complete_journey --day 2017-11-20
    """
    chosen: date | None = day.date() if day else None
    try:
        require_drift_input(load_settings(), source, chosen)
        summaries = watch_drift(source, chosen)
    except (LookupError, PolicyError, LakeError) as error:
        raise click.ClickException(str(error.args[0] if error.args else error)) from error
    console = Console(highlight=False)
    for summary in summaries:
        console.print(f"{summary.source} on {summary.day}: {summary.headline}", markup=False, soft_wrap=True)
        for reading in summary.alarms:
            new = "" if reading in summary.fresh else " (told before)"
            console.print(f"  {reading.signal}: {reading.words}{new}", markup=False, soft_wrap=True)
        if summary.actions:
            console.print(f"  triggered: {', '.join(summary.actions)}", markup=False)


@command.command(name="stops")
def stops_command() -> None:
    """Show why features and training stand still, if they do.

    Example: aisle drift stops
    """
    stops = read_stops(load_settings())
    for stop in stops:
        click.echo(f"{stop.source}, since {stop.stopped_at}")
        for reason in stop.reasons:
            click.echo(f"  {reason}")
    click.echo("Let them go on: aisle drift acknowledge" if stops else "Nothing is stopped.")


@command.command(name="acknowledge")
def acknowledge_command() -> None:
    """Take the stop away: features and training go on with the data as it is.

    Example: aisle drift acknowledge
    """
    stops = acknowledge(load_settings())
    told = ", ".join(stop.source for stop in stops)
    click.echo(f"Features and training may go on. Acknowledged: {told}" if stops else "Nothing was stopped.")
