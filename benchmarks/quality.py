"""Print the next-item table: `python -m benchmarks.quality --interactions F.parquet --items F.parquet --seeds 5`.

Leave-one-out, full ranking, history masked; beside it unmasked, and with the order of one user's day shuffled (trained
anew). Every choice is made on the validation cut. The blend and its parts are means over the seeds; what stands beside
(other models, shuffled days) is of seed 1 unless --beside says more, other models on shuffled days always. The last
line is JSON: model -> metrics, null where there is nothing to count.
"""

import functools
import hashlib
import json
import math
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import click
import numpy as np
import torch

from benchmarks.peak_memory import forget_peak, peak_mb
from benchmarks.sequence_files import read_files, told_in_one_line
from training import (
    fit_sequence,
    sequence_blend,
    sequence_checkpoint,
    sequence_factors,
    sequence_knn,
    sequence_neighbours,
)
from training.item_text import text_vectors
from training.item_vectors import whitened_text
from training.leave_one_out import Sequences, read_sequences
from training.recurrent_rate import with_own_rate
from training.sequence_cold import lend_to_cold
from training.sequence_ranking import Recommend, rank_report
from training.sequence_rows import titles
from training.sequence_settings import SequenceSettings, settings_for

#: Width of the blend's Transformer.
WIDTH = 64
TRANSFORMER = f"transformer {WIDTH}"
#: Items up to which EASE, whose time and memory grow with their cube and square, is a part of the blend.
EASE_ITEMS = 6_000
#: Counted up whenever the same rows and settings come to other figures: what was kept before is then not taken up.
FIGURES = 5
METRICS = ("r10", "n10", "n10_low", "n10_high", "r10_unmasked", "n10_unmasked", "r10_cold")
CLOCKS = ("seconds", "cpu_seconds")
Results = dict[str, dict[str, float]]
Fit = Callable[[Sequences], Recommend]


def say(line: object) -> None:
    """Print a line of progress."""
    click.echo(line, err=True)


def fit_counted(sequences: Sequences, text: np.ndarray) -> tuple[Results, dict[str, Recommend]]:
    """Fit the parts of the blend that need no seed, once for all of them; return their results, and themselves."""
    results: Results = {}
    fits: dict[str, Fit] = {
        "item-kNN": sequence_knn.item_knn,
        "text": lambda data: sequence_neighbours.text_nearness(data, text),
    }
    if sequences.item_count <= EASE_ITEMS:
        fits["EASE"] = sequence_neighbours.ease
    return results, {name: _timed(results, name, sequences, fit) for name, fit in fits.items()}


def run_seed(
    sequences: Sequences,
    text: np.ndarray,
    seed: int,
    counted: tuple[Results, dict[str, Recommend]],
    checkpoints: Path | None = None,
) -> Results:
    """Fit the Transformer with one seed, blend it with the counted parts; return the metrics on the test cut.

    `checkpoints` begins the name of the file that a fit goes on from.
    """
    results: Results = dict(counted[0])
    settings = settings_for(sequences, WIDTH, seed)
    kept = checkpoints and checkpoints.with_name(f"{checkpoints.name}-{WIDTH}.pt")
    fit = _fit(text, settings, kept)
    parts = {TRANSFORMER: _timed(results, TRANSFORMER, sequences, fit, sequence_checkpoint.spent(kept))} | counted[1]
    lent = {name: lend_to_cold(part, sequences, text) for name, part in parts.items() if name != "text"}
    lent["text"] = parts["text"]
    top_list = {"popularity": sequence_neighbours.popularity(sequences)}
    blend = _timed(
        results, "blend", sequences, lambda data: sequence_blend.fit(data, lent, {TRANSFORMER: 1.0}, top_list)
    )
    for clock in CLOCKS:
        results["blend"][clock] += sum(results[name][clock] for name in parts)
    results["blend"]["peak_mb"] = max(results[name]["peak_mb"] for name in ("blend", *parts))
    say(f"seed {seed}: weights {getattr(blend, 'weights', {})}")
    return results


def run_baselines(sequences: Sequences, text: np.ndarray, seed: int) -> Results:
    """Fit the models that no part of the blend is: without text, from random vectors; return their test metrics."""
    plain = replace(settings_for(sequences, WIDTH, seed), text=False, spectral=False)
    results: Results = {}
    fits: dict[str, Fit] = {
        "popularity": sequence_neighbours.popularity,
        "EASE": sequence_neighbours.ease,
        "iALS": lambda data: sequence_factors.implicit_factors(data, seed),
        "BPR": lambda data: sequence_factors.pairwise_factors(data, seed),
        "SASRec, full softmax": _fit(text, plain),
        "GRU4Rec, full softmax": _fit_recurrent(text, replace(plain, cell="gru")),
        "LSTM language model": _fit_recurrent(text, replace(plain, cell="lstm")),
    }
    for name, fit in fits.items():
        _timed(results, name, sequences, fit)
    return results


def _fit(text: np.ndarray, settings: SequenceSettings, checkpoint: Path | None = None) -> Fit:
    def fit(data: Sequences) -> Recommend:
        model = fit_sequence.recommender(fit_sequence.fit(data, text, settings, say, checkpoint))
        return lend_to_cold(model, data, text) if settings.text else model

    return fit


def _fit_recurrent(text: np.ndarray, settings: SequenceSettings) -> Fit:
    return lambda data: _fit(text, with_own_rate(data, settings, say))(data)


