"""`aisle demo`: see everything work, once, on real data."""

import click

from expectations.validate import DataRejected
from flows.daemons import DaemonError
from flows.demo import run_demo
from flows.demo_report import report_console
from flows.early_checks import require_export
from flows.object_client import ObjectStoreError
from flows.settings import load_settings
from flows.sources.mapping_keys import ExportRejected, MappingError
from flows.storefront_client import ServingUnreachable

#: What stops the demo with a message of its own; anything else is our fault and shows its whole trace.
STOPS = (DaemonError, DataRejected, ExportRejected, LookupError, MappingError, ObjectStoreError, ServingUnreachable)


@click.command(name="demo")
@click.option("--source", default="complete_journey", show_default=True, help="The shop's mapping.")
def command(source: str) -> None:
    """Run everything on real data, then ask the live API for three users.

    Takes minutes the first time and less the next: what is done is not done again. The services go on running;
    `aisle down` stops them.

    Example: AISLE_HOME=/tmp/try aisle demo
    """
    try:
        settings = load_settings()
        require_export(settings, source, None)
        run_demo(settings, report_console(), source)
    except STOPS as error:
        raise click.ClickException(str(error)) from error
