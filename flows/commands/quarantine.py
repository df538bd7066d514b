"""`aisle quarantine`: the held rows."""

import click
from rich.console import Console
from rich.table import Table

from flows.quarantine import counts_by_rule, list_held
from flows.settings import load_settings


@click.command(name="quarantine")
@click.option("--source", default=None, help="Only rows of this shop.")
@click.option("--rule", default=None, help="Only rows that broke this rule; shows the rows themselves.")
@click.option("--limit", default=20, show_default=True, help="Rows to show.")
def command(source: str | None, rule: str | None, limit: int) -> None:
    """Count the held rows by rule, or list those of one rule with their reasons.

    \b
    Examples:
      aisle quarantine
      aisle quarantine --rule quantity_in_bounds --limit 5
    """
    settings, console = load_settings(), Console()
    if rule is not None:
        for row in list_held(settings, source=source, rule=rule, limit=limit).to_pylist():
            console.print(
                f"{row['source']} {row['table_name']} {row['window']} {row['row_id']}", markup=False, soft_wrap=True
            )
            console.print(f"  {row['reason']}\n  {row['raw']}", markup=False, highlight=False, soft_wrap=True)
        return
    table = Table(title="Held rows", title_justify="left")
    for heading in ("source", "table", "rule", "state", "rows", "for example"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("rule", "rows"))
    for count in counts_by_rule(settings):
        if source in (None, count["source"]):
            values = (count[key] for key in ("source", "table_name", "rule", "state", "rows", "example"))
            table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in values))
    console.print(table, markup=False)
