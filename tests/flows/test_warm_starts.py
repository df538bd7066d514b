"""What a training run may begin with, by what stands in the store."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feature_repo.features import KNOWLEDGE_NAME
from flows.releases import publish, read_pointer
from flows.settings import Settings
from flows.training_runs import TrainingRun, read_outcome
from flows.warm_starts import find_start, keep_knowledge
from tests.flows.test_releases import manifest_of, release_folder
from training.model import demo_settings

KNOWN = {"identity": np.eye(3, dtype=np.float32), "item_ids": np.array(["a", "b", "c"]), "since_cold": np.array(2)}


@pytest.fixture
def run(store_settings: Settings) -> TrainingRun:
    folder = store_settings.home / "training_runs" / "one"
    folder.mkdir(parents=True)
    return TrainingRun("planted", datetime(2018, 1, 1, tzinfo=UTC), "0" * 64, folder, demo_settings())


def release(settings: Settings, run: TrainingRun, content: str, knows: bool = True, **manifest: Any) -> str:
    """Publish a release in place of the champion; return its id."""
    folder = release_folder(run.folder, content)
    if knows:
        keep_knowledge(run, KNOWN)
        (folder / KNOWLEDGE_NAME).write_bytes((run.folder / KNOWLEDGE_NAME).read_bytes())
    return publish(settings, folder, manifest_of(**manifest), read_pointer(settings)).release_id


def test_the_first_run_is_cold(store_settings: Settings, run: TrainingRun) -> None:
    assert find_start(store_settings, run) is None


def test_a_run_begins_with_what_the_champion_knew_and_with_the_same_after_a_kill(
    store_settings: Settings, run: TrainingRun
) -> None:
    champion = release(store_settings, run, "one")
    start = find_start(store_settings, run)
    assert (start.release_id, start.since_cold) == (champion, 2)
    assert start.tensors["item_ids"].tolist() == ["a", "b", "c"]
    release(store_settings, run, "two")
    assert find_start(store_settings, run).release_id == champion == read_outcome(run)["start"]


@pytest.mark.parametrize(
    ("knows", "manifest", "changes"),
    [
        (False, {}, {}),
        (True, {"source": "another"}, {}),
        (True, {}, {"as_of": datetime(2017, 12, 24, tzinfo=UTC)}),
        (True, {}, {"train_settings": demo_settings(cold=True)}),
    ],
    ids=["a champion that keeps no knowledge", "of another shop", "newer than the run", "a run that is to be cold"],
)
def test_a_champion_that_does_not_fit_is_not_begun_with(
    store_settings: Settings, run: TrainingRun, knows: bool, manifest: dict[str, Any], changes: dict[str, Any]
) -> None:
    release(store_settings, run, "one", knows, **manifest)
    assert find_start(store_settings, replace(run, **changes)) is None


@pytest.mark.parametrize(
    ("cuts", "begins"),
    [
        ({"visits": "2017-12-28T00:00:00+00:00"}, False),
        ({"visits": "2017-12-10T00:00:00+00:00"}, True),
        ({"validation": "2017-12-17T00:00:00+00:00", "test": "2017-12-24T00:00:00+00:00"}, True),
        ({"validation": "2017-12-19T00:00:00+00:00", "test": "2017-12-22T00:00:00+00:00"}, False),
    ],
    ids=["visits of these weeks", "visits before them", "an earlier cut", "a later cut"],
)
def test_a_champion_that_learned_from_the_weeks_that_judge_is_not_begun_with(
    store_settings: Settings, run: TrainingRun, cuts: dict[str, str], begins: bool
) -> None:
    release(store_settings, run, "one", data={"training_set": {"cuts": cuts}})
    start = find_start(store_settings, run, datetime(2017, 12, 18, tzinfo=UTC))
    assert (start is not None) == begins


def test_a_run_without_a_transformer_keeps_nothing(store_settings: Settings, run: TrainingRun) -> None:
    keep_knowledge(run, {})
    assert list(Path(run.folder).iterdir()) == []
