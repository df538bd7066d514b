"""Print how much sooner our Transformer is as good as its peers.

    python -m benchmarks.training_speed --interactions F.parquet --items F.parquet

RecBole's and RecTools' SASRec train as they ship, each in an environment of its own (`FOLDER/.venv-NAME`, made by the
first call), then ours: on the same cores, one after the other, on the same leave-one-out cuts with full ranking and the
history masked. Ours runs without text, on IDs alone, as theirs do. The clock runs from sequences in memory to the end
of the epoch at which our validation NDCG@10 passes the peer's final test NDCG@10, validation counted; against it stands
the peer's time to its best epoch (`ratio`) and to its end (`ratio_whole`). As the two cuts differ, the time until ours
passes the peer's *validation* NDCG@10 stands beside it (`ratio_same_cut`). A peer whose time is over (`ended`: time)
is judged by its best weights until then. `--users` takes a part of the users, for a small budget. Last line: JSON.
"""

import contextlib
import json
import os
import subprocess
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from benchmarks.peer_environment import REQUIREMENTS, make_environment
from benchmarks.sequence_files import read_files, some_users, told_in_one_line
from training import fit_sequence
from training.fit_sequence import Epoch
from training.leave_one_out import HELD_OUT, Sequences, read_sequences
from training.sequence_settings import settings_for

PROJECT = Path(__file__).parent.parent
WIDTH = 64
Found = dict[str, Any]


def quality(answers: np.ndarray, wanted: np.ndarray) -> float:
    """Return NDCG@10 of ranked items int64 [users, 10] with one wanted item each."""
    user, rank = np.nonzero(answers == wanted[:, None])
    return float((1.0 / np.log2(rank + 2.0)).sum() / len(wanted)) if len(user) else 0.0


def run_peer(python: Path, peer: str, sequences: Sequences, limits: tuple[int, int, int]) -> Found:
    """Train one peer in its environment; `limits` are seconds, threads and seed. Return its times and NDCG@10.

    Raises RuntimeError with the peer's last words when it fails.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(
            folder / "sequences.npz",
            items=sequences.items,
            starts=sequences.starts,
            item_count=sequences.item_count,
        )
        command = [str(python), "-m", f"benchmarks.training_peer_{peer}", str(folder / "sequences.npz"), name]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": str(limits[1])}
        ran = subprocess.run(
            [*command, *map(str, limits)], cwd=name, env=environment, capture_output=True, text=True, check=False
        )
        if ran.returncode:
            raise RuntimeError(f"{peer} failed: {ran.stderr[-2000:]}")
        found: Found = json.loads(ran.stdout.strip().splitlines()[-1])
        answers = np.load(folder / "answers.npz")
        return found | {f"n10_{cut}": quality(answers[cut], sequences.wanted(HELD_OUT[cut])) for cut in HELD_OUT}


class AllPassed(Exception):
    """Ours is better than every peer: what comes after need not be waited for."""


def run_ours(sequences: Sequences, seed: int, wanted: float) -> list[tuple[float, float]]:
    """Fit ours without text until it passes `wanted`; return (seconds, validation NDCG@10) after each epoch."""
    curve: list[tuple[float, float]] = []
    started = time.monotonic()

    def report(epoch: Epoch) -> None:
        curve.append((time.monotonic() - started, epoch.quality))
        click.echo(f"ours, {curve[-1][0]:.0f} s: {epoch}", err=True)
        if epoch.quality > wanted:
            raise AllPassed

    settings = replace(settings_for(sequences, WIDTH, seed), text=False)
    no_text = np.zeros((sequences.item_count + 1, 0), dtype=np.float32)
    with contextlib.suppress(AllPassed):
        fit_sequence.fit(sequences, no_text, settings, report)
    return curve


def seconds_to_pass(curve: list[tuple[float, float]], wanted: float) -> float | None:
    """Return the seconds at the end of the first epoch that was better than `wanted`; None when none was."""
    return next((seconds for seconds, reached in curve if reached > wanted), None)


def compare(peer: Found, curve: list[tuple[float, float]]) -> Found:
    """Return the peer's figures with the times at which ours passed it and the ratios; None where it never did."""
    passed, same_cut = (seconds_to_pass(curve, peer[f"n10_{cut}"]) for cut in ("test", "validation"))
    return peer | {
        "ours_seconds": passed,
        "ratio": peer["seconds_to_best"] / passed if passed else None,
        "ratio_whole": peer["seconds"] / passed if passed else None,
        "ours_seconds_same_cut": same_cut,
        "ratio_same_cut": peer["seconds_to_best"] / same_cut if same_cut else None,
    }


def table(results: dict[str, Found]) -> str:
    """Return the peers as markdown."""
    columns = ["n10_test", "n10_validation", "epochs", "ended", "seconds_to_best", "seconds"]
    columns += ["ours_seconds", "ratio", "ratio_whole", "ours_seconds_same_cut", "ratio_same_cut"]
    lines = ["| model | " + " | ".join(columns) + " |", "|---" + "|---:" * len(columns) + "|"]
    for name, found in results.items():
        lines.append(f"| {name} | " + " | ".join(_cell(column, found.get(column, "")) for column in columns) + " |")
    return "\n".join(lines)


def _cell(column: str, value: object) -> str:
    if not isinstance(value, float):
        return "never" if value is None else str(value)
    return f"{value:.4f}" if column.startswith("n10") else f"{value:.1f}"


@click.command()
@click.option("--interactions", type=click.Path(path_type=Path, exists=True), required=True, help="user, item, ts.")
@click.option("--items", type=click.Path(path_type=Path, exists=True), required=True, help="item.")
@click.option("--users", default=0, show_default=True, help="Users taken, drawn with the seed; 0: all.")
@click.option("--minutes", default=60.0, show_default=True, help="For the peers together; each has an equal share.")
@click.option("--environments", type=click.Path(path_type=Path), default=PROJECT, help="Folder of the .venv-NAME.")
@click.option("--threads", default=0, show_default=True, help="Threads of every model; 0: as many as torch takes.")
@click.option("--seed", default=1, show_default=True)
@click.option("--peers", default=",".join(REQUIREMENTS), show_default=True, help="Which, with commas between.")
def main(
    interactions: Path, items: Path, users: int, minutes: float, environments: Path, threads: int, seed: int, peers: str
) -> None:
    """Train the peers and ours on the same cores; print the table, then one line of JSON."""
    threads = threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    with told_in_one_line():
        every, catalogue = read_files(interactions, items, partial(click.echo, err=True))
        sequences = read_sequences(some_users(every, users, seed), catalogue)
    click.echo(f"{len(sequences):,} users, {sequences.item_count:,} items, {threads} threads", err=True)
    names = peers.split(",")
    found = {}
    for name in names:
        python = make_environment(environments.resolve(), name)
        found[name] = run_peer(python, name, sequences, (int(minutes * 60 / len(names)), threads, seed))
        click.echo(f"{name}: {json.dumps(found[name])}", err=True)
    curve = run_ours(sequences, seed, max(peer[f"n10_{cut}"] for peer in found.values() for cut in HELD_OUT))
    results = {f"{name} SASRec": compare(peer, curve) for name, peer in found.items()}
    click.echo(table(results))
    click.echo(json.dumps({"benchmark": "training_speed", "threads": threads, "ours": curve, **results}))


if __name__ == "__main__":
    main()
