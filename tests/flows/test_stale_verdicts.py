"""A refusal stands only beside the champion that it was held against."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.champion import POINTER_KEY, read_pointer
from flows.object_client import object_client
from flows.releases import promote, roll_back
from flows.settings import Settings
from flows.training_runs import TrainingRun, is_judged, pointer_facts, write_outcome
from tests.flows.test_release_cleanup import publish_many
from training.model import demo_settings


@pytest.fixture
def refused(store_settings: Settings, tmp_path: Path) -> TrainingRun:
    """A run whose challenger was refused beside the second of two releases."""
    publish_many(store_settings, tmp_path, 2)
    folder = store_settings.home / "training_runs" / "one"
    folder.mkdir(parents=True)
    run = TrainingRun("planted", datetime(2018, 1, 1, tzinfo=UTC), "0" * 64, folder, demo_settings())
    facts = pointer_facts(read_pointer(store_settings))
    write_outcome(run, refused=["not better"], released=None, compared_with=facts, done=True)
    return run


def test_a_refusal_stands_while_its_incumbent_is_champion(store_settings: Settings, refused: TrainingRun) -> None:
    assert is_judged(store_settings, refused)
    second = read_pointer(store_settings).release_id
    roll_back(store_settings)
    promote(store_settings, second)
    assert is_judged(store_settings, refused)


def test_after_a_rollback_the_challenger_meets_the_champion_of_now(
    store_settings: Settings, refused: TrainingRun
) -> None:
    roll_back(store_settings)
    assert not is_judged(store_settings, refused)


def test_after_the_pointer_was_lost_the_challenger_is_judged_anew(
    store_settings: Settings, refused: TrainingRun
) -> None:
    object_client(store_settings).delete_object(Bucket=store_settings.object_store.bucket, Key=POINTER_KEY)
    assert not is_judged(store_settings, refused)
