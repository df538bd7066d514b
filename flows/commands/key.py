"""`aisle key`: API keys of serving."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich import box
from rich.console import Console
from rich.table import Table

from flows.api_keys import SCOPES, BrokenKeys, UnknownKey, list_keys, new_key, revoke_key
from flows.command_group import CommandGroup
from flows.settings import load_settings


@click.group(name="key", cls=CommandGroup)
def command() -> None:
    """Make, list or revoke API keys of serving; it takes up a change within seconds, without a restart.

    As long as there is no key nobody needs one; with the first key everybody does. To rotate: make a new key, give it
    to the caller, revoke the old one.

    \b
    Examples:
      aisle key new "web shop" --scope read --scope events --per-minute 6000
      aisle key list
      aisle key revoke 3f2a9c01
    """


@command.command("new")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES), help="What it opens.")
@click.option(
    "--per-minute", type=click.FloatRange(min=0, min_open=True), help="Requests a minute; any number if absent."
)
@click.option("--max-bytes", type=click.IntRange(min=1), help="Size of one request; the server's limit if absent.")
def new_command(name: str, scopes: tuple[str, ...], per_minute: float | None, max_bytes: int | None) -> None:
    """Make a key for NAME and print it: it is shown this once, and kept as a hash.

    \b
    Example:
      aisle key new "web shop" --scope read --scope events --per-minute 6000
    """
    if not name.strip():
        raise click.UsageError("NAME: expected who the key is for, came nothing.")
    if per_minute is not None and not math.isfinite(per_minute):
        raise click.UsageError(f"--per-minute: expected a number (leave it out for any), came {per_minute}.")
    path = load_settings().api_keys_path
    with _plain_failures():
        click.echo(new_key(path, name, scopes, per_minute, max_bytes))
    click.echo(f"Keep it: {path} has its hash only.", err=True)


@command.command("list")
def list_command() -> None:
    """List the keys: id, name, scopes, limits, state.

    Example: aisle key list
    """
    path = load_settings().api_keys_path
    with _plain_failures():
        keys = list_keys(path)
    if not keys:
        click.echo("There is no key, so serving asks nobody for one. Make one: aisle key new NAME --scope read")
        return
    table = Table("id", "name", "scopes", "a minute", "bytes", "made", "", box=box.SIMPLE_HEAD)
    for row in keys:
        limits = (
            "" if row[limit] is None else f"{row[limit]:g}" for limit in ("requests_per_minute", "max_body_bytes")
        )
        state = f"revoked {row['revoked_at'][:10]}" if row["revoked_at"] else ""
        table.add_row(row["id"], row["name"], " ".join(row["scopes"]), *limits, row["created_at"][:10], state)
    Console(emoji=False).print(table, markup=False)


@command.command("revoke")
@click.argument("key_id")
def revoke_command(key_id: str) -> None:
    """Take the key KEY_ID out of use.

    Example: aisle key revoke 3f2a9c01
    """
    with _plain_failures():
        revoke_key(load_settings().api_keys_path, key_id)
    click.echo(f"{key_id} is revoked. Serving turns it away within seconds.")


@contextmanager
def _plain_failures() -> Iterator[None]:
    """Turn an unknown key, and a file that is no key file, into one line on the console."""
    try:
        yield
    except (UnknownKey, BrokenKeys) as error:
        raise click.ClickException(str(error)) from error
