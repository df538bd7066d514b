"""The release's model behind one function: users' sequences in, the best k items of each out.

A release of a large catalogue brings an item index, which then answers in place of model.onnx.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from feature_repo.features import INDEX_FILES, MODEL_INPUTS, MODEL_OUTPUTS
from serving.item_index import ItemIndex, Ranking, read_index, search
from serving.model_inputs import Sequences, padded


@dataclass(frozen=True)
class Scorer:
    """An ONNX Runtime session and the inputs that its model asks for; safe to call from several threads.

    With an `index` the session is that of its query.
    """

    session: Any
    inputs: tuple[str, ...]
    index: ItemIndex | None = None

    @property
    def hears_users(self) -> bool:
        """Whether the model looks at what a user did at all; popularity does not."""
        return not {"history_items", "habit_items"}.isdisjoint(self.inputs)


def open_scorer(path: Path) -> Scorer:
    """Load the model, or the index that stands beside it, with one thread: requests of one moment are scored together.

    Raises ValueError when its inputs or outputs are not those of feature_repo/features.py.
    """
    if all((path.parent / name).exists() for name in INDEX_FILES):
        session = _session(path.parent / "query.onnx")
        return Scorer(session, tuple(MODEL_INPUTS[:6]), read_index(path.parent, session))
    session = _session(path)
    inputs = {value.name for value in session.get_inputs()}
    outputs = {value.name for value in session.get_outputs()}
    # A model may not need every input (popularity needs none); it may not need another.
    if not inputs <= set(MODEL_INPUTS) or outputs != set(MODEL_OUTPUTS):
        raise ValueError(
            f"{path.name}: expected inputs among {MODEL_INPUTS} and outputs {MODEL_OUTPUTS}, "
            f"but found {sorted(inputs)} and {sorted(outputs)}"
        )
    return Scorer(session, tuple(inputs))


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def best_items(scorer: Scorer, sequences: Sequences, allowed: npt.NDArray[np.bool_], k: int) -> list[Ranking]:
    """Return the best k allowed items of each user, best first, as (vocabulary indices, scores).

    `allowed` bool [users, n + 1], or [1, n + 1] where all may have the same. What the model could not score (not
    finite, padding or not allowed) is left out, so there may be fewer.
    """
    if scorer.index is not None:
        return search(scorer.index, sequences, allowed, k)
    named = {**padded(sequences), "allowed": allowed, "k": np.array([k], np.int64)}
    items, scores = scorer.session.run(MODEL_OUTPUTS, {name: named[name] for name in scorer.inputs})
    users = len(sequences)
    if len(items) < users:  # a model that asks nothing about the user gives one row for all
        items, scores = np.broadcast_to(items, (users, k)), np.broadcast_to(scores, (users, k))
    may = allowed[np.arange(users)[:, None] if len(allowed) > 1 else 0, items]
    real = np.isfinite(scores) & (items > 0) & may
    if real.all():
        return list(zip(items, scores, strict=True))
    return [(items[user][real[user]], scores[user][real[user]]) for user in range(users)]
