"""Answers from the item index are those of model.onnx; what a search may miss is told by the margin."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.serving_shop import ShopSize, module_of
from feature_repo.features import INDEX_FILES
from serving.model_inputs import Sequences, padded
from serving.scorer import Scorer, best_items, open_scorer
from tests.serving.padded_query import make_padded
from training.export import SEQUENCE_INPUTS, random_inputs, write_model
from training.item_index import MOST_SHARE, RECALL_GOAL, cells_of, write_index

ITEMS = 6_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    module = module_of(ShopSize(users=1, items=ITEMS))
    module.bias.uniform_(-0.5, 0.5)
    np.save(folder / "bias.npy", module.bias.numpy())
    write_model(module, ITEMS, folder / "model.onnx")
    found = write_index(module, folder)
    assert found is not None
    assert found.recall >= RECALL_GOAL
    assert found.share <= MOST_SHARE
    return folder


@pytest.fixture(scope="module")
def indexed(folder: Path) -> Scorer:
    scorer = open_scorer(folder / "model.onnx")
    assert scorer.index is not None
    return scorer


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    alone = tmp_path_factory.mktemp("whole") / "model.onnx"
    shutil.copyfile(folder / "model.onnx", alone)
    scorer = open_scorer(alone)
    assert scorer.index is None
    return scorer


def inputs_of(rows: int, seed: int, longest: int | None = None) -> Sequences:
    """Made histories; a user's habits are distinct, as the feature's are."""
    return flat(padded_inputs(rows, seed, longest))


def flat(inputs: dict[str, np.ndarray]) -> Sequences:
    """The sequences that stand in padded arrays."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("items", "types", "ages", "counts")}
    starts, middles, past = [0], [], []
    for user, (habits, history) in enumerate(zip(inputs["habit_items"] > 0, inputs["history_items"] > 0, strict=True)):
        own, deeds = int(habits.sum()), int(history.sum())
        nothing = np.zeros(max(own, deeds), np.float32)
        columns = {
            "items": (inputs["habit_items"][user][habits], inputs["history_items"][user][history]),
            "types": (nothing[:own].astype(np.int64), inputs["history_types"][user][history]),
            "ages": (inputs["habit_ages"][user][habits], inputs["history_ages"][user][history]),
            "counts": (inputs["habit_counts"][user][habits], nothing[:deeds]),
        }
        for name, pair in columns.items():
            parts[name] += pair
        bought, done = (each.tolist() for each in columns["items"])
        places = {item: starts[-1] + own + place for place, item in enumerate(done)}
        past.append([*(places | {item: starts[-1] + place for place, item in enumerate(bought)}).values()])
        middles.append(starts[-1] + own)
        starts.append(starts[-1] + own + deeds)
    arrays = {name: np.concatenate(found) for name, found in parts.items()}
    return Sequences(**arrays, starts=starts, middles=middles, past=past)


def padded_inputs(rows: int, seed: int, longest: int | None = None) -> dict[str, np.ndarray]:
    inputs = {name: random_inputs(ITEMS, rows, seed, longest)[name] for name in SEQUENCE_INPUTS}
    habits = inputs["habit_items"]
    distinct = 1 + np.random.default_rng(seed).permuted(np.tile(np.arange(ITEMS), (rows, 1)), axis=1)
    inputs["habit_items"] = distinct[:, : habits.shape[1]] * (habits > 0)
    return inputs


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    k=st.sampled_from([1, 10, 100, 500, 501, ITEMS]),
    share=st.sampled_from([1.0, 0.5, 0.01, 0.0]),
    longest=st.sampled_from([0, 3, None]),
    shared=st.booleans(),
)
def test_with_a_margin_that_misses_nothing_the_index_ranks_as_the_whole_model_does(
    indexed: Scorer, whole: Scorer, seed: int, k: int, share: float, longest: int | None, shared: bool
):
    inputs = inputs_of(4, seed, longest)
    allowed = np.random.default_rng(seed).random((1 if shared else 4, ITEMS + 1)) < share
    careful = replace(indexed, index=replace(indexed.index, margin=12.0))
    pairs = zip(best_items(careful, inputs, allowed, k), best_items(whole, inputs, allowed, k), strict=True)
    for user, (ours, theirs) in enumerate(pairs):
        np.testing.assert_allclose(ours[1], theirs[1], atol=2e-4)
        assert np.isin(ours[0], theirs[0]).sum() >= len(theirs[0]) - 1  # the last may be equal to the one after it
        assert allowed[0 if shared else user, ours[0]].all()
        assert len(set(ours[0].tolist())) == len(ours[0])


