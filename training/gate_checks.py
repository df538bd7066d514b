"""The gate's sanity checks of a challenger's model.onnx: whole, finite, deterministic, true to torch, and fast."""

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from feature_repo.features import HABIT_LENGTH, HISTORY_LENGTH, USER_VIEWS
from training import gate_sandbox
from training.dataset import SEQUENCE_INPUTS, Queries
from training.export import TOLERANCE, compare_with_torch, open_session, random_inputs
from training.onnx_ranking import Contender, run

#: Rows of real queries that the checks look at.
SAMPLE_ROWS = 64
SANDBOX_SECONDS = 300
_SANDBOX = Path(gate_sandbox.__file__)


@dataclass(frozen=True)
class GateLimits:
    """What a challenger may cost and lose at most, and how sure the gate must be that it is better.

    `latency_ms`: p99 of one request on one thread. `size_mib`: the ONNX file. `memory_mib`: what loading it and
    answering adds to a process. `confidence`: of every one-sided bound. `slice_fall`: the share of the incumbent's
    NDCG@10 that a slice may lose. `personal_kept`: how much of the incumbent's lead of a user's own slate over another
    user's must stay. `coverage_kept`: the share of the incumbent's coverage that must stay.
    `concentration`: the share of places that the ten most shown items may hold (or half more than the incumbent's).
    `category_shift`: how far the categories shown may be from those wanted (total variation). `reach_fall`: the share
    of wanted items that may drop out of the upper half of the list. `jump`: by how much the lead over the incumbent may
    be larger on the test week than on the validation week, beside half of the latter. `stale_days`: age of the newest
    interaction in the inputs. `unexplained`: share of the inputs that neither the week before nor its truth explains.
    """

    latency_ms: float = 50.0
    size_mib: float = 1024.0
    memory_mib: float = 2048.0
    confidence: float = 0.95
    bootstrap_samples: int = 4000
    slice_fall: float = 0.1
    personal_kept: float = 0.5
    coverage_kept: float = 0.5
    concentration: float = 0.5
    category_shift: float = 0.5
    reach_fall: float = 0.1
    jump: float = 0.05
    stale_days: float = 7.0
    unexplained: float = 0.01


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
        ("size", f"≤ {limits.size_mib:,g} MiB", partial(_size, challenger, limits)),
        ("inputs", "the scorer's inputs, each with its type and width", partial(_inputs, challenger)),
        ("feature order", "the feature service's features, in its order", partial(_feature_order, challenger)),
        ("vocabulary", "the catalogue's items, in its order", partial(_vocabulary, challenger, catalogue_ids)),
        ("finite weights", "no NaN or infinity", partial(_finite_weights, challenger, module)),
        ("finite scores", "every allowed item has a finite score", partial(_finite_scores, challenger, sample)),
        ("valid items", "each allowed item once, no other", partial(_valid_items, challenger, sample)),
        ("scores differ", "more than one score a user", partial(_scores_differ, challenger, sample)),
        ("deterministic", "two runs give the same bytes", partial(_deterministic, challenger, sample)),
        ("one alone", "a user's scores do not depend on the batch", partial(_alone_as_in_batch, challenger, sample)),
        ("ONNX = torch", f"scores within {TOLERANCE:g} of the row's largest", partial(_parity, challenger, module)),
    ]
    opens = checked("file", "a whole ONNX file that opens", partial(_opens, challenger))
    if not opens.passed:
        return (opens, checked(*checks[0]))
    done = [opens, *(checked(*each) for each in checks)]
    return (*done, *_cost_checks(challenger, sample, limits))


def checked(name: str, expected: str, check: Callable[[], tuple[bool, str]]) -> GateCheck:
    """Run one check; one that cannot run counts as failed, with the reason."""
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


def _opens(challenger: Contender) -> tuple[bool, str]:
    """Open the file, and compare its bytes with the hash that it was handed over with, where there is one."""
    content = challenger.path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if challenger.sha256 and found != challenger.sha256:
        return False, f"{len(content):,} bytes with sha256 {found[:12]}…, not {challenger.sha256[:12]}…"
    try:
        onnx.checker.check_model(onnx.load_model_from_string(content))
        open_session(challenger.path)
    except Exception as error:
        return False, f"{len(content):,} bytes that do not open: {str(error).splitlines()[0][:200]}"
    return True, f"{len(content):,} bytes"


def _inputs(challenger: Contender) -> tuple[bool, str]:
    """Compare the graph's inputs with the scorer's door; one that a model does not need may be missing."""
    width = len(challenger.item_ids) + 1
    door = {
        "history_items": ("tensor(int64)", HISTORY_LENGTH),
        "history_types": ("tensor(int64)", HISTORY_LENGTH),
        "history_ages": ("tensor(float)", HISTORY_LENGTH),
        "habit_items": ("tensor(int64)", HABIT_LENGTH),
        "habit_counts": ("tensor(float)", HABIT_LENGTH),
        "habit_ages": ("tensor(float)", HABIT_LENGTH),
        "allowed": ("tensor(bool)", width),
        "k": ("tensor(int64)", 1),
    }
    wrong = [
        f"{value.name} {value.type} {value.shape}"
        for value in open_session(challenger.path).get_inputs()
        if door.get(value.name) != (value.type, value.shape[-1])
    ]
    return not wrong, f"not as expected: {'; '.join(wrong)}" if wrong else "as expected"


