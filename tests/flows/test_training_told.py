"""What a training says of its end, to people and to automations; and that a second one of the same inputs waits."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger

from flows import train_model as training
from flows.automations import RELEASE_PROMOTED, RELEASE_REFUSED
from flows.settings import Settings
from flows.train_model import find_inputs, tell, train_model
from flows.training_runs import TrainingRun, TrainSummary, read_outcome, write_outcome
from tests.flows.tiny_shop import land
from tests.flows.waiting_run import waiting_run
from tests.planted_shop import write_shop
from training.model import demo_settings, tiny_settings

PASSED = TrainSummary("blend", {}, {}, (), "blend", "r2", "r2")
REFUSED = TrainSummary("blend", {}, {}, ("not better",), None, None, "r1")
SIMPLE = TrainSummary("blend", {}, {}, ("not better",), "popularity", "r1", "r1")
SIMPLE_AND_BEST = TrainSummary("item-kNN", {}, {}, ("not better than item-kNN",), "item-kNN", "r1", "r1")


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What was announced, of whom."""
    events: list[tuple[str, str]] = []
    monkeypatch.setattr(training, "announce", lambda event, name, facts: events.append((event, name)))
    return events


def judged(folder: Path) -> TrainingRun:
    """A run that the gate has judged, and whose verdict nobody was told."""
    run = TrainingRun(None, datetime(2026, 1, 5, tzinfo=UTC), "0" * 64, folder, tiny_settings())
    write_outcome(run, announced=False)
    return run


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        (PASSED, [(RELEASE_PROMOTED, "r2")]),
        (REFUSED, [(RELEASE_REFUSED, "blend")]),
        (SIMPLE, [(RELEASE_REFUSED, "blend"), (RELEASE_PROMOTED, "r1")]),
        (SIMPLE_AND_BEST, [(RELEASE_PROMOTED, "r1")]),
    ],
)
def test_a_verdict_is_announced_once_and_a_model_that_is_released_is_not_refused(
    tmp_path: Path, announced: list[tuple[str, str]], summary: TrainSummary, expected: list[tuple[str, str]]
):
    run = judged(tmp_path)
    with disable_run_logger():
        tell(run, summary)
        tell(run, replace(summary, reused=True))
    assert announced == expected


def test_a_verdict_of_a_run_that_died_before_it_told_is_announced_by_the_next(
    tmp_path: Path, announced: list[tuple[str, str]]
):
    with disable_run_logger():
        tell(judged(tmp_path), replace(REFUSED, reused=True))
    assert announced == [(RELEASE_REFUSED, "blend")]


@pytest.mark.slow
def test_a_training_waits_for_another_of_the_same_inputs_and_reports_its_outcome(
    store_settings: Settings, tmp_path: Path, prefect_harness: None, monkeypatch: pytest.MonkeyPatch
):
    land(store_settings, str(write_shop(tmp_path / "shop", crowd=60)))
    monkeypatch.setattr(training, "load_settings", lambda: store_settings)
    with disable_run_logger():
        run = find_inputs.fn(None, demo_settings(7))
    verdict = {"challenger": "blend", "refused": ["too slow"], "released": None, "gate": {}, "compared_with": None}
    with waiting_run(run.folder / "training.lock", "prefect.flow_runs", train_model) as second:
        write_outcome(run, **verdict, test={}, validation={}, done=True)
    assert second.result().reused
    assert "models" not in read_outcome(run)