def test_a_search_looks_at_few_of_the_items_and_finds_the_best(indexed: Scorer, whole: Scorer):
    allowed = np.ones((1, ITEMS + 1), np.bool_)
    inputs = inputs_of(50, seed=3)
    pairs = zip(best_items(indexed, inputs, allowed, 100), best_items(whole, inputs, allowed, 100), strict=True)
    assert np.mean([np.isin(theirs[0], ours[0]).mean() for ours, theirs in pairs]) >= RECALL_GOAL


@pytest.mark.slow
def test_an_index_of_a_release_before_still_ranks_the_same(indexed: Scorer, folder: Path, tmp_path: Path):
    shutil.copytree(folder, tmp_path / "before")
    module = module_of(ShopSize(users=1, items=ITEMS))
    module.bias.copy_(torch.from_numpy(np.load(folder / "bias.npy")))
    make_padded(module, tmp_path / "before")
    before, allowed = open_scorer(tmp_path / "before" / "model.onnx"), np.ones((1, ITEMS + 1), np.bool_)
    inputs = inputs_of(20, seed=5)
    assert before.index.recent is None
    pairs = zip(best_items(before, inputs, allowed, 50), best_items(indexed, inputs, allowed, 50), strict=True)
    for then, now in pairs:
        np.testing.assert_allclose(then[1], now[1], atol=2e-4)
        assert np.isin(then[0], now[0]).sum() >= 49  # the last may be equal to the one after it


def test_padding_beside_a_longer_row_changes_nothing(indexed: Scorer):
    inputs, allowed = padded_inputs(6, seed=9), np.ones((1, ITEMS + 1), np.bool_)
    short = padded_inputs(6, seed=10, longest=4)
    both = {name: np.concatenate([inputs[name], short[name]]) for name in inputs}
    together = best_items(indexed, flat(both), allowed, 30)[6:]
    for user, ours in enumerate(together):
        one = {name: short[name][user : user + 1] for name in short}
        (alone,) = best_items(indexed, flat(one), allowed, 30)
        assert ours[0].tolist() == alone[0].tolist()
        np.testing.assert_allclose(ours[1], alone[1], rtol=1e-5, atol=1e-5)


def test_every_item_lies_in_one_cell_below_its_top(folder: Path):
    cells = cells_of(module_of(ShopSize(users=1, items=ITEMS)))
    assert sorted(cells.items.tolist()) == list(range(1, ITEMS + 1))
    assert (np.diff(cells.starts) > 0).all()
    for cell, top in enumerate(cells.tops):
        assert cells.standing[cells.starts[cell] : cells.starts[cell + 1]].max() == top


def test_a_model_whose_best_items_lie_everywhere_gets_no_index(tmp_path: Path):
    module = module_of(ShopSize(users=1, items=3_000))
    module.head.popularity_gain.data.fill_(0.0)
    assert write_index(module, tmp_path) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", INDEX_FILES)
def test_an_index_that_is_not_whole_is_refused(folder: Path, tmp_path: Path, name: str):
    shutil.copytree(folder, tmp_path / "spoilt")
    path = tmp_path / "spoilt" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(Exception, match=r".+"):
        open_scorer(tmp_path / "spoilt" / "model.onnx")


def test_an_index_of_another_catalogue_is_refused(folder: Path, tmp_path: Path):
    shutil.copytree(folder, tmp_path / "spoilt")
    np.save(tmp_path / "spoilt" / "item_rows.npy", np.zeros((ITEMS - 1, 64), np.float32))
    with pytest.raises(ValueError, match="expected each of 5999 items once"):
        open_scorer(tmp_path / "spoilt" / "model.onnx")


def test_flat_sequences_are_the_padded_arrays_they_came_from():
    inputs = padded_inputs(5, seed=4, longest=None)
    for name, array in padded(flat(inputs)).items():
        np.testing.assert_array_equal(array, inputs[name] * (inputs[f"{name.split('_')[0]}_items"] > 0), err_msg=name)
