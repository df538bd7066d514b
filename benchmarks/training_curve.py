"""Fit the next-item model on sequences that lie on disk, in one process or in those of torchrun; print its loss curve.

    python -m benchmarks.training_curve FOLDER
    torchrun --nproc-per-node 2 -m benchmarks.training_curve FOLDER

FOLDER is what `training.sequence_stream.write` wrote; its events are read where they lie. The last line is JSON, from
the first process: losses and validation NDCG@10 of the epochs, seconds, and the peak of memory of the largest process.
"""

import json
import resource
import time
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch
from torch import distributed

from training import fit_sequence, replicas, sequence_stream
from training.fit_sequence import Epoch
from training.sequence_settings import settings_for


def peak_mb() -> float:
    """Return the largest peak of resident memory over the processes, in MB."""
    peak = torch.tensor(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    if replicas.place()[1] > 1:
        distributed.all_reduce(peak, distributed.ReduceOp.MAX)
    return float(peak)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.option("--epochs", default=2, show_default=True)
@click.option("--width", default=64, show_default=True)
@click.option("--negatives", default=-1, help="Sampled items a batch, 0: full softmax, -1: what follows from the data.")
@click.option("--dropout", default=-1.0, help="-1: what follows from the data.")
@click.option("--seed", default=1, show_default=True)
@click.option("--threads", default=1, show_default=True, help="Threads of each process.")
def main(folder: Path, epochs: int, width: int, negatives: int, dropout: float, seed: int, threads: int) -> None:
    """Fit without text and print one line of JSON."""
    torch.set_num_threads(threads)
    if distributed.is_torchelastic_launched():
        distributed.init_process_group("gloo")
    sequences = sequence_stream.open_files(folder)
    settings = replace(settings_for(sequences, width, seed), epochs=epochs, patience=epochs, text=False)
    if negatives >= 0:
        settings = replace(settings, negatives=negatives)
    if dropout >= 0:
        settings = replace(settings, dropout=dropout)
    curve: list[Epoch] = []
    started = time.monotonic()
    fit_sequence.fit(sequences, np.zeros((sequences.item_count + 1, 0), dtype=np.float32), settings, curve.append)
    found = {
        "processes": replicas.place()[1],
        "losses": [epoch.loss for epoch in curve],
        "n10_validation": [epoch.quality for epoch in curve],
        "seconds": time.monotonic() - started,
        "peak_mb": peak_mb(),
    }
    if replicas.place()[0] == 0:
        click.echo(json.dumps(found))
    if distributed.is_initialized():
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
