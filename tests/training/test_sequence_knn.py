"""Item-kNN over steps: its counts against a plain loop, its nearness by hand, and a search that follows the data."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from benchmarks.training_scale import generated_sequences
from training import sequence_blend, sequence_knn, sequence_ranking
from training.history_scores import HistoryScores, decayed
from training.leave_one_out import HELD_OUT
from training.sequence_knn import KnnSettings
from training.sequence_ranking import rank_quality
from training.sequence_starts import window_counts


def test_steps_are_counted_as_a_plain_loop_counts_them() -> None:
    random = np.random.default_rng(4)
    rows = [random.integers(1, 6, length) for length in (0, 1, 4, 9, 2)]
    expected = np.zeros((6, 6))
    for row in rows:
        for start in range(len(row)):
            for step in range(1, min(3, len(row) - 1 - start) + 1):
                expected[row[start], row[start + step]] += step**-0.5
    assert window_counts(rows, 5, 3, 0.5).toarray() == pytest.approx(expected)


def test_nearness_is_the_count_both_ways_over_powers_of_row_and_column_totals() -> None:
    counts = sp.csr_matrix(np.array([[0.0, 2.0], [1.0, 0.0]]))
    near = sequence_knn.near(counts, KnnSettings(backward=0.5, row_power=1.0, column_power=0.5)).toarray()
    assert near == pytest.approx(np.array([[0, 2.5 / 3.5 / 3.5**0.5], [2.0 / 3.0 / 3.0**0.5, 0]]))


def test_the_knobs_of_item_knn_follow_the_data() -> None:
    sequences = generated_sequences(300, 200, 1)
    found, settings = sequence_knn.tuned(sequences)
    counts = window_counts(sequences.before(HELD_OUT["validation"]), sequences.item_count, 7)
    plain = HistoryScores(sequence_knn.near(counts, KnnSettings()), KnnSettings().decay, sequences.item_count)
    quality, before = (rank_quality(each, sequences, "validation")["n10"] for each in (found, plain))
    assert settings != KnnSettings()
    assert quality > before


def test_an_older_item_counts_less_and_one_that_counts_next_to_nothing_is_left_out() -> None:
    rows = decayed([np.array([1, 2, 3]), np.arange(1, 41)], 41, 0.5).toarray()
    assert rows[0, 1:4].tolist() == [0.25, 0.5, 1]
    assert rows[1, 40] == 1
    assert rows[1, 20] == 0
    assert decayed([np.arange(1, 41)], 41, 1.0).sum() == 40


@pytest.mark.parametrize(("windows", "most"), [(0.5, 1), (1.5, 1), (4.0, 3), (8.0, 7)])
def test_a_set_too_large_for_the_usual_window_has_the_other_knobs_found_all_the_same(
    monkeypatch: pytest.MonkeyPatch, windows: float, most: int
) -> None:
    sequences = generated_sequences(150, 100, 1)
    events = sum(map(len, sequences.before(HELD_OUT["validation"])))
    monkeypatch.setattr(sequence_knn, "_PAIRS", int(windows * events))
    settings = sequence_knn.tuned(sequences)[1]
    assert settings.window <= most
    assert settings.decay != KnnSettings().decay or settings.column_power != KnnSettings().column_power


def test_the_blend_has_no_more_scores_in_memory_than_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    sequences = generated_sequences(90, 50, 1)
    monkeypatch.setattr(sequence_ranking, "_SCORES", 40 * 51)
    asked: list[int] = []

    def part(rows: list[np.ndarray]) -> torch.Tensor:
        asked.append(len(rows))
        return torch.zeros(len(rows), 51)

    sequence_blend.fit(sequences, {"part": part}, {"part": 1.0})
    assert asked == [40, 40, 10]
