import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from training import dataset_files, fit_transformer
from training.dataset import TrainingSet
from training.model import ProgressPoint, silent, tiny_settings
from training.train import Task, learning_rate, train

PROJECT = Path(__file__).parents[2]
KILLED = """
import sys, time
from dataclasses import replace
from pathlib import Path
import torch
from training import dataset_files, fit_transformer
from training.model import tiny_settings
torch.set_num_threads(1)
folder, slow = Path(sys.argv[1]), sys.argv[2] == "slow"
def progress(point):
    print(point.model, point.step, flush=True)
    if slow and point.step > 25:
        time.sleep(60)
settings = replace(tiny_settings(), transformer_steps=50, validation_every=25, checkpoint_folder=folder / "checkpoints")
fitted = fit_transformer.fit(dataset_files.load(folder / "set"), settings, progress)
"""


def weights(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(left: torch.nn.Module, right: torch.nn.Module) -> bool:
    return all(torch.equal(value, right.state_dict()[name]) for name, value in left.state_dict().items())


@pytest.mark.slow
def test_training_killed_with_sigkill_resumes_to_the_same_weights(rhythm: TrainingSet, tmp_path: Path) -> None:
    dataset_files.save(rhythm, tmp_path / "set")
    settings = replace(tiny_settings(), transformer_steps=50, validation_every=25)
    whole = fit_transformer.fit(rhythm, settings, silent)
    run = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), "slow"], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    for line in run.stdout:
        if line.strip() == "transformer 26":
            break
    run.send_signal(signal.SIGKILL)
    run.wait()
    left = list((tmp_path / "checkpoints").glob("transformer-*.pt"))
    assert len(left) == 1
    steps: list[int] = []

    def progress(point: ProgressPoint) -> None:
        if point.model == "transformer":
            steps.append(point.step)

    resumed = fit_transformer.fit(rhythm, replace(settings, checkpoint_folder=tmp_path / "checkpoints"), progress)
    assert steps[0] == 26
    assert same(whole.module(), resumed.module())
    assert resumed.curve == whole.curve


def test_a_finished_run_is_taken_up_whole_and_not_walked_again(tmp_path: Path) -> None:
    settings = replace(tiny_settings(), checkpoint_folder=tmp_path)
    first = line_task()
    curve = train(first, settings, silent)
    again = line_task()
    points: list[ProgressPoint] = []
    assert train(again, settings, points.append) == curve
    assert points == []
    assert same(first.module, again.module)


def test_a_checkpoint_of_other_rows_is_not_taken_up(tmp_path: Path) -> None:
    settings = replace(tiny_settings(), checkpoint_folder=tmp_path)
    train(line_task(), settings, silent)
    points: list[ProgressPoint] = []
    train(replace(line_task(), input_hash="other rows"), settings, points.append)
    assert points[0].step == 1


def test_training_stops_early_and_keeps_the_best_weights(tmp_path: Path) -> None:
    task = line_task()
    seen: list[tuple[float, dict[str, torch.Tensor]]] = []
    qualities = iter([0.2, 0.5, 0.4, 0.3, 0.9])

    def quality() -> float:
        seen.append((next(qualities), weights(task.module)))
        return seen[-1][0]

    curve = train(replace(task, quality=quality), replace(tiny_settings(), validation_every=5, patience=2), silent)
    assert [point.step for point in curve] == [5, 10, 15, 20]
    assert all(torch.equal(value, seen[1][1][name]) for name, value in task.module.state_dict().items())


def test_the_learning_rate_warms_up_and_ends_near_zero() -> None:
    rates = [learning_rate(step, 100, 1.0) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == pytest.approx(1.0)
    assert rates[-1] < 0.01


def line_task() -> Task:
    """Fit a line to noise drawn from the step's seed: every step matters, none can be left out."""
    torch.manual_seed(0)
    module = torch.nn.Linear(3, 1)

    def loss(step: int) -> torch.Tensor:
        rows = torch.randn(8, 3)
        return ((module(rows) - rows.sum(1, keepdim=True)) ** 2).mean()

    return Task("line", module, loss, lambda: 0.1, 40, 10, "rows")
