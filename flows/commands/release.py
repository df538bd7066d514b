"""`aisle release`: list the releases, look into one, compare two, move the pointer, and clean up."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.command_group import CommandGroup
from flows.demo_report import report_console
from flows.object_client import ObjectStoreError
from flows.release_cleanup import (
    audited_releases,
    keep_release,
    let_go,
    plan_cleanup,
    remove_release,
    remove_void_leases,
)
from flows.release_difference import Difference, difference_of
from flows.releases import (
    list_releases,
    promote,
    read_manifest,
    read_pointer,
    roll_back,
    sign_release,
    verify_release,
)
from flows.settings import Settings, load_settings, public_key_of

NO_RELEASE = "There is no release yet. Make one: aisle train"


@click.group(name="release", cls=CommandGroup)
def command() -> None:
    """List releases, look into one, compare two, promote or roll back, and remove what nobody needs.

    \b
    Examples:
      aisle release list
      aisle release show r20180101-0123456789ab
      aisle release diff r20171231-ba9876543210 r20180101-0123456789ab
      aisle release promote r20171231-ba9876543210
      aisle release rollback
      aisle release gc
    """


@command.command(name="list")
def list_command() -> None:
    """List the releases in the object store; the champion is the one that serving answers with.

    Example: aisle release list
    """
    with _plain_failures():
        releases = list_releases(load_settings())
    if not releases:
        click.echo(NO_RELEASE)
        return
    table = Table("release", "as of", "model", "NDCG@10", "made (UTC)", "", box=box.SIMPLE_HEAD)
    table.columns[0].no_wrap = True
    table.columns[4].min_width = len("made (UTC)")  # a narrower one would cut the day
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
    report_console().print(table)


@command.command(name="show")
@click.argument("release_id", required=False)
def show_command(release_id: str | None) -> None:
    """Show what a release was made of and how it was judged; without an id, the champion.

    Example: aisle release show r20180101-0123456789ab
    """
    settings = load_settings()
    with _plain_failures():
        manifest = read_manifest(settings, release_id or _champion(settings))
    Console().print_json(data=manifest)


@command.command(name="diff")
@click.argument("before")
@click.argument("after", required=False)
def diff_command(before: str, after: str | None) -> None:
    """Say what changed from one release to another (without a second id: the champion), and what it did to the metrics.

    \b
    Example:
      aisle release diff r20171231-ba9876543210 r20180101-0123456789ab
    """
    settings = load_settings()
    with _plain_failures():
        difference = difference_of(settings, before, after or _champion(settings))
    print_difference(Console(highlight=False), difference)


@command.command(name="promote")
@click.argument("release_id")
def promote_command(release_id: str) -> None:
    """Make a stored release champion, forward or back; its signature and each of its files are checked first.

    Example: aisle release promote r20171231-ba9876543210
    """
    with _plain_failures():
        moved = promote(load_settings(), release_id).moved
    click.echo(f"{release_id} is champion{' now' if moved else ' already'}. Serving follows within seconds.")


@command.command(name="rollback")
def rollback_command() -> None:
    """Go back to the champion before this one; again, and it goes back one more.

    Example: aisle release rollback
    """
    with _plain_failures():
        release_id = roll_back(load_settings()).release_id
    click.echo(f"{release_id} is champion again. Serving follows within seconds.")


@command.command(name="verify")
@click.argument("release_ids", nargs=-1)
def verify_command(release_ids: tuple[str, ...]) -> None:
    """Check signature, name and every byte of releases; without an id, of the champion.

    Example: aisle release verify r20180101-0123456789ab
    """
    settings = load_settings()
    with _plain_failures():
        for release_id in release_ids or (_champion(settings),):
            files = verify_release(settings, release_id)["files"]
            size = sum(each["size"] for each in files.values()) / 2**20
            click.echo(f"{release_id} is whole: {len(files)} files, {size:.1f} MiB, signed by our key.")


@command.command(name="sign")
@click.argument("release_id")
def sign_command(release_id: str) -> None:
    """Sign a release with the key of this machine: one made before releases were signed, or by a key now replaced.

    Example: aisle release sign r20180101-0123456789ab
    """
    settings = load_settings()
    with _plain_failures():
        sign_release(settings, release_id)
    click.echo(f"{release_id} is signed by the key {public_key_of(settings.signing_key)[:16]}…")


@command.command(name="key")
def key_command() -> None:
    """Print the public key that serving checks releases with (AISLE_RELEASE_PUBLIC_KEY).

    Example: aisle release key
    """
    click.echo(public_key_of(load_settings().signing_key))


@command.command(name="keep")
@click.argument("release_id")
@click.option("--why", default="", help="For an audit, say, or a comparison; it is shown by `gc`.")
@click.option("--no-longer", is_flag=True, help="Take it off the list.")
def keep_command(release_id: str, why: str, no_longer: bool) -> None:
    """Keep a release from being removed by `gc`, whatever becomes of it.

    Example: aisle release keep r20180101-0123456789ab --why "audit of 2018"
    """
    settings = load_settings()
    with _plain_failures():
        if no_longer:
            let_go(settings, release_id)
        else:
            keep_release(settings, release_id, why or "no reason was given")
    click.echo(f"{release_id} is {'no longer ' if no_longer else ''}kept by hand.")


@command.command(name="gc")
@click.option(
    "--days",
    type=click.FloatRange(0, 36_500),
    default=7.0,
    show_default=True,
    help="Releases with a younger object stay.",
)
@click.option("--apply", is_flag=True, help="Remove them; without it nothing is changed.")
def gc_command(days: float, apply: bool) -> None:
    """Show which releases nobody needs, and with --apply remove them.

    Needed: the champion and those to roll back to, what a running server answers from, what logged answers in the lake
    refer to, what is kept by hand (`aisle release keep`), and what is young.

    Example: aisle release gc --days 30 --apply
    """
    if math.isnan(days):
        raise click.UsageError("--days: expected a number of days, came nan.")
    settings = load_settings()
    with _plain_failures():
        audited = audited_releases(settings)
        fates = plan_cleanup(settings, days, audited)
        if not fates:
            click.echo(NO_RELEASE)
            return
        table = Table("release", "MiB", "", "why", box=box.SIMPLE_HEAD)
        table.columns[0].no_wrap = True
        for fate in fates:
            goes = not fate.needed and apply and remove_release(settings, fate.release_id, audited)
            word = "stays" if fate.needed else "removed" if goes else "stays" if apply else "would go"
            why = "; ".join(fate.needed) or ("needed since" if word == "stays" else "nobody needs it")
            table.add_row(fate.release_id, f"{fate.bytes / 2**20:.1f}", word, why)
        if apply:
            remove_void_leases(settings)
    report_console().print(table, markup=False)
    if not apply and any(not fate.needed for fate in fates):
        click.echo("Nothing was changed. To remove them: aisle release gc --apply")


def print_difference(console: Console, difference: Difference) -> None:
    """Print what changed from one release to another, and what it did to the metrics."""
    console.print(f"From {difference.before} to {difference.after}:")
    table = Table("what", "change", box=box.SIMPLE_HEAD)
    for change in difference.changes:
        table.add_row(change.subject, Text(change.sentence))
    console.print(table if difference.changes else "Nothing differs but the reports.")
    if not difference.metrics:
        console.print("One of them has no metrics of its model.")
        return
    metrics = Table("metric", "before", "after", "difference", box=box.SIMPLE_HEAD)
    for each in difference.metrics:
        metrics.add_row(each.name, f"{each.before:.4f}", f"{each.after:.4f}", f"{each.after - each.before:+.4f}")
    console.print(metrics)
    if not difference.same_test:
        console.print("They were tested on different data: the metrics are of different questions.")


def _champion(settings: Settings) -> str:
    pointer = read_pointer(settings)
    if pointer is None:
        raise click.ClickException(NO_RELEASE)
    return pointer.release_id


@contextmanager
def _plain_failures() -> Iterator[None]:
    """Turn the store's errors into one line on the console."""
    try:
        yield
    except ObjectStoreError as error:
        raise click.ClickException(str(error)) from error
