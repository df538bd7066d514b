"""`aisle deploy`: schedules and automations onto a Prefect server that runs elsewhere."""

import click
from prefect.settings import PREFECT_API_URL

from flows.deployments import deploy_everything
from flows.object_store import ensure_bucket
from flows.settings import load_settings


@click.command(name="deploy")
def command() -> None:
    """Put the work pool, the deployments and the automations on the Prefect server of PREFECT_API_URL.

    `aisle up` does this for its own server. Doing it again changes nothing. An object store elsewhere gets its bucket
    (AISLE_S3_BUCKET) if it has none yet.

    Example: PREFECT_API_URL=https://prefect.shop.example/api aisle deploy
    """
    address = PREFECT_API_URL.value()
    if not address:
        raise click.ClickException("No Prefect server: set PREFECT_API_URL, or start one with `aisle up`.")
    try:
        settings = load_settings()
        if not settings.object_store.embedded:
            ensure_bucket(settings)
        deploy_everything(settings, address, click.echo)
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error
