"""Print the models of a training set, slices of users and items, and calibration: `python -m benchmarks.models`.

`--home DIR` is an AISLE_HOME with kept training sets, or a folder that `training.dataset_files.save` wrote.
"""

import resource
import time
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch

from flows.settings import load_settings
from flows.training_set import build_training_set
from training import dataset_files
from training.dataset import TrainingSet
from training.evaluate import evaluate
from training.metrics import bootstrap_interval, mean, miscalibration
from training.model import ProgressPoint, demo_settings
from training.slices import slices
from training.tournament import TournamentResult, curve_picture, format_table, run_tournament


def read(folder: Path) -> TrainingSet:
    """Return the training set saved in the folder, or the one of the lake below it."""
    if (folder / "names.json").exists():
        return dataset_files.load(folder)
    return build_training_set(load_settings({"AISLE_HOME": str(folder)}))


def tell(point: ProgressPoint) -> None:
    """Print one line every 50 steps."""
    if point.step % 50 == 0:
        click.echo(f"{point.model}: step {point.step} of {point.steps}, loss {point.loss:.3f}, {point.ndcg10:.4f}")


def slice_table(training_set: TrainingSet, result: TournamentResult) -> str:
    """Return NDCG@10 of challenger and best simple model on the slices of the test cut, with 95 % intervals."""
    models = list(dict.fromkeys([result.challenger.name, result.best_simple.name]))
    lines = ["| slice | users | " + " | ".join(models) + " |", "|---|---:" + "|---:" * len(models) + "|"]
    for name, cut in slices(training_set, training_set.test).items():
        cells = []
        for model in models:
            found = evaluate(result.models[model].module(), cut)
            low, high = found.interval("ndcg10")
            cells.append(f"{found.means['ndcg10']:.4f} ({low:.4f} – {high:.4f})")
        lines.append(f"| {name} | {(cut.truth.counts() > 0).sum()} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def calibration_table(training_set: TrainingSet, result: TournamentResult) -> str:
    """Return for each model how far the categories of its slates are from those of the histories (0: the same)."""
    categories = ["", *(category.split(">")[0].strip() for category in training_set.catalogue.categories)]
    kinds = np.unique(categories, return_inverse=True)[1].astype(np.int64)
    lines = ["| model | miscalibration (95 %) |", "|---|---:|"]
    for name, found in result.evaluations.items():
        values = miscalibration(found.ranked, training_set.test.queries.history_items[found.query_rows], kinds)
        low, high = bootstrap_interval(values)
        lines.append(f"| {name} | {mean(values):.3f} ({low:.3f} – {high:.3f}) |")
    return "\n".join(lines)


@click.command()
@click.option("--home", type=click.Path(path_type=Path, exists=True), required=True, help="AISLE_HOME or a saved set.")
@click.option("--seed", default=7, show_default=True)
@click.option("--threads", default=0, show_default=True, help="torch threads; 0: as many as torch takes.")
@click.option("--picture", type=click.Path(path_type=Path), help="Write the learning curves here, as PNG.")
def main(home: Path, seed: int, threads: int, picture: Path | None) -> None:
    """Fit every model on one training set and print the table, the time and the memory it took."""
    training_set = read(home)
    wall, cpu = time.monotonic(), time.process_time()
    result = run_tournament(training_set, replace(demo_settings(seed), threads=threads), tell)
    click.echo(format_table(result))
    click.echo(slice_table(training_set, result))
    click.echo(calibration_table(training_set, result))
    for row in result.table:
        click.echo(f"{row.model}: {row.hyper_parameters}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    click.echo(
        f"seed {seed}, {torch.get_num_threads()} threads: {time.monotonic() - wall:.0f} s wall, "
        f"{time.process_time() - cpu:.0f} s CPU, {peak:.2f} GiB at most"
    )
    if picture:
        picture.write_bytes(curve_picture(result.curves))


if __name__ == "__main__":
    main()
