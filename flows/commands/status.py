"""`aisle status`: what runs, and where."""

import click
from rich.console import Console
from rich.table import Table

from flows.services import service_states
from flows.settings import Settings, load_settings


@click.command(name="status")
def command() -> None:
    """Say what is running, and where.

    Example: aisle status
    """
    print_services(load_settings(), Console())


def print_services(settings: Settings, console: Console) -> None:
    """Print a table of the services: state, address, log file."""
    table = Table(title="Services", title_justify="left")
    for heading in ("service", "state", "address", "log"):
        table.add_column(heading, overflow="fold")
    for state in service_states(settings):
        table.add_row(state.title, "running" if state.running else "stopped", state.address, str(state.log))
    console.print(table)
    serving = settings.services.serving_url
    console.print(f"Storefront {serving}/ · API {serving}/openapi.json · Prefect UI {_prefect_ui(settings)}")


def _prefect_ui(settings: Settings) -> str:
    return settings.services.prefect_api_url.removesuffix("/api")
