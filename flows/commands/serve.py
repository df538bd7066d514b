"""`aisle serve`: the serving API in this terminal."""

import os
import sys

import click

from flows.settings import environment_for_serving, load_settings


@click.command("serve")
def command() -> None:
    """Start the serving API and its page, and stay until it is stopped.

    It answers from the champion release and takes up a new one by itself. The address and everything else come from
    AISLE_* variables; `aisle up` starts it together with all else.

    \b
    Example:
      aisle serve
      AISLE_SERVING_PORT=9000 AISLE_CLOCK=wall aisle serve
    """
    settings = load_settings()
    click.echo(f"Serving at {settings.services.serving_url} (page /, API /openapi.json). Stop with Ctrl-C.")
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "serving"], environment_for_serving(settings))
