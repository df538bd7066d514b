"""How training scales: `python -m benchmarks.training_scale`, on generated sequences.

Printed are the seconds and the peak of memory of one epoch at 1, 2 and 4 times the events over one catalogue, then of a
catalogue of a million items (sampled softmax), then the loss curves of one process and of two under torchrun. With
`--interactions` and `--items-file` the last part takes real sequences. Each fit is a process of its own that reads its
events from disk. The last line is JSON.
"""

import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.sequence_files import read_files, told_in_one_line
from training import sequence_stream
from training.leave_one_out import Sequences, read_sequences

PROJECT = Path(__file__).parent.parent
MULTIPLES = (1, 2, 4)
_LEAST_LENGTH = 4
_MEAN_LENGTH = 10
#: Users drift over the shelf in short steps: there is something to learn.
_STEP = 20
Found = dict[str, Any]


def generated_sequences(users: int, items: int, seed: int) -> Sequences:
    """Return users that start at an item drawn by popularity (the k-th is wanted as k^-2/3) and go on near it."""
    random = np.random.default_rng(seed)
    lengths = _LEAST_LENGTH + random.geometric(1 / (_MEAN_LENGTH - _LEAST_LENGTH + 1), users) - 1
    starts = np.concatenate(([0], np.cumsum(lengths)))
    first = np.repeat((items * random.random(users) ** 3).astype(np.int64), lengths)
    steps = random.integers(0, _STEP, len(first))
    return Sequences((first + steps) % items + 1, starts, items)


def fit(folder: Path, processes: int, *options: str) -> Found:
    """Fit the sequences of the folder in so many processes of one thread; return the curve, seconds and peak memory."""
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    command = [sys.executable, "-m", *(launcher if processes > 1 else []), "benchmarks.training_curve", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run([*command, *options], capture_output=True, text=True, env=environment, check=False)
    if ran.returncode:
        raise RuntimeError(f"the fit failed: {ran.stderr[-2000:]}")
    found: Found = json.loads(ran.stdout.strip().splitlines()[-1])
    return found


def scale(folder: Path, users: int, items: int) -> list[Found]:
    """Return one epoch's cost at each multiple of the users."""
    rows = []
    for multiple in MULTIPLES:
        sequences = generated_sequences(users * multiple, items, 1)
        sequence_stream.write(sequences, folder / str(multiple))
        found = fit(folder / str(multiple), 1, "--epochs", "1")
        rows.append({"items": items, "events": len(sequences.items)} | found)
        say(f"{len(sequences.items):,} events, {items:,} items", found)
    return rows


def compare_processes(sequences: Sequences, folder: Path, epochs: int, *options: str) -> Found:
    """Return the loss curves of one process and of two, and how far they are apart at most, relative."""
    sequence_stream.write(sequences, folder / "curve")
    curves = {}
    for processes in (1, 2):
        found = fit(folder / "curve", processes, "--epochs", str(epochs), *options)
        curves[processes] = found
        say(f"{processes} process(es), losses {[round(loss, 4) for loss in found['losses']]}", found)
    one, two = (np.array(curves[processes]["losses"]) for processes in (1, 2))
    return {"one": curves[1], "two": curves[2], "apart": float(np.abs(two / one - 1).max())}


def say(what: str, found: Found) -> None:
    """Print what a fit cost."""
    click.echo(f"{what}: {found['seconds']:.1f} s, {found['peak_mb']:,.0f} MB")


@click.command()
@click.option("--users", default=20_000, show_default=True, help="Users at 1 times.")
@click.option("--items", default=120_000, show_default=True, help="Catalogue of the first part.")
@click.option("--many-items", default=1_000_000, show_default=True)
@click.option("--epochs", default=3, show_default=True, help="Of the loss curves.")
@click.option("--interactions", type=click.Path(path_type=Path, exists=True), help="Real sequences for the curves.")
@click.option("--items-file", type=click.Path(path_type=Path, exists=True), help="Their items.")
def main(
    users: int, items: int, many_items: int, epochs: int, interactions: Path | None, items_file: Path | None
) -> None:
    """Print costs at growing sizes, then one line of JSON."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = scale(folder, users, items)
        sequence_stream.write(generated_sequences(users, many_items, 1), folder / "many")
        many = fit(folder / "many", 1, "--epochs", "1")
        say(f"{many_items:,} items", many)
        sequences = generated_sequences(users, items // 10, 1)
        if interactions and items_file:
            with told_in_one_line():
                sequences = read_sequences(*read_files(interactions, items_file, partial(click.echo, err=True)))
        curves = compare_processes(sequences, folder, epochs)
    first, last = rows[0], rows[-1]
    events = last["events"] / first["events"]
    ratios = {key: last[key] / first[key] for key in ("seconds", "peak_mb")}
    click.echo(
        f"{events:.1f} times the events: {ratios['seconds']:.2f} times the time, {ratios['peak_mb']:.2f} the memory"
    )
    click.echo(f"losses of two processes and of one: at most {curves['apart']:.2%} apart")
    result = {"benchmark": "training_scale", "scale": rows, "ratios": {"events": events, **ratios}}
    click.echo(json.dumps({**result, "many_items": {"items": many_items, **many}, "processes": curves}))


if __name__ == "__main__":
    main()
