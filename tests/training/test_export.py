"""The exported file answers as torch does, over any batch and any k, and says nothing of the machine it was made on."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_repo.features import MODEL_INPUTS, MODEL_OUTPUTS
from tests.training.small_modules import Attention, NextItem, Popularity, Repeat
from training.export import (
    OPSET,
    SEQUENCE_INPUTS,
    TOLERANCE,
    ExportMismatch,
    compare_with_torch,
    export_model,
    open_session,
    random_inputs,
)

ITEMS = 40


def modules() -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    row = torch.randint(0, 4, (ITEMS + 1,))
    return {"popularity": Popularity(row), "repeat": Repeat(ITEMS), "attention": Attention(ITEMS)}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("exported")
    for name, module in modules().items():
        export_model(module, ITEMS, folder / f"{name}.onnx")
    return {name: folder / f"{name}.onnx" for name in modules()}


@pytest.mark.parametrize("name", ["popularity", "repeat", "attention"])
def test_the_file_has_the_doors_of_the_contract_and_nothing_of_this_machine(
    exported: dict[str, Path], name: str
) -> None:
    model = onnx.load(exported[name])
    session = open_session(exported[name])
    assert [value.name for value in session.get_inputs()] == list(MODEL_INPUTS)
    assert [value.name for value in session.get_outputs()] == list(MODEL_OUTPUTS)
    assert [each.version for each in model.opset_import if each.domain == ""] == [OPSET]
    content = exported[name].read_bytes()
    assert str(Path(__file__).parent.parent.parent).encode() not in content
    assert b"site-packages" not in content


def test_exporting_twice_gives_the_same_bytes(exported: dict[str, Path], tmp_path: Path) -> None:
    export_model(modules()["attention"], ITEMS, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == exported["attention"].read_bytes()


@pytest.mark.parametrize("name", ["popularity", "repeat", "attention"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.integers(1, 5), k=st.integers(1, ITEMS), longest=st.sampled_from([0, 1, 3, 100]), seed=st.integers(0, 99)
)
def test_the_answer_is_a_stable_sort_of_what_torch_scores(
    exported: dict[str, Path], name: str, rows: int, k: int, longest: int, seed: int
) -> None:
    inputs = random_inputs(ITEMS, rows, seed, longest)
    allowed = np.random.default_rng(seed).random((rows, ITEMS + 1)) < 0.6
    module = modules()[name].eval()
    with torch.inference_mode():
        scores = module(*(torch.from_numpy(inputs[each]) for each in SEQUENCE_INPUTS)).numpy()
    items, found = open_session(exported[name]).run(
        list(MODEL_OUTPUTS), {**inputs, "allowed": allowed, "k": np.array([k])}
    )
    for row in range(rows):
        may = [item for item in range(1, ITEMS + 1) if allowed[row, item]]
        expected = sorted(may, key=lambda item: (-scores[row, item], item))[:k]
        kept = items[row][np.isfinite(found[row])]
        assert len(kept) == len(expected)
        np.testing.assert_allclose(found[row][: len(kept)], scores[row, expected], rtol=TOLERANCE, atol=TOLERANCE)
        if name != "attention":
            assert kept.tolist() == expected
        assert set(kept.tolist()) <= set(may)


def test_a_module_of_the_wrong_width_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must give scores .* = \(3, 40\), but gave \(3, 41\)"):
        export_model(Repeat(ITEMS), ITEMS - 1, tmp_path / "model.onnx")


def test_a_file_of_another_model_is_told_apart(exported: dict[str, Path]) -> None:
    with pytest.raises(ExportMismatch, match="differ by"):
        compare_with_torch(exported["repeat"], NextItem(ITEMS), ITEMS)


def test_the_module_itself_is_left_as_it_was(tmp_path: Path) -> None:
    module = Attention(ITEMS).train()
    export_model(module, ITEMS, tmp_path / "model.onnx")
    assert module.training
