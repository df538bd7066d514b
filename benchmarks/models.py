"""Print the table of the models on a training set: `python -m benchmarks.models --home DIR`.

DIR is an AISLE_HOME with kept training sets, or a folder that `training.dataset_files.save` wrote.
"""

import resource
import time
from dataclasses import replace
from pathlib import Path

import click
import torch

from flows.settings import load_settings
from flows.training_set import build_training_set
from training import dataset_files
from training.dataset import TrainingSet
from training.model import ProgressPoint, demo_settings
from training.tournament import curve_picture, format_table, run_tournament


def read(folder: Path) -> TrainingSet:
    """Return the training set saved in the folder, or the one of the lake below it."""
    if (folder / "names.json").exists():
        return dataset_files.load(folder)
    return build_training_set(load_settings({"AISLE_HOME": str(folder)}))


def tell(point: ProgressPoint) -> None:
    """Print one line every 50 steps."""
    if point.step % 50 == 0:
        click.echo(f"{point.model}: step {point.step} of {point.steps}, loss {point.loss:.3f}, {point.ndcg10:.4f}")


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
