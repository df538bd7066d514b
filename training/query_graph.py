"""query.onnx, node by node: for one user's question a node costs about as much as its arithmetic, so there are few.

The same sums as training/transformer.py and training/copy_head.py, for sequences of any length: serving leaves padding
and repeated items out before it asks. Attention, Gelu and the sum with a norm are single nodes of ONNX Runtime.
tests/serving/test_item_index.py and training/item_index.py hold it against the module.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from feature_repo.features import QUERY_INPUTS, QUERY_OUTPUTS
from training.copy_head import HALF_LIVES, LONG_AGO
from training.export import OPSET
from training.transformer import AGE_BUCKETS, MEAN_HALF_LIFE, Block, UserEncoder
from training.transformer_scorer import TransformerScorer

_FUSED = "com.microsoft"
_FIRST_IR = 10


@dataclass
class Graph:
    """Nodes and weights in the making."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)


def query_graph(scorer: TransformerScorer) -> onnx.ModelProto:
    """Return the graph of a scorer on the CPU in evaluation mode: QUERY_INPUTS in, QUERY_OUTPUTS out."""
    graph, width = Graph(), scorer.vectors.shape[1]
    user = _user(graph, scorer.encoder)
    query = _add(graph, "Mul", [user, _weight(graph, scorer.mixes[2])])
    past = _past_scores(graph, scorer, user)
    for found, name in zip((query, past), QUERY_OUTPUTS, strict=True):
        graph.nodes.append(helper.make_node("Identity", [found], [name]))
    shapes: dict[str, tuple[int, list[str | int]]] = {
        "recent_rows": (TensorProto.FLOAT, ["batch", "recent", width]),
        "recent_types": (TensorProto.INT64, ["batch", "recent", 1]),
        "recent_times": (TensorProto.FLOAT, ["batch", "recent", 2]),
        "recent_live": (TensorProto.INT32, ["batch", "recent_and_now"]),
        "past_items": (TensorProto.INT64, ["batch", "past"]),
        "past_rows": (TensorProto.FLOAT, ["batch", "past", width]),
        "past_times": (TensorProto.FLOAT, ["batch", "past", 2]),
        "history_items": (TensorProto.INT64, ["batch", "history"]),
        "history_ages": (TensorProto.FLOAT, ["batch", "history"]),
        "habits": (TensorProto.FLOAT, ["batch", 1]),
    }
    inputs = [helper.make_tensor_value_info(name, *shapes[name]) for name in QUERY_INPUTS]
    ends: tuple[list[str | int], ...] = (["batch", 1, width], ["batch", "past", 1])
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip(QUERY_OUTPUTS, ends, strict=True)
    ]
    operators = [helper.make_opsetid("", OPSET), helper.make_opsetid(_FUSED, 1)]
    whole = helper.make_graph(graph.nodes, "query", inputs, outputs, graph.weights)
    return helper.make_model(whole, opset_imports=operators, ir_version=_FIRST_IR, producer_name="aisle")


def _user(graph: Graph, encoder: UserEncoder) -> str:
    """Add the user encoder; return the user's vector [B, 1, d]."""
    live = _add(graph, "Cast", [_add(graph, "Greater", ["recent_types", _ids(graph, 0)])], to=TensorProto.FLOAT)
    fading = [[[-math.log(2) / MEAN_HALF_LIFE], [0.0]]]
    aged = _add(graph, "Exp", [_add(graph, "MatMul", ["recent_times", _weight(graph, fading)])])
    weighed = _add(graph, "Mul", [_add(graph, "Mul", [aged, live]), "recent_rows"])
    total = _add(graph, "ReduceSum", [weighed, _ids(graph, [1])], keepdims=1)
    length = _add(graph, "ReduceL2", [total, _ids(graph, [2])], keepdims=1)
    mean = _add(graph, "Div", [total, _add(graph, "Max", [length, _weight(graph, 1e-6)])])
    now = _add(graph, "Add", [mean, _weight(graph, encoder.now)])
    tokens = _add(graph, "Concat", [_tokens(graph, encoder), now], axis=1)
    blocks = list(encoder.blocks)
    norms = [*(block.attention_norm for block in blocks[1:]), encoder.final_norm]
    normed = _add(graph, "LayerNormalization", [tokens, *_norm(graph, blocks[0].attention_norm)], epsilon=1e-5)
    for number, (block, norm) in enumerate(zip(blocks, norms, strict=True)):
        last = number == len(blocks) - 1
        normed, tokens = _block(graph, block, (normed, tokens), norm, last)
    return _add(graph, "Add", [normed, _add(graph, "Mul", [mean, _weight(graph, encoder.mean_gain)])])


