"""The tournament: every model on the same rows, validation chooses the challenger, the test cut reports once."""

import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from matplotlib.figure import Figure

from training import (
    blend,
    fit_transformer,
    item_knn,
    language_model,
    matrix_factorisation,
    metrics,
    popularity,
    repeat_purchase,
    spectral,
)
from training.dataset import TrainingSet
from training.evaluate import METRIC_NAMES, Evaluation, evaluate
from training.gate_checks import GateLimits
from training.gate_slices import compare_evaluations
from training.interactions import least_interactions
from training.model import CurvePoint, FittedModel, Progress, ProgressPoint, TrainSettings, silent
from training.warm_start import WarmStart

#: Every model's fit function, in the table's order; add a model here (docs/models.md says how).
MODELS = {
    "popularity": popularity.fit,
    "repeat purchase": repeat_purchase.fit,
    "item-kNN": item_knn.fit,
    "matrix factorisation": matrix_factorisation.fit,
    "spectral taste": spectral.fit,
    "LSTM language model": language_model.fit,
    "transformer": fit_transformer.fit,
}
#: Parts of the blend; the first sets the scale.
BLENDED = ("transformer", "repeat purchase", "item-kNN", "matrix factorisation", "spectral taste")


@dataclass(frozen=True)
class Row:
    """One model in the table: its means on both cuts, the test interval of NDCG@10, and what fitting it took."""

    model: str
    kind: str
    validation: dict[str, float]
    test: dict[str, float]
    interval: tuple[float, float]
    seconds: float
    hyper_parameters: dict[str, float | int | str]


@dataclass(frozen=True)
class TournamentResult:
    """The table, the challenger, every fitted model by name, and what they learned.

    The challenger has the best NDCG@10 on validation among those that no slice there forbids. `best_simple` is the best
    model of counts on validation, the incumbent when there is no champion. `passed_over`: a model better than the
    challenger → the slices that surely lose more by it, beside the best simple model, than the gate allows.
    `evaluations` are the test cut's metrics by model, one value a user, for paired comparisons.
    """

    table: list[Row]
    challenger: FittedModel
    best_simple: FittedModel
    passed_over: dict[str, tuple[str, ...]]
    models: dict[str, FittedModel]
    curves: dict[str, list[CurvePoint]]
    evaluations: dict[str, Evaluation]


def run_tournament(
    training_set: TrainingSet, settings: TrainSettings, progress: Progress = silent, start: WarmStart | None = None
) -> TournamentResult:
    """Fit every model and the blend, choose on validation, and report each once on test.

    `start`: what the Transformer begins with; None for a cold run.
    """
    settings = replace(settings, least_interactions=least_interactions(training_set, settings.least_interactions))
    fits = MODELS if start is None else MODELS | {"transformer": partial(fit_transformer.fit, start=start)}
    with _threads(settings.threads):
        fitted, seconds = _fit_all(fits, training_set, settings, progress)
        validation = {name: evaluate(model.module(), training_set.validation) for name, model in fitted.items()}
        simple = _best({name: validation[name] for name, model in fitted.items() if model.kind == "simple"})
        started = time.monotonic()
        progress(_beginning("blend"))
        fitted["blend"] = blend.fit(training_set, [fitted[name] for name in BLENDED], validation[simple])
        seconds["blend"] = time.monotonic() - started
        validation["blend"] = evaluate(fitted["blend"].module(), training_set.validation)
        progress(_beginning("all models on the test cut"))
        test = {name: evaluate(model.module(), training_set.test) for name, model in fitted.items()}
    unfair = fallen_slices(validation, simple, training_set)
    challenger = _best({name: found for name, found in validation.items() if name not in unfair})
    better = _order(validation[challenger])
    return TournamentResult(
        table=_table(fitted, validation, test, seconds),
        challenger=fitted[challenger],
        best_simple=fitted[simple],
        passed_over={name: slices for name, slices in unfair.items() if _order(validation[name]) > better},
        models=fitted,
        curves={name: model.curve for name, model in fitted.items() if model.curve},
        evaluations=test,
    )


def _fit_all(
    fits: Mapping[str, Callable[..., FittedModel]],
    training_set: TrainingSet,
    settings: TrainSettings,
    progress: Progress,
) -> tuple[dict[str, FittedModel], dict[str, float]]:
    """Fit each model on its own; return them, and the seconds that each took."""
    fitted, seconds = dict[str, FittedModel](), dict[str, float]()
    for name, fit in fits.items():
        started = time.monotonic()
        progress(_beginning(name))
        fitted[name] = fit(training_set, settings, progress)
        seconds[name] = time.monotonic() - started
    return fitted, seconds


