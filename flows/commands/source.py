"""`aisle source`: the shop mappings."""

import click
from rich.console import Console
from rich.table import Table

from flows.sources.mapping import Mapping, load_mapping, shipped_mappings
from flows.sources.mapping_keys import MappingError


@click.command(name="source")
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """List the shop mappings, or check one and show it.

    \b
    Examples:
      aisle source
      aisle source complete_journey
      aisle source my_shop.toml
    """
    console = Console()
    if name is None:
        table = Table(title="Shop mappings", title_justify="left")
        for heading in ("source", "what it is", "tables", "window"):
            table.add_column(heading)
        for source in shipped_mappings():
            mapping = load_mapping(source)
            table.add_row(source, mapping.title, ", ".join(mapping.tables), mapping.window)
        console.print(table)
        console.print("Your own shop: write a mapping file (docs/bring-your-own-data.md) and give its path.")
        return
    try:
        show_mapping(load_mapping(name), console)
    except MappingError as error:
        raise click.ClickException(str(error)) from error


def show_mapping(mapping: Mapping, console: Console) -> None:
    """Print which expression fills which column."""
    console.print(f"{mapping.source}: {mapping.title}", f"window: {mapping.window}, folder: {mapping.folder}", sep="\n")
    for section in mapping.sections:
        came_from = (
            "the events" if section.from_events else section.relation or (section.reading and section.reading.files)
        )
        table = Table(title=f"{section.label} from {came_from or '--path'}", title_justify="left")
        table.add_column("column")
        table.add_column("is", overflow="fold")
        for column, expression in section.columns.items():
            table.add_row(column, expression)
        console.print(table, markup=False)
