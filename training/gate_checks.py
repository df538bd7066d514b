"""The gate's sanity checks of a challenger's model.onnx: whole, finite, deterministic, true to torch, and fast."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper

from training.dataset import SEQUENCE_INPUTS, Queries
from training.export import TOLERANCE, compare_with_torch, open_session, random_inputs
from training.onnx_ranking import Contender, run

#: Rows of real queries that the checks look at.
SAMPLE_ROWS = 64
LATENCY_REQUESTS = 200


@dataclass(frozen=True)
class GateLimits:
    """What a challenger may cost at most, and how sure the gate must be that it is better.

    `latency_ms`: p99 of one request on one thread. `size_mib`: the ONNX file. `confidence`: of the one-sided bound.
    """

    latency_ms: float = 50.0
    size_mib: float = 1024.0
    confidence: float = 0.95
    bootstrap_samples: int = 4000


@dataclass(frozen=True)
class GateCheck:
    """One check: what was expected, what came."""

    name: str
    passed: bool
    expected: str
    observed: str


def vocabulary_sha256(item_ids: Sequence[str]) -> str:
    """Return the sha256 of the item ids joined by newlines: it names the meaning of a model's indices."""
    return hashlib.sha256("\n".join(item_ids).encode()).hexdigest()


def sanity_checks(
    challenger: Contender,
    module: torch.nn.Module,
    catalogue_ids: Sequence[str],
    queries: Queries,
    limits: GateLimits,
) -> tuple[GateCheck, ...]:
    """Run every check on the challenger's file; a check that cannot run counts as failed, with the reason.

    `module` is the torch model that the file was exported from; `queries` are real rows of the catalogue's vocabulary.
    """
    sample = _sample(queries)
    checks: list[tuple[str, str, Callable[[], tuple[bool, str]]]] = [
        ("size", f"≤ {limits.size_mib:g} MiB", partial(_size, challenger, limits)),
        ("vocabulary", "the catalogue's items, in its order", partial(_vocabulary, challenger, catalogue_ids)),
        ("finite weights", "no NaN or infinity", partial(_finite_weights, challenger, module)),
        ("finite scores", "every allowed item has a finite score", partial(_finite_scores, challenger, sample)),
        ("valid items", "each allowed item once, no other", partial(_valid_items, challenger, sample)),
        ("scores differ", "more than one score a user", partial(_scores_differ, challenger, sample)),
        ("deterministic", "two runs give the same bytes", partial(_deterministic, challenger, sample)),
        ("one alone", "a user's scores do not depend on the batch", partial(_alone_as_in_batch, challenger, sample)),
        ("ONNX = torch", f"scores within {TOLERANCE:g} of the row's largest", partial(_parity, challenger, module)),
        ("latency", f"p99 of one request ≤ {limits.latency_ms:g} ms", partial(_latency, challenger, sample, limits)),
    ]
    return tuple(_checked(name, expected, check) for name, expected, check in checks)


def _checked(name: str, expected: str, check: Callable[[], tuple[bool, str]]) -> GateCheck:
    try:
        passed, observed = check()
    except Exception as error:
        return GateCheck(name, False, expected, f"could not be checked: {type(error).__name__}: {str(error)[:300]}")
    return GateCheck(name, bool(passed), expected, observed)


def _sample(queries: Queries) -> dict[str, np.ndarray]:
    rows = np.unique(np.linspace(0, len(queries) - 1, min(SAMPLE_ROWS, len(queries))).astype(int))
    return {name: getattr(queries, name)[rows] for name in SEQUENCE_INPUTS}


