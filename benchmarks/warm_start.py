"""Print what a warm start brings: `python -m benchmarks.warm_start --before DIR --now DIR`.

Both are an AISLE_HOME or a folder of `training.dataset_files.save`: the same shop, some weeks apart. A Transformer is
fitted cold on the first; on the second one begins with it and one is cold. All is judged on the second's validation
cut. The last line is JSON.
"""

import json
import time
from dataclasses import replace
from pathlib import Path

import click
import torch

from benchmarks.models import read
from training import fit_transformer
from training.dataset import TrainingSet
from training.evaluate import evaluate
from training.model import FittedModel, TrainSettings, demo_settings, silent
from training.warm_start import WarmStart


def fit(now: TrainingSet, settings: TrainSettings, start: WarmStart | None) -> tuple[FittedModel, dict[str, float]]:
    """Fit a Transformer and return it with its steps, CPU seconds and validation metrics."""
    began = time.process_time()
    model = fit_transformer.fit(now, settings, silent, start)
    seconds = time.process_time() - began
    means = evaluate(model.module(), now.validation).means
    found = {"steps": float(model.hyper_parameters["steps"]), "cpu_seconds": seconds}
    return model, found | {name: means[name] for name in ("ndcg10", "recall10", "new_ndcg10")}


@click.command()
@click.option("--before", type=click.Path(path_type=Path, exists=True), required=True, help="What the champion knew.")
@click.option(
    "--now", type=click.Path(path_type=Path, exists=True), required=True, help="What the new one is fitted on."
)
@click.option("--seed", default=7, show_default=True)
@click.option("--threads", default=1, show_default=True)
def main(before: Path, now: Path, seed: int, threads: int) -> None:
    """Fit warm and cold on the same rows, and print them side by side."""
    torch.set_num_threads(threads)
    settings, rows = demo_settings(seed), read(now)
    champion = fit_transformer.fit(read(before), settings, silent)
    results = {"cold": fit(rows, settings, None)[1]}
    for steps in (0, settings.warm_steps):
        model, found = fit(rows, replace(settings, warm_steps=steps), WarmStart("before", champion.knowledge))
        results[f"warm, {steps} steps"] = found | {"carried_items": float(model.hyper_parameters["carried_items"])}
    for name, found in results.items():
        click.echo(f"{name}: " + ", ".join(f"{key} {value:.4f}" for key, value in found.items()))
    click.echo(json.dumps({"benchmark": "warm_start", "seed": seed, **results}))


if __name__ == "__main__":
    main()
