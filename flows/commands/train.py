"""`aisle train`: train the models, gate the best, release it."""

import click
from rich.console import Console
from rich.table import Table

from expectations.validate import DataRejected
from flows.demo_report import models_table
from flows.early_checks import require_training_input
from flows.object_client import ObjectStoreError
from flows.object_store import start_object_store
from flows.run_progress import progress_on
from flows.settings import load_settings
from flows.stops import Stopped
from flows.train_model import train_model
from flows.training_runs import TrainSummary


@click.command(name="train")
@click.option("--source", default=None, help="Train on one shop of the lake only (with live events); default: all.")
@click.option("--seed", default=7, show_default=True, help="Another seed is another training run.")
@click.option("--cold", is_flag=True, help="Begin with nothing, not with what the champion's Transformer knew.")
def command(source: str | None, seed: int, cold: bool) -> None:
    """Train every model on the same rows, gate the best, and release it if it passes.

    When nothing that the result depends on has changed, nothing is trained and the release that is there is named.

    \b
    Examples:
      aisle train
      aisle train --source complete_journey
    """
    console = Console(highlight=False)
    try:
        settings = load_settings()
        require_training_input(settings, source)
        start_object_store(settings)
        with progress_on(console):
            summary = train_model(source, seed, cold)
    except (DataRejected, ObjectStoreError, LookupError, Stopped) as error:
        raise click.ClickException(str(error)) from error
    print_summary(summary, console)


def print_summary(summary: TrainSummary, console: Console) -> None:
    """Print the table of models, the gate's figures, and the outcome."""
    console.print(models_table(summary.test, summary.challenger))
    comparison = summary.gate.get("comparison")
    if comparison and not comparison["users"]:
        console.print("Nobody of those known before the test days did anything in them, so no model could be judged.")
    elif comparison:
        table = Table("model", "NDCG@10", "Recall@10", title="Gate, the same users", title_justify="left")
        table.add_row(summary.challenger, f"{comparison['ndcg10']:.4f}", f"{comparison['recall10']:.4f}")
        table.add_row(
            comparison["incumbent"],
            f"{comparison['incumbent_ndcg10']:.4f}",
            f"{comparison['incumbent_recall10']:.4f}",
        )
        console.print(table)
        console.print(
            f"Difference in NDCG@10 {comparison['difference']:+.4f}, {comparison['confidence']:.0%} lower bound "
            f"{comparison['low']:+.4f}, over {comparison['users']:,} users."
        )
    console.print(summary.sentence())
    if summary.champion:
        console.print(f"More: aisle release show {summary.champion}")
