"""What a fit of the next-item model varies follows the data."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.training.walks import catalogue, cycle_rows, silent
from training import fit_sequence, sequence_neighbours
from training.leave_one_out import Sequences, read_sequences
from training.sequence_ranking import rank_quality
from training.sequence_settings import SequenceSettings, settings_for, with_steps_enough


def walks(users: int, items: int = 60) -> Sequences:
    """Users who go on by one to three items at a time, from a place of their own, three to nine times."""
    random = np.random.default_rng(0)
    rows = []
    for user in range(users):
        item = int(random.integers(items))
        for step in range(int(random.integers(3, 10))):
            item = (item + int(random.integers(1, 4))) % items
            rows.append((user, item, step))
    return read_sequences(pd.DataFrame(rows, columns=["user", "item", "ts"]), pd.DataFrame({"item": range(items)}))


def test_settings_follow_the_data() -> None:
    short, long = (read_sequences(cycle_rows(users=12, length=length), catalogue()) for length in (5, 80))
    assert settings_for(short, 64, 1).length < settings_for(long, 64, 1).length
    large = Sequences(np.ones(2_000_000, dtype=np.int64), np.arange(0, 2_000_001, 10), 30_000)
    many = Sequences(large.items, large.starts, 999)
    assert settings_for(large, 64, 1).epochs < settings_for(many, 64, 1).epochs == SequenceSettings.epochs


def test_eighty_users_have_steps_enough_to_learn_what_follows() -> None:
    few = walks(80)
    nothing = np.zeros((few.item_count + 1, 0), dtype=np.float32)
    settings = replace(settings_for(few, 32, 1), text=False, spectral=False)
    short = replace(settings, epochs=SequenceSettings.epochs, patience=SequenceSettings.patience, least_steps=0)
    enough, hasty = (
        rank_quality(fit_sequence.recommender(fit_sequence.fit(few, nothing, each, silent)), few, "test")["n10"]
        for each in (settings, short)
    )
    popular = rank_quality(sequence_neighbours.popularity(few), few, "test")["n10"]
    assert enough > 1.2 * hasty > popular


@pytest.mark.parametrize(("steps", "epochs", "patience"), [(1, 400, 20), (4, 100, 5), (16, 25, 2)])
def test_a_set_of_few_steps_an_epoch_gets_epochs_and_patience(steps: int, epochs: int, patience: int) -> None:
    came = with_steps_enough(SequenceSettings(), steps)
    assert came == replace(SequenceSettings(), epochs=epochs, patience=patience, least_steps=200)


@pytest.mark.parametrize("steps", [0, 17, 90])
def test_a_set_of_many_steps_or_none_keeps_its_settings(steps: int) -> None:
    assert with_steps_enough(SequenceSettings(), steps) == SequenceSettings()