def _tokens(graph: Graph, encoder: UserEncoder) -> str:
    """Add an item's row, its age, the gap before it and its type; ages and gaps in logarithmic buckets."""
    stretched = _add(graph, "Add", [_add(graph, "Mul", ["recent_times", _weight(graph, 4.0)]), _weight(graph, 1.0)])
    halves = _add(graph, "Div", [_add(graph, "Log", [stretched]), _weight(graph, np.log(np.float32(2.0)))])
    bucket = _add(graph, "Cast", [_add(graph, "Mul", [halves, _weight(graph, 2.0)])], to=TensorProto.INT64)
    bucket = _add(graph, "Min", [bucket, _ids(graph, AGE_BUCKETS - 1)])
    names = _add(graph, "Concat", [bucket, "recent_types"], axis=2)
    names = _add(graph, "Add", [names, _ids(graph, [0, AGE_BUCKETS, 2 * AGE_BUCKETS])])
    table = torch.cat([encoder.ages.weight, encoder.gaps.weight, encoder.types.weight])
    told = _add(graph, "Gather", [_weight(graph, table), names], axis=0)
    return _add(graph, "Add", ["recent_rows", _add(graph, "ReduceSum", [told, _ids(graph, [2])], keepdims=0)])


def _block(
    graph: Graph, block: Block, inputs: tuple[str, str], norm: torch.nn.LayerNorm, last: bool
) -> tuple[str, str]:
    """Add one block; return its tokens normed for what follows, and as they are. The last one asks for now alone."""
    normed, tokens = inputs
    pairs = _add(graph, "MatMul", [normed, _linear(graph, block.key_value)])
    key, value = f"{pairs}_key", f"{pairs}_value"
    graph.nodes.append(helper.make_node("Split", [pairs], [key, value], axis=2, num_outputs=2))
    if last:
        normed, tokens = (_add(graph, "Gather", [each, _ids(graph, [-1])], axis=1) for each in (normed, tokens))
    asked = _add(graph, "MatMul", [normed, _linear(graph, block.query)])
    bias = _weight(graph, torch.cat([block.query.bias, block.key_value.bias]))
    attended = [asked, key, value, bias, "recent_live"]
    seen = _add(
        graph, "MultiHeadAttention", attended, domain=_FUSED, num_heads=block.heads, unidirectional=int(not last)
    )
    joined = _add(graph, "MatMul", [seen, _linear(graph, block.output)])
    normed, tokens = _normed_sum(graph, joined, tokens, block.forward_norm, block.output)
    inner, outer = block.feed_forward[0], block.feed_forward[2]
    hidden = _add(graph, "MatMul", [normed, _linear(graph, inner)])
    hidden = _add(graph, "BiasGelu", [hidden, _weight(graph, inner.bias)], domain=_FUSED)
    hidden = _add(graph, "MatMul", [hidden, _linear(graph, outer)])
    return _normed_sum(graph, hidden, tokens, norm, outer)


def _past_scores(graph: Graph, scorer: TransformerScorer, user: str) -> str:
    """Add the scores of past items [B, N, 1]: base, taste as it weighs there, and what the copy head gives."""
    head, mixes = scorer.head, scorer.mixes
    layers = [head.network[0], head.network[2], head.network[4]]
    base = head.popularity_gain * head.log_popularity + mixes[1] * scorer.bias + mixes[3] + layers[2].bias
    table = torch.stack([head.log_popularity / 4.0 + 2.0, head.repeat_rate * 3.0, base], dim=1)
    known = _add(graph, "Gather", [_weight(graph, table), "past_items"], axis=0)
    about, tenure = _about_user(graph)
    rhythm = _add(graph, "ReduceProd", ["past_times", _ids(graph, [2])], keepdims=1)
    rhythm = _add(graph, "Div", [rhythm, _add(graph, "Add", [tenure, _weight(graph, 1.0)])])
    grown = _add(graph, "Concat", ["past_times", rhythm, _met_again(graph)], axis=2)
    logs = _add(graph, "Log", [_add(graph, "Add", [grown, _weight(graph, 1.0)])])
    fresh = _add(graph, "Exp", [_add(graph, "Mul", ["past_times", _weight(graph, [-math.log(2) / 7.0, 0.0])])])
    features = _add(graph, "Concat", [logs, fresh, known], axis=2)
    weights = layers[0].weight.T
    nothing = torch.zeros_like(weights[:1])
    # Ages, counts, rhythm and the recency sums; freshness and a column of ones; what is known of the item.
    order = [weights[[1, 0, 3, 11, 12, 13, 14, 15, 2]], nothing, weights[[4, 5]], nothing]
    own = _add(graph, "MatMul", [features, _weight(graph, torch.cat(order))])
    whole = _add(graph, "MatMul", [about, _weight(graph, weights[6:11])])
    whole = _add(graph, "Add", [whole, _weight(graph, layers[0].bias)])
    hidden = _add(graph, "Gelu", [_add(graph, "Add", [own, whole])], domain=_FUSED)
    hidden = _add(graph, "MatMul", [hidden, _linear(graph, layers[1])])
    hidden = _add(graph, "BiasGelu", [hidden, _weight(graph, layers[1].bias)], domain=_FUSED)
    gain = _add(graph, "MatMul", [hidden, _linear(graph, layers[2])])
    taste = _add(graph, "FusedMatMul", ["past_rows", user], domain=_FUSED, transB=1, alpha=float(mixes[1]))
    ends = [_ids(graph, [each]) for each in (2, 3, 2)]
    base_of = _add(graph, "Slice", [known, *ends])
    return _add(graph, "Add", [_add(graph, "Add", [gain, taste]), base_of])