def _table(
    fitted: Mapping[str, FittedModel],
    validation: Mapping[str, Evaluation],
    test: Mapping[str, Evaluation],
    seconds: Mapping[str, float],
) -> list[Row]:
    return [
        Row(
            name,
            model.kind,
            validation[name].means,
            test[name].means,
            test[name].interval("ndcg10"),
            seconds[name],
            model.hyper_parameters,
        )
        for name, model in fitted.items()
    ]


def _beginning(what: str) -> ProgressPoint:
    return ProgressPoint(what, 0, 0, 0, float("nan"), float("nan"))


def format_table(result: TournamentResult) -> str:
    """Return the table as markdown: the test cut, best first by validation NDCG@10, and against the best simple one."""
    names = {"ndcg10": "NDCG@10", "recall10": "Recall@10", "mrr": "MRR", "coverage": "coverage"}
    names |= {"new_ndcg10": "new NDCG@10", "new_recall10": "new Recall@10"}
    columns = ["model", "validation NDCG@10", "test NDCG@10 (95 %)", *(names[key] for key in METRIC_NAMES[1:]), "s"]
    lines = ["| " + " | ".join(columns) + " |", "|---" + "|---:" * (len(columns) - 1) + "|"]
    for row in sorted(result.table, key=lambda row: -np.nan_to_num(row.validation["ndcg10"], nan=-1.0)):
        low, high = row.interval
        cells = [row.model, f"{row.validation['ndcg10']:.4f}"]
        cells.append(f"{row.test['ndcg10']:.4f} ({low:.4f} – {high:.4f})")
        cells += [f"{row.test[key]:.4f}" for key in METRIC_NAMES[1:]]
        lines.append("| " + " | ".join([*cells, f"{row.seconds:.0f}"]) + " |")
    return "\n".join([*lines, "", _verdict(result)])


def curve_picture(curves: dict[str, list[CurvePoint]]) -> bytes:
    """Return the learning curves as a PNG: loss above, validation NDCG@10 below, over steps."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for name, points in curves.items():
        steps = [point.step for point in points]
        above.plot(steps, [point.loss for point in points], marker="o", label=name)
        below.plot(steps, [point.ndcg10 for point in points], marker="o", label=name)
    above.set_ylabel("training loss")
    below.set_ylabel("validation NDCG@10")
    below.set_xlabel("step")
    if curves:
        above.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()


def _verdict(result: TournamentResult) -> str:
    challenger, simple = result.challenger.name, result.best_simple.name
    ours, theirs = result.evaluations[challenger], result.evaluations[simple]
    low, high = metrics.paired_interval(ours.per_user["ndcg10"], theirs.per_user["ndcg10"])
    ratio = ours.means["ndcg10"] / max(theirs.means["ndcg10"], 1e-9)
    passed_over = "".join(
        f" {name} is better on validation, but serves {', '.join(slices)} clearly worse than {simple}: passed over."
        for name, slices in result.passed_over.items()
    )
    return (
        f"Challenger: {challenger}; {ratio:.3f} × the NDCG@10 of {simple} on test "
        f"(difference {low:+.4f} to {high:+.4f} over the same users, 95 %).{passed_over}"
    )


def fallen_slices(
    validation: dict[str, Evaluation], simple: str, training_set: TrainingSet
) -> dict[str, tuple[str, ...]]:
    """Return, for each model that the gate would refuse by what validation shows, the slices that fall."""
    cut, limits = training_set.validation, GateLimits()
    fallen = {
        name: compare_evaluations(found, validation[simple], training_set.catalogue, cut, limits)
        for name, found in validation.items()
    }
    names = {name: tuple(each.name for each in slices if each.fell) for name, slices in fallen.items()}
    return {name: slices for name, slices in names.items() if slices}


def _best(validation: dict[str, Evaluation]) -> str:
    return max(validation, key=lambda name: _order(validation[name]))


def _order(found: Evaluation) -> float:
    """Return the NDCG@10, or −1 where nobody came back and there is none."""
    value = found.means["ndcg10"]
    return value if value == value else -1.0


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Set the number of torch threads for a while; 0 leaves it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
