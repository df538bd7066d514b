"""`aisle features`: build the feature tables as of a moment."""

from datetime import datetime

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from expectations.validate import DataRejected
from feature_repo.features import FEATURE_VIEWS
from flows.build_features import as_utc
from flows.feature_moments import require_past, serving_moment
from flows.feature_source import event_span
from flows.feature_store import feature_store
from flows.feature_tables import BuildReport, build_tables
from flows.known_lake import lake_as_known
from flows.settings import load_settings
from flows.stops import Stopped
from flows.validation import publish_verdict


@click.command(name="features")
@click.option("--as-of", type=click.DateTime(), help="The moment, UTC. By default just after the newest event.")
@click.option("--known-at", type=click.DateTime(), help="Read the lake as it was then, UTC; into a folder of its own.")
@click.option("--source", help="Only this shop's events (and live ones). By default all that the lake has.")
def command(as_of: datetime | None, known_at: datetime | None, source: str | None) -> None:
    """Build the feature tables as of a moment, judge them, and put them in place.

    Tables that are up to date stay. Killed and run again, it ends in the same tables.

    \b
    Examples:
      aisle features --as-of 2017-12-25
      aisle features --as-of 2017-12-25 --known-at 2018-01-02
    """
    settings, console = load_settings(), Console()
    settings = lake_as_known(settings, as_utc(known_at)) if known_at else settings
    try:
        newest = event_span(settings, source)[1]
        moment = require_past(as_utc(as_of)) if as_of else serving_moment(newest, settings.known_at)
        with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console) as bar:
            running = bar.add_task("feature tables", total=len(FEATURE_VIEWS))
            wanted = dict.fromkeys(FEATURE_VIEWS, (moment,))
            report = build_tables(settings, wanted, source, publish_verdict, lambda *_: bar.advance(running))
            bar.update(running, completed=len(FEATURE_VIEWS))
        feature_store(settings)
    except (LookupError, DataRejected, Stopped) as error:
        raise click.ClickException(str(error)) from error
    console.print(features_table(report, moment))


def features_table(report: BuildReport, moment: datetime) -> Table:
    """Return the tables that stand now, each with its whole path."""
    title = f"{len(report.snapshots)} feature tables as of {moment:%Y-%m-%d %H:%M} UTC, {report.built} built now"
    numbers = (Column(name, justify="right", no_wrap=True) for name in ("rows", "features"))
    path = Column("file", overflow="fold")  # a narrow terminal breaks it, and cuts nothing
    table = Table(Column("view", no_wrap=True), *numbers, path, title=title, title_justify="left")
    for snapshot in report.snapshots:
        features = len(FEATURE_VIEWS[snapshot.view].features)
        table.add_row(snapshot.view, f"{snapshot.rows:,}", str(features), str(snapshot.path))
    return table
