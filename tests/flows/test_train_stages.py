"""From a landed shop to a published release, and every way it can stop in between."""

import gzip
import hashlib
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from feature_repo.features import CO_PURCHASE_LENGTH
from flows import champion_decay as decay
from flows import training_runs
from flows.automations import RETRAIN_WANTED
from flows.champion_decay import champion_decay, check_champion
from flows.feature_moments import serving_moment
from flows.feature_source import event_span
from flows.object_client import WriteConflict
from flows.object_store import ensure_bucket
from flows.releases import fetch_release, publish, read_manifest, read_pointer
from flows.run_cost import cost_table
from flows.settings import Settings
from flows.train_stages import judge_challenger, publish_judged, save_models
from flows.training_runs import TrainingRun, TrainSummary, champion_of_same_inputs, inputs_hash, is_judged, summary_of
from flows.training_set import build_training_set, build_training_tables
from tests.conftest import settings_in
from tests.flows.tiny_shop import land
from tests.planted_shop import write_shop
from training import item_knn, popularity
from training.evaluate import evaluate
from training.gate_checks import GateLimits
from training.model import silent, tiny_settings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def landed_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose lake holds the planted shop, its training set built."""
    folder = tmp_path_factory.mktemp("planted")
    settings = settings_in(folder / "home")
    land(settings, str(write_shop(folder / "shop", crowd=60)))
    build_training_set(settings)
    return settings.home


@pytest.fixture(scope="session")
def judged(landed_home: Path, object_store: Settings) -> TrainingRun:
    """A run in that home whose challenger, item-kNN, beat popularity; not published yet."""
    settings = replace(settings_in(landed_home), object_store=object_store.object_store)
    run = new_run(settings)
    compete(settings, run, better=True)
    assert judge_challenger(settings, run).reasons == ()
    return run


@pytest.fixture
def shop(landed_home: Path, judged: TrainingRun, store_settings: Settings) -> Settings:
    """The judged run in a home and a bucket of this test's own."""
    shutil.copytree(landed_home, store_settings.home, dirs_exist_ok=True)
    return store_settings


@pytest.fixture
def run(shop: Settings, judged: TrainingRun) -> TrainingRun:
    """The judged run, in this test's home."""
    return replace(judged, folder=shop.home / "training_runs" / judged.folder.name)


def new_run(settings: Settings) -> TrainingRun:
    train_settings = tiny_settings()
    as_of = serving_moment(event_span(settings)[1])
    name = inputs_hash(build_training_tables(settings).input_hash, as_of, train_settings)
    return TrainingRun(None, as_of, name, settings.home / "training_runs" / name[:16], train_settings)


def compete(settings: Settings, run: TrainingRun, better: bool) -> None:
    """A tournament that ended with item-kNN ahead, or (not better) with popularity against itself."""
    training_set = build_training_set(settings)
    shutil.rmtree(run.folder, ignore_errors=True)
    run.folder.mkdir(parents=True)
    baseline = popularity.fit(training_set, run.train_settings, silent)
    challenger = item_knn.fit(training_set, run.train_settings, silent) if better else replace(baseline, name="copycat")
    test = {model.name: evaluate(model.module(), training_set.test).means for model in (baseline, challenger)}
    save_models(run, challenger, baseline, test, test)


