"""The commands that measure the next-item models, on sets of every shape."""

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from benchmarks import ablation, quality
from benchmarks.peak_memory import forget_peak, peak_mb
from benchmarks.quality import as_json, fit_counted, kept, run_seed, table
from benchmarks.sequence_files import some_users
from tests.training.walks import catalogue, cycle_rows, tiny
from training import sequence_neighbours
from training.item_vectors import whitened_text
from training.leave_one_out import Sequences, read_sequences
from training.sequence_ranking import rank_quality


@pytest.mark.slow
@pytest.mark.parametrize(
    ("users", "items", "low", "high"), [(1, 10, 3, 5), (60, 6, 3, 9), (6, 30, 250, 300), (40, 90, 3, 4)]
)
def test_the_benchmark_takes_few_users_few_items_very_long_histories_no_pairs_and_no_text(
    users: int, items: int, low: int, high: int
) -> None:
    random = np.random.default_rng(3)
    walks = [random.integers(0, items, random.integers(low, high)) for _ in range(users)]
    rows = pd.DataFrame(
        [(user, item, step) for user, walk in enumerate(walks) for step, item in enumerate(walk)],
        columns=["user", "item", "ts"],
    )
    sequences = read_sequences(rows, pd.DataFrame({"item": np.arange(items)}))
    without_text = whitened_text(np.zeros((items + 1, 384), dtype=np.float32))
    results = run_seed(sequences, without_text, 1, fit_counted(sequences, without_text))
    assert all(0 <= metrics["n10"] <= 1 for metrics in results.values())
    assert "| blend |" in table(results)


def test_where_nobody_did_more_than_three_things_the_blend_is_as_good_as_a_top_list() -> None:
    random = np.random.default_rng(3)
    chances = 1 / np.arange(1, 41) ** 2
    taken = [random.choice(40, 3, replace=False, p=chances / chances.sum()) for _ in range(300)]
    rows = pd.DataFrame({"user": np.repeat(np.arange(300), 3), "item": np.ravel(taken), "ts": np.arange(900)})
    sequences = read_sequences(rows, pd.DataFrame({"item": np.arange(40)}))
    without_text = whitened_text(np.zeros((41, 384), dtype=np.float32))
    blend = run_seed(sequences, without_text, 1, fit_counted(sequences, without_text))["blend"]
    top_list = rank_quality(sequence_neighbours.popularity(sequences), sequences, "test")
    assert top_list["n10"] > 0.3
    assert blend["n10"] == top_list["n10"]


