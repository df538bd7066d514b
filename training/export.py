"""A model as one ONNX file that answers with the top k: history and habits in, item indices and scores out.

The model's part of the graph comes from torch's exporter; the mask and the top-k are added as three ONNX nodes, because
ONNX's TopK puts the lower index first among equals, which torch's does not promise.
"""

import copy
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from feature_repo.features import HABIT_LENGTH, HISTORY_LENGTH, MODEL_INPUTS, MODEL_OUTPUTS
from feature_repo.schema import INTERACTION_TYPES

#: The ONNX operator set of a release; onnxruntime 1.24 and newer read it.
OPSET = 20
SEQUENCE_INPUTS = MODEL_INPUTS[:6]
#: Largest difference of a score between ONNX and torch, relative to max(1, the row's largest |score|): float32 sums in
#: another order, and a blend takes square roots of scores near 0.
TOLERANCE = 1e-3


class ExportMismatch(RuntimeError):
    """The ONNX file does not answer as the torch module does."""


@dataclass(frozen=True)
class Parity:
    """What the comparison of ONNX with torch saw: the largest relative difference of a score, over how many rows."""

    largest_difference: float
    rows: int


def export_model(module: torch.nn.Module, item_count: int, path: Path) -> Parity:
    """Write the module as `path` (see write_model), compare the file with torch, and say how near they are.

    Raises ExportMismatch when the file answers otherwise, ValueError for a wrong shape.
    """
    write_model(module, item_count, path)
    return compare_with_torch(path, module, item_count)


def write_model(module: torch.nn.Module, item_count: int, path: Path) -> None:
    """Write the module as one file, opset 20, any batch size, any k; it is not compared with torch here.

    `module(history_items, history_types, history_ages, habit_items, habit_counts, habit_ages)` gives float32
    scores [B, item_count + 1]. Raises ValueError for a wrong shape.
    """
    still = _still(module)
    example = tuple(torch.from_numpy(array) for array in random_inputs(item_count, rows=3, seed=0).values())
    with torch.inference_mode():
        shape = tuple(still(*example).shape)
    if shape != (3, item_count + 1):
        raise ValueError(f"A model must give scores [B, items + 1] = (3, {item_count + 1}), but gave {shape}.")
    graph = exported_graph(still, example, SEQUENCE_INPUTS, ("all_scores",))
    _add_top_k(graph)
    onnx.checker.check_model(graph)
    path.write_bytes(graph.SerializeToString(deterministic=True))


def _still(module: torch.nn.Module) -> torch.nn.Module:
    """Return a copy on the CPU in evaluation mode; the module itself is left as it is."""
    return copy.deepcopy(module).cpu().eval()


