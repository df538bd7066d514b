"""The tournament: every model on the same rows, validation chooses the challenger, the test cut reports once."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

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
    """The table, the challenger (best NDCG@10 on validation), every fitted model by name, and what they learned.

    `best_simple` is the best model of counts on validation, the incumbent when there is no champion. `evaluations` are
    the test cut's metrics by model, one value a user, for paired comparisons.
    """

    table: list[Row]
    challenger: FittedModel
    best_simple: FittedModel
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
    fitted: dict[str, FittedModel] = {}
    seconds: dict[str, float] = {}
    fits = MODELS if start is None else MODELS | {"transformer": partial(fit_transformer.fit, start=start)}
    with _threads(settings.threads):
        for name, fit in fits.items():
            started = time.monotonic()
            progress(_beginning(name))
            fitted[name] = fit(training_set, settings, progress)
            seconds[name] = time.monotonic() - started
        started = time.monotonic()
        progress(_beginning("blend"))
        fitted["blend"] = blend.fit(training_set, [fitted[name] for name in BLENDED])
        seconds["blend"] = time.monotonic() - started
        validation = {name: evaluate(model.module(), training_set.validation) for name, model in fitted.items()}
        progress(_beginning("all models on the test cut"))
        test = {name: evaluate(model.module(), training_set.test) for name, model in fitted.items()}
    table = [
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
    return TournamentResult(
        table=table,
        challenger=fitted[_best(table)],
        best_simple=fitted[_best([row for row in table if row.kind == "simple"])],
        models=fitted,
        curves={name: model.curve for name, model in fitted.items() if model.curve},
        evaluations=test,
    )


def _beginning(what: str) -> ProgressPoint:
    return ProgressPoint(what, 0, 0, 0, float("nan"), float("nan"))


def format_table(result: TournamentResult) -> str:
    """Return the table as markdown: the test cut, best first by validation NDCG@10, and against the best simple one."""
    names = {"ndcg10": "NDCG@10", "recall10": "Recall@10", "mrr": "MRR", "coverage": "coverage"}
    names |= {"new_ndcg10": "new NDCG@10", "new_recall10": "new Recall@10"}
    columns = ["model", "validation NDCG@10", "test NDCG@10 (95 %)", *(names[key] for key in METRIC_NAMES[1:]), "s"]
    lines = ["| " + " | ".join(columns) + " |", "|---" + "|---:" * (len(columns) - 1) + "|"]
    for row in sorted(result.table, key=lambda row: -_order(row.validation["ndcg10"])):
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
    return (
        f"Challenger: {challenger}; {ratio:.3f} × the NDCG@10 of {simple} on test "
        f"(difference {low:+.4f} to {high:+.4f} over the same users, 95 %)."
    )


def _best(rows: list[Row]) -> str:
    return max(rows, key=lambda row: _order(row.validation["ndcg10"])).model


def _order(value: float) -> float:
    """Return the value, or −1 where nobody came back and there is none."""
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
