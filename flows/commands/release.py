"""`aisle release`: list the releases, show one, or make one champion."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich import box
from rich.console import Console
from rich.table import Table

from flows.object_client import ObjectStoreError
from flows.releases import list_releases, promote, read_manifest, read_pointer
from flows.settings import load_settings


@click.group(name="release")
def command() -> None:
    """List releases, show one, or promote one (also to roll back).

    \b
    Examples:
      aisle release list
      aisle release show r20180101-0123456789ab
      aisle release promote r20171231-ba9876543210
    """


@command.command(name="list")
def list_command() -> None:
    """List the releases in the object store; the champion is the one that serving answers with."""
    with _plain_failures():
        releases = list_releases(load_settings())
    if not releases:
        click.echo("There is no release yet. Make one: aisle train")
        return
    table = Table("release", "as of", "model", "NDCG@10", "made", "", box=box.SIMPLE_HEAD)
    table.columns[0].no_wrap = True
    for release in releases:
        if release.manifest is None:
            table.add_row(release.release_id, "", "", "", "", "half published")
            continue
        manifest = release.manifest
        model = manifest["model"]["name"]
        ndcg10 = manifest["metrics"].get("test", {}).get(model, {}).get("ndcg10")
        table.add_row(
            release.release_id,
            manifest["as_of"][:10],
            model,
            "" if ndcg10 is None else f"{ndcg10:.4f}",
            manifest["created_at"][:16].replace("T", " "),
            "champion" if release.champion else "",
        )
    Console().print(table)


@command.command(name="show")
@click.argument("release_id", required=False)
def show_command(release_id: str | None) -> None:
    """Show what a release was made of and how it was judged; without an id, the champion."""
    settings = load_settings()
    with _plain_failures():
        pointer = read_pointer(settings)
        release_id = release_id or (pointer.release_id if pointer else None)
        if release_id is None:
            raise click.ClickException("There is no release yet. Make one: aisle train")
        manifest = read_manifest(settings, release_id)
    Console().print_json(data=manifest)


@command.command(name="promote")
@click.argument("release_id")
def promote_command(release_id: str) -> None:
    """Make a stored release champion, forward or back; each of its files is checked first."""
    with _plain_failures():
        moved = promote(load_settings(), release_id).moved
    click.echo(f"{release_id} is champion{' now' if moved else ' already'}. Serving follows within seconds.")


@contextmanager
def _plain_failures() -> Iterator[None]:
    """Turn the store's errors into one line on the console."""
    try:
        yield
    except ObjectStoreError as error:
        raise click.ClickException(str(error)) from error