def open_session(path: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """Open an exported model the way serving does: on the CPU, with `threads` threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def compare_with_torch(path: Path, module: torch.nn.Module, item_count: int, seed: int = 1) -> Parity:
    """Compare the file with the module on random rows and on the edges: no history, padding only, k = 1, k = all.

    The ranking must be torch's up to `TOLERANCE`, forbidden items and index 0 must stand last with −∞, and among equal
    scores the lower index must come first. Raises ExportMismatch.
    """
    session, still = open_session(path), _still(module)
    largest, rows = 0.0, 0
    for case, inputs in enumerate(_cases(item_count, seed)):
        generator = np.random.default_rng(seed + case)
        allowed = generator.random((len(inputs["history_items"]), item_count + 1)) < (1.0 if case % 2 else 0.7)
        with torch.inference_mode():
            scores = still(*(torch.from_numpy(inputs[name]) for name in SEQUENCE_INPUTS)).numpy()
        allowed[:, 0] = False
        expected = np.where(allowed, scores, -np.inf)
        for k in (1, min(10, item_count), item_count):
            answer = session.run(list(MODEL_OUTPUTS), {**inputs, "allowed": allowed, "k": np.array([k])})
            largest = max(largest, _difference(answer[0], answer[1], expected))
        rows += len(scores)
    return Parity(largest, rows)


def random_inputs(item_count: int, rows: int, seed: int, longest: int | None = None) -> dict[str, np.ndarray]:
    """Make model inputs as real ones look: right-aligned histories and habits of random length, zeros before them."""
    generator = np.random.default_rng(seed)
    history = _lengths_mask(generator, rows, HISTORY_LENGTH, longest)
    habits = _lengths_mask(generator, rows, HABIT_LENGTH, longest)
    ages = -np.sort(-generator.exponential(60, history.shape), axis=1)
    return {
        "history_items": generator.integers(1, item_count + 1, history.shape) * history,
        "history_types": generator.integers(1, len(INTERACTION_TYPES) + 1, history.shape) * history,
        "history_ages": (ages * history).astype(np.float32),
        "habit_items": generator.integers(1, item_count + 1, habits.shape) * habits,
        "habit_counts": (generator.integers(1, 20, habits.shape) * habits).astype(np.float32),
        "habit_ages": (generator.exponential(60, habits.shape) * habits).astype(np.float32),
    }


def _lengths_mask(generator: np.random.Generator, rows: int, length: int, longest: int | None) -> np.ndarray:
    lengths = generator.integers(0, (length if longest is None else longest) + 1, rows)
    return (np.arange(length)[None, :] >= length - lengths[:, None]).astype(np.int64)


def _cases(item_count: int, seed: int) -> list[dict[str, np.ndarray]]:
    empty = random_inputs(item_count, rows=1, seed=seed, longest=0)
    short = random_inputs(item_count, rows=5, seed=seed, longest=3)
    many = random_inputs(item_count, rows=16, seed=seed)
    one = random_inputs(item_count, rows=1, seed=seed + 1)
    only_history = {**many, **{name: np.zeros_like(many[name]) for name in SEQUENCE_INPUTS if name.startswith("habit")}}
    return [empty, short, many, one, only_history, random_inputs(item_count, rows=2, seed=seed, longest=0)]


def _difference(items: np.ndarray, scores: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest relative difference; `expected` is [B, n + 1] with −∞ where not allowed."""
    best = -np.sort(-expected, axis=1)[:, : items.shape[1]]
    of_items = np.take_along_axis(expected, items, axis=1)
    if not (np.isneginf(best) == np.isneginf(scores)).all() or not (np.isneginf(of_items) == np.isneginf(scores)).all():
        raise ExportMismatch("ONNX gave an item that is not allowed, or left out one that is: export the model again.")
    equal = (scores[:, 1:] == scores[:, :-1]) & (items[:, 1:] < items[:, :-1])
    if equal.any():
        raise ExportMismatch(
            "ONNX put a higher index before a lower one with the same score: the top-k must be stable."
        )
    scale = np.maximum(1.0, np.abs(np.where(np.isneginf(expected), 0.0, expected)).max(axis=1, keepdims=True))
    with np.errstate(invalid="ignore"):
        seen = [np.where(np.isneginf(best), 0.0, np.abs(scores - other)) / scale for other in (best, of_items)]
    largest = float(np.max(seen)) if items.size else 0.0
    if not largest <= TOLERANCE:
        raise ExportMismatch(
            f"ONNX and torch differ by {largest:.2g} (relative); expected ≤ {TOLERANCE:g}. "
            "Look for an operator that the exporter turns into another one, or for randomness in the model."
        )
    return largest


class _Inputs(torch.nn.Module):
    """Takes its inputs by place, whatever the model's own forward calls them."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        found: torch.Tensor | tuple[torch.Tensor, ...] = self.model(*inputs)
        return found


def exported_graph(
    module: torch.nn.Module, example: tuple[torch.Tensor, ...], inputs: Sequence[str], outputs: Sequence[str]
) -> onnx.ModelProto:
    """Export a module alone, for any batch size; no paths or traces of this machine are inside."""
    batch = torch.export.Dim("batch")
    with _quiet_exporter():
        program = torch.onnx.export(
            _Inputs(module),
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=(tuple({0: batch} for _ in example),),
            external_data=False,
            verbose=False,
            # The exporter's optimiser drops `+ 1e-9` as if it were + 0, which turns 0 / 1e-9 into NaN.
            optimize=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.functions):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        value.ClearField("metadata_props")
        value.ClearField("doc_string")
    model.producer_name, model.producer_version = "aisle", ""
    return model


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """The exporter warns of its own deprecations and of torchvision, which is not used; errors still come through."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _add_top_k(model: onnx.ModelProto) -> None:
    """Add the inputs `allowed` and `k`, forbid index 0, and answer with the k best of what is allowed."""
    graph = model.graph
    width = graph.output[0].type.tensor_type.shape.dim[1].dim_value
    items = np.arange(width) > 0
    graph.initializer.append(numpy_helper.from_array(items[None, :], "aisle_is_item"))
    graph.initializer.append(numpy_helper.from_array(np.array(-np.inf, dtype=np.float32), "aisle_forbidden"))
    graph.node.extend(
        [
            helper.make_node("And", ["allowed", "aisle_is_item"], ["aisle_may"], name="aisle_may"),
            helper.make_node(
                "Where", ["aisle_may", "all_scores", "aisle_forbidden"], ["aisle_masked"], name="aisle_mask"
            ),
            helper.make_node("TopK", ["aisle_masked", "k"], ["scores", "items"], axis=1, name="aisle_top_k"),
        ]
    )
    graph.input.append(helper.make_tensor_value_info("allowed", TensorProto.BOOL, ["batch", width]))
    graph.input.append(helper.make_tensor_value_info("k", TensorProto.INT64, [1]))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("items", TensorProto.INT64, ["batch", "k_items"]))
    graph.output.append(helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", "k_items"]))
