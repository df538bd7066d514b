"""Small planted training sets for the model tests."""

import pytest

from tests.training.planted import build_training_set, item_texts, rhythm_events
from training.dataset import TrainingSet


@pytest.fixture(scope="session")
def rhythm() -> TrainingSet:
    """24 users who walk through 12 items in the same order."""
    return build_training_set(rhythm_events(), item_texts())
