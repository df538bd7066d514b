"""Train the models, gate the best, release it: the story, and what it shows on the run's page."""

import base64
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task, exponential_backoff

from flows.automations import RELEASE_PROMOTED, RELEASE_REFUSED, announce
from flows.feature_moments import serving_moment
from flows.feature_source import event_span, lake_state
from flows.feature_tables import ready_line
from flows.file_lock import file_lock
from flows.known_lake import lake_at_versions
from flows.object_client import StoreUnreachable, WriteRefused
from flows.run_cost import cost_of, cost_table, keep_cost, measured
from flows.settings import load_settings
from flows.stops import raise_if_stopped
from flows.train_stages import drop_scratch, judge_challenger, publish_judged, save_models
from flows.training_runs import (
    TrainingRun,
    TrainSummary,
    champion_of_same_inputs,
    inputs_hash,
    is_judged,
    read_outcome,
    summary_of,
    write_outcome,
)
from flows.training_set import build_training_set, build_training_tables
from flows.validation import publish_verdict
from flows.warm_starts import find_start, first_cut_of, keep_knowledge
from training.dataset import TrainingSet
from training.gate import GateReport
from training.gate_report import headline, picture_of, render_markdown
from training.model import ProgressPoint, TrainSettings, demo_settings
from training.tournament import TournamentResult, curve_picture, format_table, run_tournament


@flow(name="train-model")
def train_model(source: str | None = None, seed: int = 7, cold: bool = False) -> TrainSummary:
    """Train every model on the lake as it is, let the gate judge the best, and release it if it passes.

    Args: `source`, one shop of the lake (None: all); `seed`; `cold`, begin with nothing, not with
    what the champion's Transformer knew. When nothing that the result depends on has changed, no
    model is trained and the earlier outcome is reported. Raises LookupError when the lake has too few days,
    WriteConflict when another release became champion meanwhile, Stopped while a stop of the watch stands. A refused
    challenger raises nothing: the champion stays, and the summary has the reasons.
    """
    raise_if_stopped(load_settings())
    run, log = find_inputs(source, demo_settings(seed, cold)), get_run_logger()
    with file_lock(
        run.folder / "training.lock", lambda: log.info("Another training of these inputs is under way; waiting for it.")
    ):
        known = earlier_outcome(run)
        if known is None:
            hold_tournament(run)
            pass_gate(run)
            release(run)
        summary = known or summary_of(load_settings(), run, reused=False)
        tell(run, summary)
    return summary


@task(cache_policy=NO_CACHE)
def find_inputs(source: str | None, train_settings: TrainSettings) -> TrainingRun:
    """Build the training set's tables and name the run by the hash of all its inputs."""
    settings, log = load_settings(), get_run_logger()
    # What lands while this runs is in the next release.
    lake = lake_state(settings, source).versions
    settings = lake_at_versions(settings, lake)
    with measured() as cost:
        tables = build_training_tables(
            settings, source, publish_verdict, lambda view, count: log.info("%s", ready_line(view, count))
        )
    as_of = serving_moment(event_span(settings, source)[1])
    name = inputs_hash(tables.input_hash, as_of, train_settings)
    folder = settings.home / "training_runs" / name[:16]
    folder.mkdir(parents=True, exist_ok=True)
    log.info("%s rows of %s items; inputs %s", f"{len(tables.histories):,}", f"{len(tables.items):,}", name[:16])
    kept = replace(train_settings, checkpoint_folder=folder / "checkpoints")
    run = TrainingRun(source, as_of, name, folder, kept, lake)
    if not read_outcome(run):
        keep_cost(run, "inputs", cost)
    return run


@task(cache_policy=NO_CACHE)
def earlier_outcome(run: TrainingRun) -> TrainSummary | None:
    """Return how an earlier run on the same inputs ended, else None; what it did not publish any more is published."""
    settings = load_settings()
    if is_judged(settings, run):
        moved = publish_judged(settings, run)
        return summary_of(settings, run, reused=not moved)
    return champion_of_same_inputs(settings, run)


