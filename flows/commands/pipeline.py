"""`aisle pipeline`: the whole way, in this process."""

import click
from rich.console import Console

from expectations.validate import DataRejected
from flows.commands import ingest, train
from flows.pipeline import pipeline
from flows.sources.mapping_keys import ExportRejected, MappingError


@click.command(name="pipeline")
@click.option(
    "--source", default="complete_journey", show_default=True, help="A shipped shop, or the path of a mapping file."
)
@click.option("--path", default=None, help="The export: a file, a glob or a folder, if not where the mapping says.")
def command(source: str, path: str | None) -> None:
    """Ingest, features, materialise, train: the whole way. What was done before is not done again.

    Example: aisle pipeline --source my_shop.toml --path export.csv
    """
    try:
        summary = pipeline(source, path)
    except (MappingError, ExportRejected, DataRejected) as error:
        raise click.ClickException(str(error)) from error
    console = Console(highlight=False)
    ingest.print_summary(summary.ingested, console)
    train.print_summary(summary.trained, console)