def _met_again(graph: Graph) -> str:
    """Add how often each past item stands in the history [B, N, 5]: by four half-lives of recency, and in all."""
    items = _add(graph, "Unsqueeze", ["past_items", _ids(graph, [2])])
    history = _add(graph, "Unsqueeze", ["history_items", _ids(graph, [1])])
    same = _add(graph, "Cast", [_add(graph, "Equal", [items, history])], to=TensorProto.FLOAT)
    ages = _add(graph, "Unsqueeze", ["history_ages", _ids(graph, [2])])
    rates = [*(-math.log(2) / days for days in HALF_LIVES), 0.0]
    kernels = _add(graph, "Exp", [_add(graph, "Mul", [ages, _weight(graph, rates)])])
    return _add(graph, "MatMul", [same, kernels])


def _about_user(graph: Graph) -> tuple[str, str]:
    """Add the logs of tenure, last age, habits, purchases and span [B, 1, 5]; return them, and tenure [B, 1, 1]."""
    span = _add(graph, "ReduceMax", ["history_ages", _ids(graph, [1])], keepdims=1)
    most = _add(graph, "ReduceMax", ["past_times", _ids(graph, [1])], keepdims=0)
    oldest = _add(graph, "Slice", [most, *(_ids(graph, [each]) for each in (0, 1, 1))])
    tenure = _add(graph, "Max", [span, oldest])
    bought = _add(graph, "ReduceSum", ["past_times", _ids(graph, [1])], keepdims=0)
    bought = _add(graph, "Slice", [bought, *(_ids(graph, [each]) for each in (1, 2, 1))])
    there = _add(graph, "Greater", ["history_items", _ids(graph, 0)])
    last = _add(graph, "Where", [there, "history_ages", _weight(graph, LONG_AGO)])
    last = _add(
        graph, "Min", [_add(graph, "ReduceMin", [last, _ids(graph, [1])], keepdims=1), _weight(graph, LONG_AGO)]
    )
    found = _add(graph, "Relu", [_add(graph, "Concat", [tenure, last, "habits", bought, span], axis=1)])
    logs = _add(graph, "Log", [_add(graph, "Add", [found, _weight(graph, 1.0)])])
    axis = _ids(graph, [1])
    return _add(graph, "Unsqueeze", [logs, axis]), _add(graph, "Unsqueeze", [tenure, axis])


def _normed_sum(
    graph: Graph, fresh: str, before: str, norm: torch.nn.LayerNorm, linear: torch.nn.Linear
) -> tuple[str, str]:
    """Add fresh + bias + before; return it normed, and as it is. (One fused node of it is slower than these three.)"""
    told = _add(graph, "Add", [_add(graph, "Add", [fresh, _weight(graph, linear.bias)]), before])
    return _add(graph, "LayerNormalization", [told, *_norm(graph, norm)], epsilon=1e-5), told


def _norm(graph: Graph, norm: torch.nn.LayerNorm) -> tuple[str, str]:
    return _weight(graph, norm.weight), _weight(graph, norm.bias)


def _linear(graph: Graph, linear: torch.nn.Linear) -> str:
    return _weight(graph, linear.weight.T)


def _add(graph: Graph, operator: str, inputs: list[str], **attributes: Any) -> str:
    name = f"{operator}_{len(graph.nodes)}"
    graph.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
    return name


def _weight(graph: Graph, values: Any) -> str:
    array = values.detach().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    return _kept(graph, np.ascontiguousarray(array.astype(np.float32)))


def _ids(graph: Graph, values: Any) -> str:
    return _kept(graph, np.asarray(values, np.int64))


def _kept(graph: Graph, array: np.ndarray) -> str:
    name = f"weight_{len(graph.weights)}"
    graph.weights.append(numpy_helper.from_array(array, name))
    return name
