"""`aisle serve`: the serving API in this terminal."""

import errno
import os
import socket
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
    _require_free_port(settings.services.serving_host, settings.services.serving_port)
    click.echo(f"Starting at {settings.services.serving_url} (page /, API /openapi.json). Stop with Ctrl-C.")
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "serving"], environment_for_serving(settings))


def _require_free_port(host: str, port: int) -> None:
    """Listen there for a moment, as the server will."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise click.ClickException(
                f"serving needs port {port}, but another program listens there. Stop it (aisle status), "
                "or set AISLE_SERVING_PORT."
            ) from error
        raise click.ClickException(
            f"serving cannot listen at {host}, port {port} ({error.strerror}). Set AISLE_SERVING_HOST and "
            "AISLE_SERVING_PORT to an address of this machine."
        ) from error