def _timed(
    results: Results, name: str, sequences: Sequences, fit: Fit, before: tuple[float, float] = (0.0, 0.0)
) -> Recommend:
    """Fit, time it, and put the test metrics into `results[name]`; the peak of memory is that of fit and ranking.

    `before` are the seconds and the CPU seconds that the fit took before it was killed.
    """
    forget_peak()
    started, cpu = time.monotonic() - before[0], time.process_time() - before[1]
    recommend = fit(sequences)
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu
    metrics = rank_report(recommend, sequences, "test")
    results[name] = {**metrics, "seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mb": peak_mb()}
    say(f"{name}: {seconds:.0f} s, R@10 {metrics['r10']:.4f}, NDCG@10 {metrics['n10']:.4f}")
    return recommend


def kept(folder: Path | None, name: str, run: Callable[[], Results]) -> Results:
    """Return the results kept under that name, or run and keep them: a benchmark that was ended goes on from there."""
    path = folder / f"{name}.json" if folder else None
    if path and path.exists():
        return cast(Results, json.loads(path.read_text()))
    results = run()
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(results))
        unfinished.rename(path)
    return results


def run_order(sequences: Sequences, text: np.ndarray, seeds: range, folder: Path | None) -> Results:
    """Return the means of the blend and its parts over seeds, for one order of the rows."""
    counted = functools.cache(lambda: fit_counted(sequences, text))
    mark = _mark(sequences, text)
    runs = []
    for seed in seeds:
        name = f"{mark}-blend-{seed}"
        files = folder / name if folder else None
        runs.append(kept(folder, name, lambda s=seed, f=files: run_seed(sequences, text, s, counted(), f)))
    return mean_over_seeds(runs)


def run_beside(sequences: Sequences, text: np.ndarray, seeds: range, folder: Path | None) -> Results:
    """Return the means of the other models over seeds, for one order of the rows."""
    name = f"{_mark(sequences, text)}-beside"
    return mean_over_seeds(
        [kept(folder, f"{name}-{seed}", lambda s=seed: run_baselines(sequences, text, s)) for seed in seeds]
    )


def _mark(sequences: Sequences, text: np.ndarray) -> str:
    """Return a name for sequences, text, settings, threads and version: what is kept under it is of no others."""
    told = repr((FIGURES, WIDTH, settings_for(sequences, WIDTH, 0), sequences.item_count, torch.get_num_threads()))
    content = sequences.items.tobytes() + sequences.starts.tobytes() + text.tobytes()
    return hashlib.sha256(told.encode() + content).hexdigest()[:12]


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
    columns = [*METRICS, "r10_ties", "n10_ties", *CLOCKS, "peak_mb"]
    lines = ["| model | " + " | ".join(columns) + " |", "|---" + "|---:" * len(columns) + "|"]
    for model, metrics in sorted(results.items(), key=lambda each: -each[1]["n10"]):
        cells = [f"{metrics.get(name, float('nan')):.{0 if name in (*CLOCKS, 'peak_mb') else 4}f}" for name in columns]
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def as_json(results: Results) -> str:
    """Return one line of JSON; null where there is nothing to count, for JSON has no NaN."""
    plain = {
        model: {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        for model, metrics in results.items()
    }
    return json.dumps(plain, allow_nan=False)


@click.command()
@click.option(
    "--interactions", type=click.Path(path_type=Path, exists=True), required=True, help="user, item, ts, pos."
)
@click.option("--items", type=click.Path(path_type=Path, exists=True), required=True, help="item, title.")
@click.option("--seeds", default=5, show_default=True, help="Seeds 1 … N of the blend; its rows are their mean.")
@click.option("--beside", default=1, show_default=True, help="Seeds of other models, and of shuffled days.")
@click.option("--threads", default=0, show_default=True, help="torch threads; 0: as many as torch takes.")
@click.option("--ties/--no-ties", default=True, show_default=True, help="Also train with the order of a day shuffled.")
@click.option("--folder", type=click.Path(path_type=Path), help="Keep each seed here, and go on from there.")
def main(
    interactions: Path, items: Path, seeds: int, beside: int, threads: int, ties: bool, folder: Path | None
) -> None:
    """Fit every model on a leave-one-out set and print the table, then one line of JSON."""
    if threads:
        torch.set_num_threads(threads)
    with told_in_one_line():
        rows, catalogue = read_files(interactions, items, say)
        sequences = read_sequences(rows, catalogue)
    say(f"{len(sequences):,} users, {sequences.item_count:,} items, {len(sequences.items):,} interactions")
    vectors = text_vectors(titles(catalogue))
    text = whitened_text(np.vstack([np.zeros_like(vectors[:1]), vectors]))
    results = run_order(sequences, text, range(1, seeds + 1), folder)
    say(table(results))
    others = range(1, beside + 1)
    results |= run_beside(sequences, text, others, folder)
    if ties:
        shuffled = read_sequences(rows, catalogue, shuffle_ties=1)
        again = run_order(shuffled, text, others, folder) | run_beside(shuffled, text, others[:1], folder)
        for model, metrics in again.items():
            results[model] |= {"r10_ties": metrics["r10"], "n10_ties": metrics["n10"]}
    click.echo(table(results))
    click.echo(as_json(results))


if __name__ == "__main__":
    main()