def test_a_better_model_becomes_a_release_that_holds_what_it_says(
    shop: Settings, run: TrainingRun, tmp_path: Path
) -> None:
    assert publish_judged(shop, run)
    summary = summary_of(shop, run, reused=False)
    assert summary.released == summary.challenger == "item-kNN"
    assert summary.champion == summary.release_id
    folder = fetch_release(shop, summary.release_id, tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    items = [json.loads(line) for line in gzip.decompress((folder / "items.jsonl.gz").read_bytes()).splitlines()]
    assert hashlib.sha256("\n".join(i["item_id"] for i in items).encode()).hexdigest() == manifest["vocabulary_sha256"]
    assert manifest["model"]["item_count"] == len(items)
    assert manifest["as_of"] == run.as_of.isoformat()
    assert [user["label"] for user in manifest["sample_users"]][:2] == ["a heavy user", "a light user"]
    assert set(manifest["files"]) == {path.name for path in folder.iterdir()} - {"manifest.json"}
    assert manifest["gate"]["passed"]


def test_neighbours_and_popularity_are_those_of_a_plain_loop(shop: Settings, run: TrainingRun) -> None:
    tables = build_training_tables(shop)
    index = {item_id: number for number, item_id in enumerate(tables.items["item_id"].to_pylist(), 1)}
    with np.load(run.release_folder / "neighbours.npz") as stored:
        items, scores, bought = stored["items"], stored["scores"], stored["bought"]
    popular = np.load(run.release_folder / "popularity.npy")
    vectors = np.load(run.release_folder / "vectors.npy")
    assert items.shape == scores.shape == bought.shape == (len(index) + 1, CO_PURCHASE_LENGTH)
    assert len(popular) == len(vectors) == len(index) + 1
    assert not vectors[0].any()
    assert popular[0] == 0
    assert popular.sum() > 0
    for row in range(1, len(index) + 1):
        present = items[row][items[row] > 0]
        assert row not in present
        assert len(set(present.tolist())) == len(present)
        assert (np.diff(scores[row]) <= 1e-6).all()
    electronics, fashion = index["electronics-1"], index["fashion-1"]
    bought_with = {tables.items["item_id"][int(i) - 1].as_py().split("-")[0] for i in items[electronics] if i}
    assert "fashion" in bought_with
    assert bought.any()
    assert not bought[items == 0].any()
    assert popular[electronics] + popular[fashion] > 0


def test_a_release_says_what_comes_again(shop: Settings, run: TrainingRun) -> None:
    compete(shop, run, better=True)
    judge_challenger(shop, run)
    policies = json.loads((run.release_folder / "policies.json").read_text())
    shows = {row["category"]: row["bought"]["show"] for row in policies["categories"] if "bought" in row}
    assert (shows["Electronics"], shows["Fashion"]) == (False, False), "the next device, never the same"
    assert (shows["Books"], shows["Cosmetics"]) == (True, True), "bought again when the order comes round"


def test_the_same_inputs_are_known_on_another_machine_and_judged_there_they_give_the_same_release_id(
    shop: Settings,
    run: TrainingRun,
) -> None:
    publish_judged(shop, run)
    first = read_pointer(shop)
    assert champion_of_same_inputs(shop, run).release_id == first.release_id
    elsewhere = in_empty_bucket(shop)
    shutil.rmtree(run.release_folder)
    judge_challenger(elsewhere, run)
    publish_judged(elsewhere, run)
    assert read_pointer(elsewhere).release_id == first.release_id
    assert "not better than" in judge_challenger(shop, run).reasons[0]
    assert read_pointer(shop) == first


def in_empty_bucket(settings: Settings) -> Settings:
    """The same home with a store that has nothing."""
    store = replace(settings.object_store, bucket=settings.object_store.bucket + "-new")
    empty = replace(settings, object_store=store)
    ensure_bucket(empty)
    return empty


def test_a_refused_challenger_leaves_the_champion(shop: Settings, run: TrainingRun) -> None:
    publish_judged(shop, run)
    before = read_pointer(shop)
    compete(shop, run, better=False)
    report = judge_challenger(shop, run)
    assert not report.passed
    assert "champion" in report.reasons[0]
    assert not publish_judged(shop, run)
    assert read_pointer(shop) == before
    summary = summary_of(shop, run, reused=False)
    assert summary.released is None
    assert f"release {before.release_id} stays" in summary.sentence()


def test_without_a_champion_a_refused_challenger_gives_way_to_the_best_simple_model(
    shop: Settings, run: TrainingRun
) -> None:
    compete(shop, run, better=False)
    report = judge_challenger(shop, run)
    assert not report.passed
    publish_judged(shop, run)
    summary = summary_of(shop, run, reused=False)
    assert summary.released == "popularity"
    assert summary.champion == summary.release_id
    assert "was refused" in summary.sentence()
    assert not read_manifest(shop, summary.champion)["gate"]["passed"]


def test_a_simple_model_that_is_best_is_not_told_as_refused_for_being_no_better_than_itself() -> None:
    summary = TrainSummary("item-kNN", {}, {}, ("not better than item-kNN",), "item-kNN", "r1", "r1")
    assert summary.sentence().startswith("item-kNN is the best model and a simple one")
    assert "refused" not in summary.sentence()


def test_what_no_model_can_pass_releases_nothing(shop: Settings, run: TrainingRun) -> None:
    report = judge_challenger(shop, run, GateLimits(size_mib=0.0001))
    assert report.comparison is None
    assert not publish_judged(shop, run)
    assert read_pointer(shop) is None
    assert "there is no release yet" in summary_of(shop, run, reused=False).sentence()
    assert is_judged(shop, run)


def test_a_run_cut_off_before_publishing_is_finished_without_training(shop: Settings, run: TrainingRun) -> None:
    assert is_judged(shop, run)
    assert publish_judged(shop, run)
    assert not publish_judged(shop, run)
    assert is_judged(shop, run)
    assert summary_of(shop, run, reused=True).release_id == read_pointer(shop).release_id


def test_a_verdict_against_an_older_champion_is_void(shop: Settings, run: TrainingRun) -> None:
    """Two runs judged against no champion: the second to publish loses, and must be judged again."""
    manifest = json.loads((run.folder / "manifest.json").read_text())
    other = shutil.copytree(run.release_folder, run.folder / "other")
    (other / "popularity.npy").write_bytes(b"another release")
    publish(shop, other, manifest, None)
    with pytest.raises(WriteConflict, match="gate it against the new champion"):
        publish_judged(shop, run)
    assert not is_judged(shop, run)


def test_after_the_store_was_lost_the_same_run_publishes_the_same_release(shop: Settings, run: TrainingRun) -> None:
    publish_judged(shop, run)
    first = read_pointer(shop).release_id
    emptied = in_empty_bucket(shop)
    assert publish_judged(emptied, run)
    assert read_pointer(emptied).release_id == first


def test_the_cost_of_the_run_stands_in_the_manifest(shop: Settings, run: TrainingRun) -> None:
    publish_judged(shop, run)
    cost = read_manifest(shop, read_pointer(shop).release_id)["cost"]
    assert cost["stages"]["gate"]["cpu_seconds"] > 0
    assert cost["stages"]["gate"]["peak_memory_bytes"] > 50e6
    assert cost["cpu_seconds"] == pytest.approx(
        sum(stage["cpu_seconds"] for stage in cost["stages"].values()), abs=0.02
    )
    assert f"| gate | {cost['stages']['gate']['cpu_seconds']:.1f} |" in cost_table(cost)


def test_a_champion_that_surely_lost_a_tenth_has_decayed_and_one_on_its_own_week_is_not_asked(
    shop: Settings, run: TrainingRun
) -> None:
    publish_judged(shop, run)
    pointer = read_pointer(shop)
    manifest = read_manifest(shop, pointer.release_id)
    assert champion_decay(shop, pointer, manifest) is None
    manifest["data"]["training_set"]["cuts"]["test"] = "2020-01-01T00:00:00+00:00"
    same = champion_decay(shop, pointer, manifest)
    assert same.ndcg10 == pytest.approx(manifest["metrics"]["test"]["item-kNN"]["ndcg10"], abs=1e-3)
    assert not same.decayed
    assert "it holds" in same.sentence()
    manifest["metrics"]["test"]["item-kNN"]["ndcg10"] = same.high / 0.89
    lost = champion_decay(shop, pointer, manifest)
    assert lost.decayed
    assert "it has decayed" in lost.sentence()
    manifest["data"]["training_set"] |= {"sha256_16": "another", "cuts": {"visits": "2020-01-01T00:00:00+00:00"}}
    assert champion_decay(shop, pointer, manifest) is None, "visits ask another question"


def test_the_flow_asks_for_training_when_the_champion_decayed_and_not_otherwise(
    shop: Settings, run: TrainingRun, prefect_harness: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_judged(shop, run)
    manifest = read_manifest(shop, read_pointer(shop).release_id)
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(decay, "load_settings", lambda: shop)
    monkeypatch.setattr(decay, "announce", lambda event, name, facts: asked.append((event, facts["reason"])))
    assert check_champion() is None
    manifest["data"]["training_set"]["cuts"]["test"] = "2020-01-01T00:00:00+00:00"
    monkeypatch.setattr(decay, "read_manifest", lambda *_: manifest)
    assert not check_champion().decayed
    assert asked == []
    manifest["metrics"]["test"]["item-kNN"]["ndcg10"] = 2.0
    assert check_champion().decayed
    assert [event for event, _ in asked] == [RETRAIN_WANTED]
    assert "it has decayed" in asked[0][1]


def test_other_locked_packages_are_other_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime(2026, 1, 5, tzinfo=UTC)
    before = inputs_hash("rows", moment, tiny_settings())
    assert inputs_hash("rows", moment, tiny_settings()) == before
    assert inputs_hash("other rows", moment, tiny_settings()) != before
    monkeypatch.setattr(training_runs, "code_pins", lambda: {"lock_sha256": "another"})
    assert inputs_hash("rows", moment, tiny_settings()) != before
