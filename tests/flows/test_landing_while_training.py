"""What lands while models are trained is in the next release: the rows of a run are those that it began with."""

import gzip
import json
from datetime import timedelta

import pytest
from prefect.logging import disable_run_logger

from feature_repo.schema import ITEMS
from flows import train_model as training
from flows.lake import Window, write_window
from flows.settings import Settings
from flows.train_model import find_inputs
from flows.train_stages import judge_challenger, save_models
from flows.training_runs import TrainingRun
from flows.training_set import build_training_set
from tests.flows.feature_lake import SERVING, SOURCE, START, fill_lake, made_event, table_of, write_events
from training import popularity
from training.dataset import TrainingSet
from training.model import silent, tiny_settings

pytestmark = pytest.mark.slow


def begin(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> TrainingRun:
    """A run on the lake as it is."""
    monkeypatch.setattr(training, "load_settings", lambda: settings)
    with disable_run_logger():
        return find_inputs.fn(None, tiny_settings())


def compete(run: TrainingRun, training_set: TrainingSet) -> None:
    """A tournament that popularity won."""
    model = popularity.fit(training_set, run.train_settings, silent)
    save_models(run, model, model, {}, {})


def land_another_item(settings: Settings) -> None:
    """An item is sold out and another one comes: as many as before, others behind the same numbers."""
    changed = {"item 03": False, "item 03 b": True}
    items = [
        {
            **dict.fromkeys(ITEMS.column_names),
            "item_id": item_id,
            "title": item_id,
            "available": available,
            "updated_at": START + timedelta(days=1),
            "source": SOURCE,
        }
        for item_id, available in changed.items()
    ]
    write_window(settings, Window("items", SOURCE, "late"), table_of("items", items))
    write_events(settings, "late", [made_event(9_999, 2, SERVING + timedelta(days=1), "purchase", 2)])


def test_a_release_names_the_items_that_its_model_learned_whatever_lands_before_the_gate(
    store_settings: Settings, prefect_harness: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_lake(store_settings, users=80)
    run = begin(store_settings, monkeypatch)
    learned = build_training_set(store_settings)
    compete(run, learned)
    land_another_item(store_settings)
    assert build_training_set(store_settings).catalogue.item_ids != learned.catalogue.item_ids
    judge_challenger(store_settings, run)
    released = gzip.decompress((run.release_folder / "items.jsonl.gz").read_bytes()).splitlines()
    assert [json.loads(line)["item_id"] for line in released] == learned.catalogue.item_ids
