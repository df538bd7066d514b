"""`aisle source`: the shop mappings: listed, shown, drafted, tried."""

import shlex
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.command_group import CommandGroup
from flows.early_checks import UnknownSource, require_source
from flows.ingest import open_export
from flows.rehearsal import REHEARSAL_ROWS, rehearse
from flows.rehearsal_report import print_rehearsal
from flows.settings import load_settings
from flows.sources.drafting import draft_source
from flows.sources.mapping import Mapping, load_mapping, shipped_mappings
from flows.sources.mapping_keys import ExportRejected, MappingError


class _ShownByName(CommandGroup):
    """A group in which a word that is no subcommand is the name of a mapping to show."""

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = args and (args[0] in self.commands or args[0].startswith("-"))
        return super().resolve_command(context, args if known else ["show", *args])


@click.group(name="source", cls=_ShownByName, invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """List the shop mappings, show one, draft one from files, or try one on a sample.

    \b
    Examples:
      aisle source
      aisle source complete_journey
      aisle source new orders.csv lines.csv products.csv
      aisle source check my_shop.toml
    """
    if context.invoked_subcommand is None:
        _list(Console())


@command.command()
@click.argument("name")
def show(name: str) -> None:
    """Show a mapping: which expression fills which column.

    \b
    Example:
      aisle source show complete_journey
    """
    try:
        require_source(name)
        show_mapping(load_mapping(name), Console())
    except (UnknownSource, MappingError) as error:
        raise click.ClickException(str(error)) from error


@command.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--name", default=None, help="The shop's name; else that of the folder or of the only file.")
@click.option("--to", type=click.Path(path_type=Path), default=None, help="Where to write it; else NAME.toml here.")
@click.option("--force", is_flag=True, help="Write over a mapping that is there.")
def new(files: tuple[str, ...], name: str | None, to: Path | None, force: bool) -> None:
    """Draft a mapping from the files of an export: CSV, JSON, parquet, Excel, gzipped, in a folder or a zip.

    Each guess stands in the file with its reason and what else it could be. Nothing is asked, nothing is landed.

    \b
    Examples:
      aisle source new sales.csv
      aisle source new export/ --name my_shop
      aisle source new orders.csv lines.csv products.csv --to my_shop.toml
    """
    first = Path(files[0])
    guessed = first.name.partition(".")[0] if len(files) == 1 else first.absolute().parent.name
    plain = "".join(sign if sign.isalnum() or sign in "_-" else "_" for sign in guessed.lower()).strip("_-")
    chosen = name or plain or "shop"
    target = to or Path(f"{chosen}.toml")
    if target.is_dir() or not target.absolute().parent.is_dir():
        raise click.ClickException(f"--to: expected the path of a file in a folder that is there, came {target}.")
    if target.exists() and not force:
        raise click.ClickException(f"{target} is there already. Name another file with --to, or say --force.")
    try:
        draft = draft_source(files, chosen, target.absolute().parent)
    except (ExportRejected, MappingError) as error:
        raise click.ClickException(str(error)) from error
    target.write_text(draft.text, encoding="utf-8")
    console = Console()
    table = Table(title=f"Drafted {escape(str(target))}", title_justify="left")
    for heading in ("file", "seems to be", "because"):
        table.add_column(heading, overflow="fold")
    for row in draft.files:
        table.add_row(*row)
    console.print(table, markup=False)
    doubts = [line for line in draft.text.splitlines() if line.startswith(("# unsure", "# MISSING"))]
    unsure = "1 guess is unsure; it says" if len(doubts) == 1 else f"{len(doubts)} guesses are unsure; each says"
    console.print(f"{unsure} in the file why and what else it could be.")
    typed = shlex.quote(str(target))
    console.print(f"Look at it, mend it, and try it: aisle source check {typed}", markup=False, soft_wrap=True)


@command.command()
@click.argument("mapping")
@click.option("--path", default=None, help="The export: a file, a folder or a zip, if not where the mapping says.")
@click.option(
    "--rows", type=click.IntRange(1), default=REHEARSAL_ROWS, show_default=True, help="Rows of each file to read."
)
@click.option(
    "--show", "shown", type=click.IntRange(0), default=10, show_default=True, help="Rows to show of each table."
)
def check(mapping: str, path: str | None, rows: int, shown: int) -> None:
    """Try a mapping on the first rows of its export: ten rows before and after, and what would be held. Lands nothing.

    \b
    Examples:
      aisle source check my_shop.toml
      aisle source check rees46 --path 2019-Oct.csv.gz --rows 10000
    """
    settings = load_settings()
    try:
        require_source(mapping)
        export = open_export(settings, mapping, path, None, None, rows)
        with tempfile.TemporaryDirectory() as folder:
            tables = rehearse(settings, export, Path(folder), datetime.now(UTC), shown)
    except (UnknownSource, MappingError, ExportRejected) as error:
        raise click.ClickException(str(error)) from error
    named = shlex.join([mapping, "--path", path] if path else [mapping])
    print_rehearsal(tables, named, rows, Console())
    if any(table.verdict is not None and not table.verdict.passed for table in tables):
        raise SystemExit(1)


def show_mapping(mapping: Mapping, console: Console) -> None:
    """Print which expression fills which column."""
    where = f"window: {mapping.window}, folder: {mapping.folder}"
    console.print(f"{mapping.source}: {mapping.title}", where, sep="\n", markup=False)
    for section in mapping.sections:
        came_from = (
            "the events" if section.from_events else section.relation or (section.reading and section.reading.files)
        )
        table = Table(title=escape(f"{section.label} from {came_from or '--path'}"), title_justify="left")
        table.add_column("column")
        table.add_column("is", overflow="fold")
        for column, expression in section.columns.items():
            table.add_row(column, expression)
        console.print(table, markup=False)


def _list(console: Console) -> None:
    table = Table(title="Shop mappings", title_justify="left")
    for heading in ("source", "what it is", "tables", "window"):
        table.add_column(heading)
    for source in shipped_mappings():
        mapping = load_mapping(source)
        table.add_row(source, mapping.title, ", ".join(mapping.tables), mapping.window)
    console.print(table)
    console.print("Your own shop: aisle source new FILE... drafts a mapping (docs/bring-your-own-data.md).")
