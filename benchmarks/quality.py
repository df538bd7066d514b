"""Print the next-item table: `python -m benchmarks.quality --interactions F.parquet --items F.parquet --seeds 5`.

Leave-one-out, full ranking, history masked; beside it unmasked, and with the order of one user's day shuffled (trained
anew). Every choice is made on the validation cut. The last line is JSON: model -> metrics, means over seeds.
"""

import json
import resource
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pandas as pd
import torch

from training import fit_sequence, sequence_blend, sequence_neighbours
from training.fit_sequence import SequenceSettings, settings_for
from training.item_text import text_vectors
from training.item_vectors import whitened_text
from training.leave_one_out import Sequences, read_sequences
from training.sequence_ranking import Recommend, rank_quality

#: The widths of the two Transformers that the blend starts from.
WIDTHS = (64, 128)
METRICS = ("r10", "n10", "r10_unmasked", "n10_unmasked", "r10_cold")
Results = dict[str, dict[str, float]]


def say(line: str) -> None:
    """Print a line of progress."""
    click.echo(line, err=True)


def run_seed(sequences: Sequences, text: np.ndarray, seed: int, only_best: bool = False) -> Results:
    """Fit every model with one seed and return its metrics on the test cut; `only_best` leaves the ablated out."""
    results: Results = {}
    parts: dict[str, Recommend] = {}
    for width in WIDTHS:
        settings = settings_for(sequences, width, seed)
        parts[f"transformer {width}"] = _timed(results, f"transformer {width}", sequences, _fit(text, settings))
    plain = replace(settings_for(sequences, WIDTHS[0], seed), text=False, spectral=False)
    if not only_best:
        _timed(results, "SASRec, full softmax", sequences, _fit(text, plain))
        _timed(results, "popularity", sequences, sequence_neighbours.popularity)
    for name, fit in _COUNTED.items():
        parts[name] = _timed(results, name, sequences, fit)
    parts["text"] = _timed(results, "text", sequences, lambda data: sequence_neighbours.text_nearness(data, text))
    alone = {f"transformer {width}": 1 / len(WIDTHS) for width in WIDTHS}
    spent = sum(results[name]["seconds"] for name in parts)
    blend = _timed(results, "blend", sequences, lambda data: sequence_blend.fit(data, parts, alone))
    results["blend"]["seconds"] += spent
    say(f"seed {seed}: weights {getattr(blend, 'weights', {})}")
    return results


_COUNTED: dict[str, Callable[[Sequences], Recommend]] = {
    "item-kNN": sequence_neighbours.item_knn,
    "EASE": sequence_neighbours.ease,
}


def _fit(text: np.ndarray, settings: SequenceSettings) -> Callable[[Sequences], Recommend]:
    return lambda data: fit_sequence.recommender(fit_sequence.fit(data, text, settings, say))


def _timed(results: Results, name: str, sequences: Sequences, fit: Callable[[Sequences], Recommend]) -> Recommend:
    """Fit, time it, and put the test metrics into `results[name]`."""
    started = time.monotonic()
    recommend = fit(sequences)
    seconds = time.monotonic() - started
    metrics = rank_quality(recommend, sequences, "test")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results[name] = {**metrics, "seconds": seconds, "peak_mb": peak}
    say(f"{name}: {seconds:.0f} s, R@10 {metrics['r10']:.4f}, NDCG@10 {metrics['n10']:.4f}")
    return recommend


def mean_over_seeds(runs: list[Results]) -> Results:
    """Return the mean of every metric of every model; peak_mb is the largest."""
    gathered: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        for model, metrics in run.items():
            for name, value in metrics.items():
                gathered[model][name].append(value)
    return {
        model: {name: float(max(values) if name == "peak_mb" else np.mean(values)) for name, values in metrics.items()}
        for model, metrics in gathered.items()
    }


def table(results: Results) -> str:
    """Return the models as markdown, best NDCG@10 first."""
    columns = [*METRICS, "r10_ties", "n10_ties", "seconds", "peak_mb"]
    lines = ["| model | " + " | ".join(columns) + " |", "|---" + "|---:" * len(columns) + "|"]
    for model, metrics in sorted(results.items(), key=lambda each: -each[1]["n10"]):
        cells = [
            f"{metrics.get(name, float('nan')):.{0 if name in ('seconds', 'peak_mb') else 4}f}" for name in columns
        ]
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


@click.command()
@click.option(
    "--interactions", type=click.Path(path_type=Path, exists=True), required=True, help="user, item, ts, pos."
)
@click.option("--items", type=click.Path(path_type=Path, exists=True), required=True, help="item, title.")
@click.option("--seeds", default=5, show_default=True, help="Seeds 1 … N; the table is their mean.")
@click.option("--first-seed", default=1, show_default=True)
@click.option("--threads", default=0, show_default=True, help="torch threads; 0: as many as torch takes.")
@click.option("--ties/--no-ties", default=True, show_default=True, help="Also train with the order of a day shuffled.")
def main(interactions: Path, items: Path, seeds: int, first_seed: int, threads: int, ties: bool) -> None:
    """Fit every model on a leave-one-out set and print the table, then one line of JSON."""
    if threads:
        torch.set_num_threads(threads)
    rows, catalogue = pd.read_parquet(interactions), pd.read_parquet(items)
    sequences = read_sequences(rows, catalogue)
    say(f"{len(sequences):,} users, {sequences.item_count:,} items, {len(sequences.items):,} interactions")
    titles = catalogue["title"].fillna("").astype(str).tolist() if "title" in catalogue else [""] * len(catalogue)
    vectors = text_vectors(titles)
    text = whitened_text(np.vstack([np.zeros_like(vectors[:1]), vectors]))
    numbers = range(first_seed, first_seed + seeds)
    results = mean_over_seeds([run_seed(sequences, text, seed) for seed in numbers])
    if ties:
        shuffled = mean_over_seeds(
            [run_seed(read_sequences(rows, catalogue, seed), text, seed, only_best=True) for seed in numbers]
        )
        for model, metrics in shuffled.items():
            results[model] |= {"r10_ties": metrics["r10"], "n10_ties": metrics["n10"]}
    click.echo(table(results))
    click.echo(json.dumps(results))


if __name__ == "__main__":
    main()