def _all_scores(challenger: Contender, sample: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    allowed = np.ones((len(sample["history_items"]), len(challenger.item_ids) + 1), dtype=bool)
    return run(open_session(challenger.path), sample, allowed, len(challenger.item_ids))


def _size(challenger: Contender, limits: GateLimits) -> tuple[bool, str]:
    mib = challenger.path.stat().st_size / 2**20
    return mib <= limits.size_mib, f"{mib:.1f} MiB"


def _vocabulary(challenger: Contender, catalogue_ids: Sequence[str]) -> tuple[bool, str]:
    ours, expected = vocabulary_sha256(challenger.item_ids), vocabulary_sha256(catalogue_ids)
    width = {value.name: value.shape for value in open_session(challenger.path).get_inputs()}["allowed"][1]
    observed = f"{len(challenger.item_ids)} items, sha256 {ours[:12]}, graph for {width - 1} items"
    return ours == expected and width == len(catalogue_ids) + 1, observed


def _finite_weights(challenger: Contender, module: torch.nn.Module) -> tuple[bool, str]:
    """Learned weights must be finite; a constant of the graph may hold −∞ (a mask), but nothing may be NaN."""
    bad = [name for name, weight in module.named_parameters() if not bool(torch.isfinite(weight).all())]
    for tensor in onnx.load(challenger.path).graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype.kind == "f" and np.isnan(values).any():
            bad.append(tensor.name)
    return not bad, f"not finite: {', '.join(sorted(set(bad))[:5])}" if bad else "all finite"


def _finite_scores(challenger: Contender, sample: dict[str, np.ndarray]) -> tuple[bool, str]:
    _, scores = _all_scores(challenger, sample)
    bad = int((~np.isfinite(scores)).sum())
    return bad == 0, f"{bad} of {scores.size} are not finite" if bad else f"{scores.size} scores, all finite"


def _valid_items(challenger: Contender, sample: dict[str, np.ndarray]) -> tuple[bool, str]:
    count = len(challenger.item_ids)
    items, _ = _all_scores(challenger, sample)
    complete = (np.sort(items, axis=1) == np.arange(1, count + 1)).all()
    allowed = np.zeros((len(items), count + 1), dtype=bool)
    allowed[:, : count // 2 + 1] = True
    few, scores = run(open_session(challenger.path), sample, allowed, min(10, count))
    obeys = ((few[np.isfinite(scores)] <= count // 2) & (few[np.isfinite(scores)] > 0)).all()
    observed = "each item once" if complete else "items are missing or doubled"
    return bool(complete and obeys), observed + ("" if obeys else ", and forbidden ones were given")


def _scores_differ(challenger: Contender, sample: dict[str, np.ndarray]) -> tuple[bool, str]:
    _, scores = _all_scores(challenger, sample)
    same = int((scores.max(axis=1) == scores.min(axis=1)).sum())
    empty = int((sample["history_items"].max(axis=1) == 0).sum())
    return same <= empty, f"{same} of {len(scores)} users get one score for all items"


def _deterministic(challenger: Contender, sample: dict[str, np.ndarray]) -> tuple[bool, str]:
    first, second = _all_scores(challenger, sample), _all_scores(challenger, sample)
    same = all(a.tobytes() == b.tobytes() for a, b in zip(first, second, strict=True))
    return same, "the same bytes" if same else "two runs of the same rows differ"


def _alone_as_in_batch(challenger: Contender, sample: dict[str, np.ndarray]) -> tuple[bool, str]:
    items, scores = _all_scores(challenger, sample)
    largest = 0.0
    for row in range(min(8, len(items))):
        alone_items, alone = _all_scores(challenger, {name: array[row : row + 1] for name, array in sample.items()})
        by_item = scores[row][np.argsort(items[row])] - alone[0][np.argsort(alone_items[0])]
        largest = max(largest, float(np.abs(by_item).max() / max(1.0, float(np.abs(scores[row]).max()))))
    return largest <= TOLERANCE, f"largest difference {largest:.1g}"


def _parity(challenger: Contender, module: torch.nn.Module) -> tuple[bool, str]:
    parity = compare_with_torch(challenger.path, module, len(challenger.item_ids), seed=7)
    return True, f"largest difference {parity.largest_difference:.1g} over {parity.rows} rows"


def _latency(challenger: Contender, sample: dict[str, np.ndarray], limits: GateLimits) -> tuple[bool, str]:
    """Take the best p99 of three tries, unless most requests are too slow: other work can only add to it."""
    session = open_session(challenger.path)
    rows = [{name: array[row : row + 1] for name, array in sample.items()} for row in range(len(sample["habit_ages"]))]
    rows.append(random_inputs(len(challenger.item_ids), rows=1, seed=3))
    best = np.inf
    for _ in range(3):
        took = _request_times_ms(session, rows, len(challenger.item_ids), limits)
        best = min(best, float(np.quantile(took, 0.99)))
        if best <= limits.latency_ms or np.median(took) > limits.latency_ms:
            break
    return best <= limits.latency_ms, f"p99 {best:.1f} ms over {len(took)} requests"


def _request_times_ms(
    session: onnxruntime.InferenceSession, rows: list[dict[str, np.ndarray]], item_count: int, limits: GateLimits
) -> np.ndarray:
    """Time requests one by one, after ten to warm up; stop early when the time of all at the limit is used up."""
    allowed = np.ones((1, item_count + 1), dtype=bool)
    took: list[float] = []
    while len(took) < LATENCY_REQUESTS + 10 and sum(took) <= LATENCY_REQUESTS * limits.latency_ms:
        began = time.perf_counter()
        run(session, rows[len(took) % len(rows)], allowed, min(100, item_count))
        took.append((time.perf_counter() - began) * 1000)
    return np.array(took[10:] or took)
