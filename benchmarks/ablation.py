"""Print what each piece of the next-item model adds: `python -m benchmarks.ablation --interactions F --items F`.

One model with everything, then one with each piece left out, judged on the validation cut alone (masked NDCG@10); the
last rows add the counting models to the whole Transformer. `--users` takes a part of the users, for a small budget.
"""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch

from benchmarks.sequence_files import read_files, some_users, told_in_one_line
from training import fit_sequence, sequence_blend, sequence_knn, sequence_neighbours
from training.item_text import text_vectors
from training.item_vectors import whitened_text
from training.leave_one_out import Sequences, read_sequences
from training.sequence_cold import lend_to_cold
from training.sequence_ranking import Recommend, rank_quality
from training.sequence_rows import titles
from training.sequence_settings import SequenceSettings, settings_for

Row = dict[str, float | str]


def without_each(whole: SequenceSettings) -> dict[str, SequenceSettings]:
    """Return the settings of the whole model and of one model for each piece that is left out."""
    return {
        "whole": whole,
        "without text": replace(whole, text=False),
        "without spectral start": replace(whole, spectral=False),
        "without attention (GRU)": replace(whole, cell="gru"),
        "with same-target contrast": replace(whole, contrast=0.05),
        "one block": replace(whole, blocks=1),
        "dropout 0.5": replace(whole, dropout=0.5),
        "half the width": replace(whole, width=whole.width // 2, heads=max(1, whole.width // 64)),
        "twice the width": replace(whole, width=whole.width * 2, heads=max(1, whole.width // 16)),
    }


def run(sequences: Sequences, text: np.ndarray, whole: SequenceSettings, say: Callable[[str], None]) -> list[Row]:
    """Fit every variant and return name, validation NDCG@10 and Recall@10, difference to the whole, seconds."""
    rows: list[Row] = []
    recommend: Recommend | None = None
    for name, settings in without_each(whole).items():
        started = time.monotonic()
        fitted = fit_sequence.recommender(fit_sequence.fit(sequences, text, settings, _quiet))
        recommend = recommend or fitted
        rows.append(_row(name, fitted, sequences, time.monotonic() - started, rows))
        say(f"{name}: {rows[-1]['n10']:.4f}")
    assert recommend is not None
    parts = {"transformer": lend_to_cold(recommend, sequences, text)}
    rows.append(_row("whole, lent to cold items", parts["transformer"], sequences, 0.0, rows))
    counted: dict[str, Callable[[], Recommend]] = {
        "item-kNN": lambda: lend_to_cold(sequence_knn.item_knn(sequences), sequences, text),
        "text": lambda: sequence_neighbours.text_nearness(sequences, text),
        "EASE": lambda: lend_to_cold(sequence_neighbours.ease(sequences), sequences, text),
    }
    for name, fit in counted.items():
        started = time.monotonic()
        parts[name] = fit()
        blend = sequence_blend.fit(sequences, parts, {"transformer": 1.0})
        rows.append(_row(" + ".join(["whole", *list(parts)[1:]]), blend, sequences, time.monotonic() - started, rows))
        say(f"{rows[-1]['piece']}: {rows[-1]['n10']:.4f}")
    return rows


def table(rows: list[Row]) -> str:
    """Return the rows as markdown."""
    lines = ["| piece | NDCG@10 | Recall@10 | against the whole | seconds |", "|---|---:|---:|---:|---:|"]
    for row in rows:
        lines.append(
            f"| {row['piece']} | {row['n10']:.4f} | {row['r10']:.4f} | {row['ratio']:.3f} × | {row['seconds']:.0f} |"
        )
    return "\n".join(lines)


def _row(name: str, recommend: Recommend, sequences: Sequences, seconds: float, before: list[Row]) -> Row:
    found = rank_quality(recommend, sequences, "validation")
    whole = float(before[0]["n10"]) if before else found["n10"]
    ratio = found["n10"] / max(whole, 1e-9)
    return {"piece": name, "n10": found["n10"], "r10": found["r10"], "ratio": ratio, "seconds": seconds}


def _say(line: str) -> None:
    click.echo(line, err=True)


def _quiet(_: object) -> None:
    return


@click.command()
@click.option("--interactions", type=click.Path(path_type=Path, exists=True), required=True, help="user, item, ts.")
@click.option("--items", type=click.Path(path_type=Path, exists=True), required=True, help="item, title.")
@click.option("--users", default=0, show_default=True, help="Users taken, drawn with the seed; 0: all.")
@click.option("--width", default=64, show_default=True)
@click.option("--epochs", default=0, show_default=True, help="At most; 0: as many as follow from the data.")
@click.option("--seed", default=1, show_default=True)
@click.option("--threads", default=0, show_default=True, help="torch threads; 0: as many as torch takes.")
def main(interactions: Path, items: Path, users: int, width: int, epochs: int, seed: int, threads: int) -> None:
    """Fit the whole model and one without each piece; print the table, then one line of JSON."""
    if threads:
        torch.set_num_threads(threads)
    with told_in_one_line():
        every, catalogue = read_files(interactions, items, _say)
        sequences = read_sequences(some_users(every, users, seed), catalogue)
    vectors = text_vectors(titles(catalogue))
    text = whitened_text(np.vstack([np.zeros_like(vectors[:1]), vectors]))
    click.echo(f"{len(sequences):,} users, {sequences.item_count:,} items, {len(sequences.items):,} interactions")
    whole = settings_for(sequences, width, seed)
    whole = replace(whole, epochs=epochs or whole.epochs)
    rows = run(sequences, text, whole, _say)
    click.echo(table(rows))
    click.echo(json.dumps(rows))


if __name__ == "__main__":
    main()
