"""The same seed and number of threads give the same weights, at two threads too: no sum depends on who is first."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.training_scale import generated_sequences
from tests.training.walks import silent
from training import fit_sequence, fit_transformer
from training import model as pipeline
from training.dataset import TrainingSet
from training.leave_one_out import Sequences
from training.sequence_settings import SequenceSettings


@pytest.fixture(autouse=True)
def two_threads(one_thread: None) -> None:
    """Two torch threads; the fixture of all tests puts back what stood before."""
    torch.set_num_threads(2)


@pytest.fixture(scope="module")
def walks() -> Sequences:
    return generated_sequences(200, 150, 1)


def assert_same(first: nn.Module, second: nn.Module) -> None:
    """Every weight has the same bits."""
    for name, one in first.state_dict().items():
        assert torch.equal(one, second.state_dict()[name]), name


@pytest.mark.parametrize("variant", [{}, {"length": 200}, {"negatives": 256}, {"cell": "gru"}, {"cell": "lstm"}])
def test_two_fits_of_the_next_item_model_on_two_threads_are_equal(walks: Sequences, variant: dict[str, object]) -> None:
    settings = replace(SequenceSettings(epochs=1, spectral=False, text=False), **variant)  # type: ignore[arg-type]
    text = np.zeros((walks.item_count + 1, 0), dtype=np.float32)
    if settings.length > SequenceSettings.length:
        walks = Sequences(walks.items, np.arange(0, len(walks.items), len(walks.items) // 8), walks.item_count)
    first, *others = (fit_sequence.fit(walks, text, settings, silent) for _ in range(3))
    for other in others:
        assert_same(first, other)


def test_two_fits_of_the_pipelines_transformer_on_two_threads_are_equal(rhythm: TrainingSet) -> None:
    settings = pipeline.TrainSettings(transformer_steps=3, validation_every=3, least_interactions=2)
    first, *others = (fit_transformer.fit(rhythm, settings, pipeline.silent).scorer for _ in range(3))
    for other in others:
        assert_same(first, other)
