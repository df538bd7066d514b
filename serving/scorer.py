"""The release's model.onnx behind one function: a user's sequences in, the best k items out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from feature_repo.features import MODEL_INPUTS, MODEL_OUTPUTS


@dataclass(frozen=True)
class Scorer:
    """An ONNX Runtime session; safe to call from several threads."""

    session: Any


def open_scorer(path: Path) -> Scorer:
    """Load the model with one thread, for one request at a time.

    Raises ValueError when its inputs or outputs are not those of feature_repo/features.py.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    inputs = {value.name for value in session.get_inputs()}
    outputs = {value.name for value in session.get_outputs()}
    # A model may not need every input (popularity needs none); it may not need another.
    if not inputs <= set(MODEL_INPUTS) or outputs != set(MODEL_OUTPUTS):
        raise ValueError(
            f"{path.name}: expected inputs among {MODEL_INPUTS} and outputs {MODEL_OUTPUTS}, "
            f"but found {sorted(inputs)} and {sorted(outputs)}"
        )
    return Scorer(session)


def best_items(
    scorer: Scorer, inputs: Mapping[str, npt.NDArray[Any]], k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the vocabulary indices and scores of the best k allowed items of one user, best first.

    What the model could not score (not finite, padding or not allowed) is left out, so there may be fewer.
    """
    named = {**inputs, "k": np.array([k], np.int64)}
    feed = {value.name: named[value.name] for value in scorer.session.get_inputs()}
    items, scores = scorer.session.run(list(MODEL_OUTPUTS), feed)
    allowed = inputs["allowed"][0]
    real = np.isfinite(scores[0]) & (items[0] > 0) & allowed[items[0]]
    return items[0][real][:k], scores[0][real][:k]