def test_ease_is_a_part_of_the_blend_where_its_square_of_items_is_cheap(
    cycle: Sequences, text: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(fit_counted(cycle, text)[1]) == {"item-kNN", "text", "EASE"}
    monkeypatch.setattr(quality, "EASE_ITEMS", cycle.item_count - 1)
    assert set(fit_counted(cycle, text)[1]) == {"item-kNN", "text"}


def test_a_seed_that_was_kept_is_not_run_again(tmp_path: Path) -> None:
    runs = [{"blend": {"n10": 0.5}}, {"blend": {"n10": 0.7}}]
    assert kept(tmp_path, "one", lambda: runs.pop(0)) == {"blend": {"n10": 0.5}}
    assert kept(tmp_path, "one", lambda: runs.pop(0)) == {"blend": {"n10": 0.5}}
    assert kept(tmp_path, "two", lambda: runs.pop(0)) == {"blend": {"n10": 0.7}}
    assert kept(None, "two", lambda: {}) == {}


def test_what_was_kept_of_other_settings_or_threads_is_not_taken_up(
    cycle: Sequences, text: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    monkeypatch.setattr(quality, "fit_counted", lambda *_: ({}, {}))
    monkeypatch.setattr(quality, "run_seed", lambda rows, text, seed, *_: runs.append(seed) or {"blend": {"n10": 0.5}})

    def order() -> None:
        quality.run_order(cycle, text, range(1, 2), tmp_path)

    order()
    order()
    assert len(runs) == 1
    torch.set_num_threads(2)
    order()
    monkeypatch.setattr(quality, "WIDTH", 32)
    order()
    monkeypatch.setattr(quality, "settings_for", lambda sequences, width, seed: replace(tiny(), dropout=0.5))
    order()
    monkeypatch.setattr(quality, "FIGURES", 0)
    order()
    assert len(runs) == 5


def test_the_seconds_of_a_model_count_those_before_it_was_killed(cycle: Sequences) -> None:
    results: quality.Results = {}
    quality._timed(results, "popularity", cycle, sequence_neighbours.popularity, (100.0, 50.0))
    assert results["popularity"]["seconds"] > 100
    assert 50 < results["popularity"]["cpu_seconds"] < 100


def test_the_ablation_judges_every_piece_against_the_whole(cycle: Sequences, text: np.ndarray) -> None:
    said: list[str] = []
    rows = ablation.run(cycle, text, replace(tiny(), epochs=2), said.append)
    assert next(row["piece"] for row in rows) == "whole"
    assert rows[0]["ratio"] == 1
    assert {"without text", "without spectral start", "whole + item-kNN + text + EASE"} <= {
        row["piece"] for row in rows
    }
    assert "| without text |" in ablation.table(rows)


def test_a_part_of_the_users_is_the_same_for_the_same_seed() -> None:
    few = some_users(cycle_rows(), 7, 1)
    assert few["user"].nunique() == 7
    assert few.equals(some_users(cycle_rows(), 7, 1))
    assert some_users(cycle_rows(), 0, 1).equals(cycle_rows())


@pytest.mark.slow
def test_the_command_says_of_every_model_what_shuffled_days_and_memory_are_and_its_line_is_strict_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cycle_rows(users=20).to_parquet(tmp_path / "rows.parquet")
    catalogue().assign(title="tool").to_parquet(tmp_path / "items.parquet")
    monkeypatch.setattr(quality, "text_vectors", lambda titles: np.ones((len(titles), 8), dtype=np.float32))
    monkeypatch.setattr(quality, "settings_for", lambda sequences, width, seed: replace(tiny(), epochs=1))
    told = [
        "--interactions",
        f"{tmp_path / 'rows.parquet'}",
        "--items",
        f"{tmp_path / 'items.parquet'}",
        "--seeds",
        "1",
    ]
    ran = CliRunner().invoke(quality.main, [*told, "--threads", "1"], catch_exceptions=False)
    results = json.loads(ran.stdout.splitlines()[-1], parse_constant=pytest.fail)
    assert {"blend", "popularity", "EASE", "iALS", "BPR", "GRU4Rec, full softmax", "item-kNN"} <= set(results)
    for metrics in results.values():
        assert 0 <= metrics["n10_ties"] <= metrics["r10_ties"] <= 1
        assert metrics["peak_mb"] > 0
        assert metrics["r10_cold"] is None


def test_what_cannot_be_counted_is_null() -> None:
    assert as_json({"blend": {"n10": 0.5, "r10_cold": float("nan")}}) == '{"blend": {"n10": 0.5, "r10_cold": null}}'


def test_a_peak_of_memory_is_forgotten_before_the_next_model() -> None:
    if not forget_peak():
        pytest.skip("the kernel does not let this process forget its peak")
    large = np.ones(2**25)
    high = peak_mb()
    del large
    forget_peak()
    assert peak_mb() < high - 200


@pytest.mark.parametrize("command", [quality, ablation])
def test_a_set_that_cannot_be_judged_ends_a_command_in_one_line(command: ModuleType, tmp_path: Path) -> None:
    cycle_rows(length=2).to_parquet(tmp_path / "rows.parquet")
    catalogue().assign(title="tool").to_parquet(tmp_path / "items.parquet")
    told = ["--interactions", f"{tmp_path / 'rows.parquet'}", "--items", f"{tmp_path / 'items.parquet'}"]
    ran = CliRunner().invoke(command.main, told)
    assert ran.exit_code == 1
    assert ran.stderr.startswith("Error: interactions: expected users with at least 3 interactions, came none of 60")
