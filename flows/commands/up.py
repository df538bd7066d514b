"""`aisle up`: start everything that keeps running."""

import click
from rich.console import Console

from flows.commands.status import print_services
from flows.daemons import DaemonError
from flows.deployments import deploy_everything
from flows.object_client import ObjectStoreError
from flows.services import OBJECT_STORE, start_services
from flows.settings import load_settings


@click.command(name="up")
def command() -> None:
    """Start Prefect, a worker, the schedules, the object store and serving; print the addresses.

    What runs already stays as it is. Stop it all with `aisle down`.

    Example: AISLE_PREFECT_PORT=4300 aisle up
    """
    settings = load_settings()
    try:
        start_services(settings, (OBJECT_STORE, "prefect"), click.echo)
        deploy_everything(settings, tell=click.echo)
        start_services(settings, ("worker", "serving"), click.echo)
    except (DaemonError, ObjectStoreError, RuntimeError) as error:
        raise click.ClickException(str(error)) from error
    print_services(settings, Console())