def _feature_order(challenger: Contender) -> tuple[bool, str]:
    """Compare the features that the challenger says it was trained on with the service that serving reads."""
    expected = tuple(f"{view.name}__{name}" for view in USER_VIEWS for name in view.feature_names)
    told = challenger.features
    if not told or told == expected:
        return True, f"{len(expected)} features" if told else "none declared"
    if set(told) != set(expected):
        odd = sorted(set(told) ^ set(expected))
        return False, f"other features: {', '.join(odd[:5])} in one of the two only"
    place = next(number for number, pair in enumerate(zip(told, expected, strict=True)) if pair[0] != pair[1])
    return False, f"another order: place {place + 1} is {told[place]}, expected {expected[place]}"


def _vocabulary(challenger: Contender, catalogue_ids: Sequence[str]) -> tuple[bool, str]:
    ours, expected = vocabulary_sha256(challenger.item_ids), vocabulary_sha256(catalogue_ids)
    width = {value.name: value.shape for value in open_session(challenger.path).get_inputs()}["allowed"][1]
    observed = f"{len(challenger.item_ids):,} items, sha256 {ours[:12]}, graph for {width - 1:,} items"
    if challenger.vocabulary_sha256 not in (None, expected):
        return False, f"{observed}, handed over as vocabulary {challenger.vocabulary_sha256[:12]}, not {expected[:12]}"
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
    return bad == 0, f"{bad:,} of {scores.size:,} are not finite" if bad else f"{scores.size:,} scores, all finite"


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
    if len(challenger.item_ids) == 1:
        return True, "the catalogue has one item"
    _, scores = _all_scores(challenger, sample)
    same = int((scores.max(axis=1) == scores.min(axis=1)).sum())
    empty = int((sample["history_items"].max(axis=1) == 0).sum())
    return same <= empty, f"{same:,} of {len(scores):,} users get one score for all items"


def _deterministic(challenger: Contender, sample: dict[str, np.ndarray]) -> tuple[bool, str]:
    """Run the same rows twice in one session, and once in another: a seeded random node repeats in a new session."""
    allowed, count = (
        np.ones((len(sample["history_items"]), len(challenger.item_ids) + 1), bool),
        len(challenger.item_ids),
    )
    session = open_session(challenger.path)
    first, *others = (run(each, sample, allowed, count) for each in (session, session, open_session(challenger.path)))
    same = all(a.tobytes() == b.tobytes() for other in others for a, b in zip(first, other, strict=True))
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


def _costs(challenger: Contender, sample: dict[str, np.ndarray], limits: GateLimits) -> dict[str, float]:
    """Load the file and answer requests in a process of its own (gate_sandbox.py); raise with its last words."""
    one = random_inputs(len(challenger.item_ids), rows=1, seed=3)
    rows = {name: np.concatenate([sample[name], one[name]]) for name in SEQUENCE_INPUTS}
    with tempfile.TemporaryDirectory() as folder:
        stored = Path(folder) / "rows.npz"
        np.savez(stored, **rows)
        told = [str(challenger.path.absolute()), str(stored), str(len(challenger.item_ids))]
        command = [sys.executable, "-I", str(_SANDBOX), *told, str(limits.memory_mib), str(limits.latency_ms)]
        done = subprocess.run(command, env={}, cwd=folder, capture_output=True, text=True, timeout=SANDBOX_SECONDS)
    if done.returncode != 0:
        words = (done.stderr.strip().splitlines() or ["no words"])[-1]
        raise RuntimeError(f"the serving process ended with code {done.returncode}: {words[:200]}")
    costs: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return costs


def _cost_checks(challenger: Contender, sample: dict[str, np.ndarray], limits: GateLimits) -> list[GateCheck]:
    fast = f"p99 of one request ≤ {limits.latency_ms:g} ms"
    small = f"≤ {limits.memory_mib:,g} MiB more memory by loading and answering"
    try:
        costs = _costs(challenger, sample, limits)
    except Exception as error:
        return [
            GateCheck(name, False, text, f"could not be checked: {str(error)[:300]}")
            for name, text in (("latency", fast), ("memory", small))
        ]
    p99, memory = costs["p99_ms"], costs["memory_mib"]
    requests = f"p99 {p99:.1f} ms over {costs['requests']:.0f} requests, loaded in {costs['load_ms']:.0f} ms"
    return [
        GateCheck("latency", p99 <= limits.latency_ms, fast, requests),
        GateCheck("memory", memory <= limits.memory_mib, small, f"{memory:,.0f} MiB"),
    ]
