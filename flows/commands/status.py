"""`aisle status`: what runs, and where."""

import click
from rich.console import Console

from flows.services import service_states
from flows.settings import Settings, load_settings


@click.command(name="status")
def command() -> None:
    """Say what is running, and where.

    Example: aisle status
    """
    print_services(load_settings(), Console())


def print_services(settings: Settings, console: Console) -> None:
    """Print the services, each with its state, address and log file, and what to open; no address is ever cut."""
    states = service_states(settings)
    console.print("Services", style="bold")
    for state in states:
        running = "running" if state.running else "stopped"
        _line(console, f"  {state.title:<13} {running:<8} {state.address}")
        _line(console, f"{'':<25}{state.log}")
    serving = settings.services.serving_url
    _line(console, f"Storefront {serving}/")
    _line(console, f"API        {serving}/openapi.json")
    _line(console, f"Prefect UI {_prefect_ui(settings)}")


def _line(console: Console, text: str) -> None:
    """Print a line that the terminal may wrap and we do not, so that what is copied from it is whole."""
    console.print(text, soft_wrap=True, markup=False)


def _prefect_ui(settings: Settings) -> str:
    return settings.services.prefect_api_url.removesuffix("/api")
