"""`aisle rules`: check, publish and show the shop's own rules for slates."""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from feature_repo.slate_rules import SEPARATOR, Rule, RulesError, brand_key, category_key, read_rules_file
from flows.champion import read_pointer
from flows.command_group import CommandGroup
from flows.demo_report import report_console
from flows.object_client import ObjectStoreError
from flows.releases import fetch_release, read_manifest
from flows.settings import Settings, load_settings
from flows.slate_rules import publish_rules, read_rules

_FILE = click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@dataclass(frozen=True)
class Moment:
    """What is taken for now, and `why` it is not the clock on the wall."""

    now: datetime
    why: str = ""


@click.group(name="rules", cls=CommandGroup)
def command() -> None:
    """Block, pin and boost items, and say what comes again, without a new release.

    A file of rules, times in UTC, a day as `until` included:

    \b
      [[block]]
      item = "1029743"
      note = "recalled"
      [[pin]]
      item = "1082185"
      place = 1
      from = 2018-01-01
      until = 2018-01-14
      [[boost]]
      category = "Produce"
      brand = "Private"
      places = 20
      [[policy]]
      category = "Electronics"
      bought = "hide"

    \b
    Examples:
      aisle rules check rules.toml
      aisle rules publish rules.toml
      aisle rules show
      aisle rules show --version 3
    """


@command.command(name="check")
@_FILE
def check_command(path: Path) -> None:
    """Read a file of rules and say how many items of the champion each is about; nothing is changed.

    Example: aisle rules check rules.toml
    """
    rules = _read_file(path)
    settings, items, moment = load_settings(), None, Moment(datetime.now(UTC))
    try:
        items, moment = _champion_items(settings), _moment_of_serving(settings)
    except ObjectStoreError as error:
        click.echo(f"The items could not be looked up: {error}")
    print_rules(report_console(), rules, moment, items)
    click.echo(f"{len(rules)} rules, all well formed.")


@command.command(name="publish")
@_FILE
def publish_command(path: Path) -> None:
    """Check a file of rules and put it into use; serving follows within seconds. An empty file ends all rules.

    Example: aisle rules publish rules.toml
    """
    rules = _read_file(path)
    with _plain_failures():
        published, changed = publish_rules(load_settings(), rules)
    if changed:
        click.echo(f"Rules {published.rules_id} are in use now ({len(rules)} rules). Serving follows within seconds.")
    else:
        click.echo(f"Rules {published.rules_id} are in use already; nothing has changed.")


@command.command(name="show")
@click.option("--version", type=click.IntRange(1), help="An earlier version; the one in use when absent.")
def show_command(version: int | None) -> None:
    """Show the rules in use, or those of an earlier version.

    Example: aisle rules show --version 3
    """
    settings = load_settings()
    with _plain_failures():
        published, moment = read_rules(settings, version), _moment_of_serving(settings)
    if published is None:
        found = "no rules" if version is None else f"no version {version} of the rules"
        raise click.ClickException(f"There are {found}. Publish some: aisle rules publish rules.toml")
    click.echo(f"Rules {published.rules_id}, published {published.published_at}")
    print_rules(report_console(), published.rules, moment)


def _read_file(path: Path) -> tuple[Rule, ...]:
    try:
        return read_rules_file(path.read_text(encoding="utf-8-sig"))
    except (RulesError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path} cannot be used; the rules in use stay.\n{error}") from error


def _champion_items(settings: Settings) -> list[dict[str, Any]] | None:
    pointer = read_pointer(settings)
    if pointer is None:
        return None
    folder = fetch_release(settings, pointer.release_id, settings.home / "releases")
    with gzip.open(folder / "items.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _moment_of_serving(settings: Settings) -> Moment:
    """Return what serving takes for now; its release clock stands at the champion's moment and goes on from there."""
    pointer = read_pointer(settings) if settings.clock == "release" else None
    if pointer is None:
        return Moment(datetime.now(UTC))
    as_of = datetime.fromisoformat(read_manifest(settings, pointer.release_id)["as_of"])
    return Moment(as_of.astimezone(UTC), ", the champion's moment (AISLE_CLOCK=release)")


def print_rules(
    console: Console, rules: Sequence[Rule], moment: Moment, items: Sequence[Mapping[str, Any]] | None = None
) -> None:
    """Print the rules as a table: what each is about and whether it holds; with the items, of how many it is."""
    console.print(f"Now is {_day(moment.now)} UTC{moment.why}.", markup=False, highlight=False, soft_wrap=True)
    table = Table("rule", "about", "does", "from", "until", "now", "note", box=box.SIMPLE_HEAD)
    if items is not None:
        table.add_column("items", justify="right")
    for column in table.columns:
        column.overflow = "fold"  # a day or a category is not to be cut
    now = moment.now
    for rule in rules:
        start, end = rule.span
        state = "over" if end <= now else "later" if start > now else "holds"
        row = [rule.kind, _about(rule), _deed(rule), _day(rule.starts_at), _day(rule.ends_at), state, rule.note or ""]
        if items is not None:
            count = sum(_fits(rule, item) for item in items)
            row.append(f"{count:,}" if count else "none")
        table.add_row(*map(Text, row))
    console.print(table)


def _fits(rule: Rule, item: Mapping[str, Any]) -> bool:
    category = category_key(item["category"] or "") + SEPARATOR
    return (
        (rule.item is None or item["item_id"] == rule.item)
        and (rule.brand is None or brand_key(item["brand"] or "") == brand_key(rule.brand))
        and (rule.category is None or category.startswith(category_key(rule.category) + SEPARATOR))
    )


def _about(rule: Rule) -> str:
    named = (("item", rule.item), ("category", rule.category), ("brand", rule.brand))
    return ", ".join(f"{name} {value}" for name, value in named if value)


def _deed(rule: Rule) -> str:
    if rule.kind == "policy":
        told = (("bought", rule.bought), ("seen", rule.seen))
        return ", ".join(f"{choice} {name} items" for name, choice in told if choice)
    if rule.places is not None:
        return f"{abs(rule.places)} places {'up' if rule.places > 0 else 'down'}"
    return "never shown" if rule.place is None else f"place {rule.place}"


def _day(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


@contextmanager
def _plain_failures() -> Iterator[None]:
    """Turn the store's errors into one line on the console."""
    try:
        yield
    except (ObjectStoreError, RulesError) as error:
        raise click.ClickException(str(error)) from error
