"""Training that grows: sampled softmax against the whole one, streamed sequences, and several processes against one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from benchmarks.training_scale import compare_processes, generated_sequences
from training import fit_sequence, sequence_stream
from training.leave_one_out import HELD_OUT, Sequences
from training.sampled_softmax import Proposal, sampled_softmax
from training.sequence_ranking import rank_quality
from training.sequence_settings import FULL_SOFTMAX_ITEMS, SequenceSettings, settings_for

ITEMS = 60


@pytest.fixture(scope="module")
def walks() -> Sequences:
    """Users walk a circle of items, one step at a time."""
    lengths = np.full(120, 9)
    items = np.concatenate([(start + np.arange(9)) % ITEMS + 1 for start in range(120)])
    return Sequences(items, np.concatenate(([0], np.cumsum(lengths))), ITEMS)


def silent(line: object) -> None:
    """Say nothing."""


def proposal() -> Proposal:
    counts = np.concatenate(([0], np.arange(1, ITEMS + 1)))
    return Proposal(np.repeat(np.arange(ITEMS + 1), counts), counts)


def test_negatives_are_drawn_as_often_as_their_chance_says() -> None:
    size = 400_000
    items, log_expected = proposal().draw(np.random.default_rng(0), size)
    came = np.bincount(items, minlength=ITEMS + 1)
    assert came[0] == 0
    expected = np.zeros(ITEMS + 1)
    expected[items] = np.exp(log_expected)
    assert expected.sum() == pytest.approx(size, rel=1e-4)
    assert came[1:] == pytest.approx(expected[1:], rel=0.06)


@pytest.mark.parametrize(("corrected", "near"), [(True, True), (False, False)])
def test_the_sampled_softmax_is_near_the_whole_one_only_with_its_correction(corrected: bool, near: bool) -> None:
    torch.manual_seed(0)
    users, items, wanted = torch.randn(8, 4), torch.randn(ITEMS + 1, 4), torch.arange(1, 9)
    drawn, log_expected = map(torch.from_numpy, proposal().draw(np.random.default_rng(1), 60_000))
    plain, sampled = (items.clone().requires_grad_() for _ in range(2))
    whole = functional.cross_entropy(users @ plain[1:].T, wanted - 1)
    offset = -log_expected if corrected else torch.zeros_like(log_expected)
    own = (users * sampled[wanted]).sum(dim=1)
    came = sampled_softmax(users, own, sampled[drawn], offset, (wanted, drawn))
    whole.backward()
    came.backward()
    assert plain.grad is not None
    assert sampled.grad is not None
    assert (abs(float((came - whole).detach())) < 0.02) is near
    assert torch.allclose(plain.grad, sampled.grad, atol=0.02) is near


def test_batches_hold_every_training_sequence_once_and_nothing_of_the_cuts(walks: Sequences, tmp_path: Path) -> None:
    sequence_stream.write(walks, tmp_path)
    opened = sequence_stream.open_files(tmp_path)
    assert isinstance(opened.items, np.memmap)
    came = list(sequence_stream.batches(opened, np.random.default_rng(3), 7))
    assert len(came) == sequence_stream.batch_count(opened, 7)
    expected = sorted(row.tolist() for row in walks.before(HELD_OUT["validation"]))
    assert sorted(row.tolist() for batch in came for row in batch) == expected
    again = list(sequence_stream.batches(opened, np.random.default_rng(4), 7))
    assert [row.tolist() for row in again[0]] != [row.tolist() for row in came[0]]


@pytest.mark.parametrize("users", [1, 139, 140, 141, 300])
def test_batches_are_counted_as_they_come(users: int) -> None:
    sequences = generated_sequences(users, 50, 1)
    came = list(sequence_stream.batches(sequences, np.random.default_rng(0), 7))
    assert len(came) == sequence_stream.batch_count(sequences, 7)


def test_a_model_trained_on_samples_learns_what_follows_and_touches_no_other_item(walks: Sequences) -> None:
    settings = SequenceSettings(width=16, dropout=0.0, length=16, batch_size=16, learning_rate=1e-2, negatives=20)
    text = np.zeros((ITEMS + 1, 0), dtype=np.float32)
    model = fit_sequence.fit(walks, text, settings, silent)
    assert rank_quality(fit_sequence.recommender(model), walks, "test")["n10"] > 0.9
    rows = torch.tensor([3, 5])
    assert isinstance(model, fit_sequence.SequenceModel)
    model.zero_grad()
    model.items(rows).sum().backward()
    assert model.identity.grad is not None
    assert model.identity.grad.is_sparse
    assert model.identity.grad.coalesce().indices()[0].tolist() == [3, 5]


def test_only_a_large_catalogue_is_sampled() -> None:
    small, large = (generated_sequences(30, items, 1) for items in (FULL_SOFTMAX_ITEMS, FULL_SOFTMAX_ITEMS + 1))
    assert settings_for(small, 64, 1).negatives == 0
    assert settings_for(large, 64, 1).negatives > 0


@pytest.mark.slow
@pytest.mark.parametrize("negatives", [0, 64])
def test_two_processes_walk_the_path_of_one(walks: Sequences, tmp_path: Path, negatives: int) -> None:
    found = compare_processes(walks, tmp_path, 3, "--dropout", "0", "--negatives", str(negatives))
    assert found["two"]["processes"] == 2
    # Without the sum of gradients they are 6e-4 to 1e-3 apart, with it at most 1e-5: the sums of bfloat16 chunks.
    assert found["apart"] < 1e-4
    assert found["two"]["n10_validation"] == pytest.approx(found["one"]["n10_validation"], abs=1e-3)
    assert found["two"]["losses"][-1] < found["two"]["losses"][0]
