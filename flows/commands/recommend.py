"""`aisle recommend`: one user's slate from the running API, as a table."""

import re
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.demo_report import report_console
from flows.settings import load_settings
from flows.storefront_client import NoServing, ServingUnreachable, ask_for_slate, price_of

_PSEUDONYM = re.compile(r"u_[0-9a-f]{24}")


@click.command("recommend")
@click.argument("user")
@click.option("--k", default=10, show_default=True, type=click.IntRange(1, 200), help="How many items.")
@click.option("--url", help="Address of the API; the one of the settings when absent.")
def command(user: str, k: int, url: str | None) -> None:
    """Ask the running serving API for the slate of USER: the shop's own id, or a pseudonym (u_...).

    Where serving asks for an API key, AISLE_API_KEY holds one with the scope `read`.

    \b
    Example:
      aisle recommend 1228 --k 5
    """
    if url is not None and not url.startswith(("http://", "https://")):
        raise click.ClickException(f"--url: expected an address like http://127.0.0.1:8000, came {url!r}.")
    by = named_by(user)
    try:
        settings = load_settings()
        answer = ask_for_slate((url or settings.services.serving_url).rstrip("/"), {by: user}, k, settings.api_key)
    except NoServing as error:
        hint = f"{str(error).removesuffix('.')}; or name another address with --url."
        raise click.ClickException(hint) from error
    except ServingUnreachable as error:
        raise click.ClickException(str(error)) from error
    print_slate(report_console(), answer)


def named_by(user: str) -> str:
    """Say what the API knows a user by: a pseudonym as we make them, else the shop's own id."""
    return "pseudonym" if _PSEUDONYM.fullmatch(user) else "user_id"


def print_slate(console: Console, answer: dict[str, Any]) -> None:
    """Print an answer of `POST /v1/recommendations`: where it came from, then one row an item."""
    console.print(
        f"[bold]{answer['source']}[/bold] · release {answer['release_id']} · as of {answer['as_of'][:16]} · "
        f"{answer['user']}"
    )
    table = Table("#", "Item", "Title", "Shelf", "Price", "Reason", box=None, header_style="dim")
    for item in answer["slate"]:
        shelf = (item["category"] or "").rpartition(" > ")[2]
        row = (str(item["rank"]), item["item_id"], item["title"], shelf, price_of(item), item["reason"]["text"])
        table.add_row(*map(Text, row))  # a title like "The Matrix [dvd]" is no markup
    console.print(table)
    for note in answer["notes"]:
        console.print(Text(note, style="yellow"))
