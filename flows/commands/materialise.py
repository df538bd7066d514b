"""`aisle materialise`: load the newest feature rows into the online store."""

import click
from rich.console import Console
from rich.table import Column, Table

from feature_repo.features import USER_VIEWS
from flows.online_rows import OnlineRowsMissing, load_view, newest_complete_moment
from flows.settings import load_settings


@click.command(name="materialise")
def command() -> None:
    """Load the newest feature rows into the online store, read them back, and say what is there.

    A row that is newer online (pushed since) stays. What is loaded already is not written again.

    \b
    Example:
      AISLE_ONLINE_STORE=redis AISLE_REDIS_URL=127.0.0.1:6379 aisle materialise
    """
    settings, console = load_settings(), Console()
    try:
        moment = newest_complete_moment(settings)
        with console.status("Loading user views …"):
            loaded = [load_view(settings, view.name, moment) for view in USER_VIEWS]
    except (LookupError, OnlineRowsMissing) as error:
        raise click.ClickException(str(error)) from error
    place = settings.feature_store
    title = f"{place.online_type} online store as of {moment:%Y-%m-%d %H:%M} UTC"
    table = Table("view", Column("rows", justify="right"), "loaded at (UTC)", title=title, title_justify="left")
    for entry in loaded:
        table.add_row(entry.view, f"{entry.rows:,}", entry.finished_at[:19].replace("T", " "))
    console.print(table)