@task(cache_policy=NO_CACHE)
def hold_tournament(run: TrainingRun) -> None:
    """Train all models on the same rows, keep the best and the best simple one, show the table and the curve."""
    log = get_run_logger()

    def show(point: ProgressPoint) -> None:
        if point.steps and point.step % max(1, point.steps // 10):
            return
        step = f": step {point.step} of {point.steps}, loss {point.loss:.3f}" if point.steps else ""
        quality = f", validation NDCG@10 {point.ndcg10:.4f}" if point.ndcg10 == point.ndcg10 else ""
        log.info("%s%s%s", point.model, step, quality)

    with measured() as cost:
        embedded = _tell_every(2000, "item texts embedded")
        training_set = build_training_set(run.began_with(load_settings()), run.source, embedded=embedded)
        start = find_start(load_settings(), run, first_cut_of(training_set))
        log.info("the Transformer begins with %s", f"what release {start.release_id} knew" if start else "nothing")
        result = run_tournament(training_set, run.train_settings, show, start)
    keep_cost(run, "tournament", cost)
    validation = {row.model: row.validation for row in result.table}
    test = {row.model: row.test for row in result.table}
    save_models(run, result.challenger, result.best_simple, validation, test)
    keep_knowledge(run, result.models["transformer"].knowledge)
    write_outcome(run, transformer=result.models["transformer"].hyper_parameters)
    show_models(result, training_set)


def _tell_every(step: int, what: str) -> Callable[[int], None]:
    """Return a counter that logs its sum each time it passes a multiple of `step`."""
    log, total = get_run_logger(), 0

    def count(more: int) -> None:
        nonlocal total
        if (total + more) // step > total // step:
            log.info("%s %s", f"{total + more:,}", what)
        total += more

    return count


def show_models(result: TournamentResult, training_set: TrainingSet) -> None:
    """Put the table of models and the learning curve on the run's page; each key's page is its history."""
    truth = (
        f"what each user interacts with in the {training_set.truth_days:g} days after the cut; wanted items beyond the "
        "vocabulary count as missed"
    )
    if training_set.step_truth is not None:
        truth = "the last other item of the vocabulary that each of the newest visitors turned to: few users come back"
    note = (
        f"All models on the same users. Truth: {truth}. Every item of the vocabulary is a candidate. Validation "
        "chooses the challenger, the test cut reports once."
    )
    best = f"{result.challenger.name} is the challenger of {len(result.table)} models"
    create_markdown_artifact(f"# Models\n\n{note}\n\n{format_table(result)}\n", key="models", description=best)
    picture = base64.b64encode(curve_picture(result.curves)).decode()
    page = f"# Learning curve\n\n![loss and NDCG@10 over steps](data:image/png;base64,{picture})\n"
    create_markdown_artifact(page, key="learning-curve", description="Loss and NDCG@10 over steps")


@task(cache_policy=NO_CACHE)
def pass_gate(run: TrainingRun) -> GateReport:
    """Export the challenger, judge it against the champion (or the best simple model), show the verdict."""
    get_run_logger().info("the gate looks at the challenger")
    report = judge_challenger(load_settings(), run)
    page, picture = render_markdown(report), picture_of(report)
    if picture is not None:
        page += f"\n![who gains and who loses](data:image/png;base64,{base64.b64encode(picture).decode()})\n"
    create_markdown_artifact(page, key="gate", description=headline(report))
    cost = cost_of(read_outcome(run))
    told = f"{cost['cpu_seconds']:.0f} s of CPU, {cost['peak_memory_bytes'] / 2**30:.1f} GiB at most"
    create_markdown_artifact(f"# What training cost\n\n{cost_table(cost)}", key="training-cost", description=told)
    return report


def _store_failed(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Only what the store outside does is worth another try."""
    return isinstance(state.result(raise_on_failure=False), StoreUnreachable | WriteRefused)


@task(
    cache_policy=NO_CACHE,
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_jitter_factor=0.5,
    retry_condition_fn=_store_failed,
)
def release(run: TrainingRun) -> None:
    """Publish what the gate let through."""
    publish_judged(load_settings(), run)
    drop_scratch(run)


def tell(run: TrainingRun, summary: TrainSummary) -> None:
    """Log the outcome, and announce a new verdict to automations, once: who was refused, who is champion now."""
    refused = bool(summary.refused) and summary.released != summary.challenger
    get_run_logger().log(logging.WARNING if refused and not summary.reused else logging.INFO, summary.sentence())
    if summary.reused and read_outcome(run).get("announced") is not False:
        return
    if refused:
        announce(RELEASE_REFUSED, summary.challenger, {"reasons": list(summary.refused)})
    if summary.released:
        announce(RELEASE_PROMOTED, str(summary.release_id), {"model": summary.released})
    write_outcome(run, announced=True)
