"""Models that load well and then cost: one fails for known users, one is slow, one looks at nothing of a user."""

import numpy as np
import onnx
from onnx import helper, numpy_helper


def fail_for_known_users(model: onnx.ModelProto) -> None:
    """Read beyond the table wherever a history has an item; a user of whom nothing is known does no harm."""
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.array(1_000_000, np.int64), "far"))
    graph.node.insert(0, helper.make_node("Mul", ["history_items", "far"], ["far_items"]))
    _feed(graph, "history_items", "far_items")


def be_slow(model: onnx.ModelProto, size: int = 1400) -> None:
    """Multiply large matrices and add nothing of it."""
    graph = model.graph
    table = np.random.default_rng(0).random((size, size), np.float32)
    for name, value in {"large": table, "none": np.array(0, np.float32), "axes": np.array([0, 1], np.int64)}.items():
        graph.initializer.append(numpy_helper.from_array(value, name))
    work = [
        helper.make_node("ReduceSum", ["history_ages", "axes"], ["some_ages"], keepdims=0),
        helper.make_node("Mul", ["some_ages", "none"], ["zero"]),
        helper.make_node("Add", ["large", "zero"], ["large_now"]),
        helper.make_node("MatMul", ["large_now", "large"], ["product"]),
        helper.make_node("ReduceMax", ["product", "axes"], ["largest"], keepdims=0),
        helper.make_node("Mul", ["largest", "none"], ["nothing_more"]),
        helper.make_node("Add", ["history_ages", "nothing_more"], ["slow_ages"]),
    ]
    for place, node in enumerate(work):
        graph.node.insert(place, node)
    _feed(graph, "history_ages", "slow_ages", after=len(work))


def hear_nothing(model: onnx.ModelProto) -> None:
    """Give everybody the same, by the prior alone: no input says who asks."""
    graph = model.graph
    kept = [node for node in graph.node if node.op_type in ("Where", "TopK")]
    kept[0].input[1] = "prior"
    asked = [value for value in graph.input if value.name in ("allowed", "k")]
    del graph.node[:], graph.input[:]
    graph.node.extend(kept)
    graph.input.extend(asked)


def _feed(graph: onnx.GraphProto, was: str, now: str, after: int = 1) -> None:
    for node in graph.node[after:]:
        for place, name in enumerate(node.input):
            if name == was:
                node.input[place] = now
