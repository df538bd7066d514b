"""Small planted training sets for the model tests."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from tests.training.planted import build_training_set, item_texts, rhythm_events
from tests.training.walks import ITEMS, catalogue, cycle_rows
from training.dataset import TrainingSet
from training.leave_one_out import Sequences, read_sequences
from training.model import tiny_settings
from training.tournament import TournamentResult, run_tournament


@pytest.fixture(scope="session")
def rhythm() -> TrainingSet:
    """24 users who walk through 12 items in the same order."""
    return build_training_set(rhythm_events(), item_texts())


@pytest.fixture(scope="session")
def tournament(rhythm: TrainingSet) -> TournamentResult:
    """Every model, fitted once on the planted walk."""
    return run_tournament(rhythm, tiny_settings())


@pytest.fixture(scope="session")
def cycle() -> Sequences:
    return read_sequences(cycle_rows(), catalogue())


@pytest.fixture(scope="session")
def text() -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(ITEMS + 1, 8)).astype(np.float32)
    vectors[0] = 0
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One torch thread a test: results depend on the number, and more of them fight on a small machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
