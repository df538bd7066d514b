"""`aisle down`: stop the services."""

import click

from flows.services import stop_services
from flows.settings import load_settings


@click.command(name="down")
def command() -> None:
    """Stop what `aisle up` or `aisle demo` started. The lake, the releases and the run history stay.

    Example: aisle down
    """
    if stop_services(load_settings(), click.echo) == 0:
        click.echo("Nothing is running.")
