"""`aisle freshness`: how far behind each stage is."""

import click

from flows.lake import LakeError
from flows.settings import load_settings
from flows.watch_freshness import watch_freshness
from flows.watch_policy import PolicyError, load_policy


@click.command(name="freshness")
def command() -> None:
    """Measure how far behind each stage is, against the limits of AISLE_HOME/watch.toml; one that is over is told once.

    Example: aisle freshness
    """
    try:
        load_policy(load_settings())
        lags = watch_freshness()
    except (PolicyError, LakeError) as error:
        raise click.ClickException(str(error)) from error
    for lag in lags:
        click.echo(f"{lag.words}{', over' if lag.over else ''}")
