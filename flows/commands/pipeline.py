"""`aisle pipeline`: the whole way, in this process."""

import click
from rich.console import Console

from expectations.validate import DataRejected
from flows.commands import ingest, train
from flows.early_checks import require_export
from flows.object_client import ObjectStoreError
from flows.object_store import start_object_store
from flows.pipeline import pipeline
from flows.run_progress import progress_on
from flows.settings import load_settings
from flows.sources.mapping_keys import ExportRejected, MappingError
from flows.stops import Stopped


@click.command(name="pipeline")
@click.option(
    "--source", default="complete_journey", show_default=True, help="A shipped shop, or the path of a mapping file."
)
@click.option("--path", default=None, help="The export: a file, a glob or a folder, if not where the mapping says.")
def command(source: str, path: str | None) -> None:
    """Ingest, features, materialise, train: the whole way. What was done before is not done again.

    Example: aisle pipeline --source my_shop.toml --path export.csv
    """
    console = Console(highlight=False)
    try:
        settings = load_settings()
        require_export(settings, source, path)
        start_object_store(settings)
        with progress_on(console):
            summary = pipeline(source, path)
    except (MappingError, ExportRejected, DataRejected, ObjectStoreError, LookupError, Stopped) as error:
        raise click.ClickException(str(error)) from error
    ingest.print_summary(summary.ingested, console)
    train.print_summary(summary.trained, console)
