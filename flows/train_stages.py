"""The stages of training as plain functions over a run's folder: compete, assemble, judge, publish."""

import gzip
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from feature_repo.features import KNOWLEDGE_NAME, USER_CHANNELS
from flows.off_policy import off_policy_check
from flows.release_contents import manifest_of, write_contents
from flows.release_pins import feature_pins
from flows.releases import Pointer, fetch_release, publish, read_pointer
from flows.run_cost import cost_of, keep_cost, measured
from flows.settings import Settings
from flows.training_runs import TrainingRun, pointer_facts, pointer_of, read_outcome, write_outcome
from flows.training_set import build_training_set, build_training_tables, judged_rows
from training.dataset import TrainingSet
from training.export import write_model
from training.gate import GateReport, judge, with_check
from training.gate_checks import GateLimits
from training.gate_report import picture_of, render_markdown
from training.item_index import INDEXED_FROM, write_index
from training.model import FittedModel
from training.onnx_ranking import Contender
from training.transformer_scorer import TransformerScorer

logger = logging.getLogger(__name__)


def save_models(
    run: TrainingRun,
    challenger: FittedModel,
    baseline: FittedModel,
    validation: Mapping[str, Mapping[str, float]],
    test: Mapping[str, Mapping[str, float]],
) -> None:
    """Keep what the tournament gave: the challenger, the best simple model, and every model's metrics on both cuts."""
    described = {
        role: {"name": model.name, "kind": model.kind, "hyper_parameters": model.hyper_parameters}
        for role, model in (("challenger", challenger), ("baseline", baseline))
    }
    torch.save({"challenger": challenger.module(), "baseline": baseline.module()}, run.folder / "models.pt")
    write_outcome(run, challenger=challenger.name, models=described, validation=validation, test=test)


def judge_challenger(settings: Settings, run: TrainingRun, limits: GateLimits | None = None) -> GateReport:
    """Assemble the release, let the gate judge it, and write the verdict into the run's outcome.

    Without a champion the challenger meets the best simple model; when it is refused then, that simple model is judged
    alone and, if sound, becomes the first release, so that serving has something to answer with.
    """
    champion = read_pointer(settings)
    training_set = build_training_set(run.began_with(settings), run.source)
    histories = build_training_tables(run.began_with(settings), run.source).histories
    channels = channels_of(histories, training_set.test.queries.user_ids)
    incumbent = champion_contender(settings, champion) if champion else _candidate(run, "baseline", training_set)
    with measured() as cost:
        report = _judge(run, "challenger", incumbent, training_set, channels, limits)
    keep_cost(run, "gate", cost)
    chosen = "challenger" if report.passed else None
    if chosen is None and champion is None:
        alone = _judge(run, "baseline", None, training_set, channels, limits)
        chosen = "baseline" if alone.passed else None
    if chosen is not None:
        _assemble(settings, run, chosen, training_set, report)
        if champion is not None:
            report = with_check(report, off_policy_check(settings, run.release_folder, _manifest(run)))
            chosen = chosen if report.passed else None
        _write_report(run, report)
    models = read_outcome(run)["models"]
    write_outcome(
        run,
        refused=list(report.reasons),
        released=models[chosen]["name"] if chosen else None,
        gate=report.as_dict(),
        compared_with=pointer_facts(champion),
        announced=False,
        done=chosen is None,
    )
    return report


def publish_judged(settings: Settings, run: TrainingRun) -> bool:
    """Publish what the gate let through; return whether the pointer moved. Again and again gives the same."""
    outcome = read_outcome(run)
    if outcome["released"] is None:
        return False
    manifest = _manifest(run)
    current = read_pointer(settings)
    if outcome.get("done") and current is not None:
        return False
    compared_with = pointer_of(outcome["compared_with"])
    published = publish(settings, run.release_folder, manifest, None if current is None else compared_with)
    write_outcome(run, release_id=published.release_id, done=True)
    return published.moved


def drop_scratch(run: TrainingRun) -> None:
    """Remove what only an unfinished run needs: checkpoints and the pickled models."""
    shutil.rmtree(run.folder / "checkpoints", ignore_errors=True)


def channels_of(histories: pa.Table, user_ids: Sequence[str]) -> dict[str, np.ndarray]:
    """Return channel → bool [users]: the users of the test cut whose events are mostly there, where there are any."""
    rows = judged_rows(histories)
    names = [name for name in USER_CHANNELS.feature_names if name in rows.column_names]
    if not names:
        return {}
    shares = np.stack([pc.fill_null(rows[name], 0).to_numpy() for name in names], axis=1)
    main = dict(zip(rows["user_id"].to_pylist(), np.where(shares.any(axis=1), shares.argmax(axis=1), -1), strict=True))
    channel = np.array([main.get(user, -1) for user in user_ids])
    found = {name.removesuffix("_share"): channel == number for number, name in enumerate(names)}
    return {name: users for name, users in found.items() if users.any()}


def _index(module: torch.nn.Module, item_count: int, folder: Path) -> dict[str, float] | None:
    """Write an item index where the catalogue is large and the model is a product of vectors; say what it finds."""
    if item_count < INDEXED_FROM or not isinstance(module, TransformerScorer):
        return None
    found = write_index(module, folder)
    logger.info("item index: %s", found or "none, since too many items would have to be looked at")
    return None if found is None else asdict(found)


def _judge(
    run: TrainingRun,
    role: str,
    incumbent: Contender | None,
    training_set: TrainingSet,
    channels: Mapping[str, np.ndarray],
    limits: GateLimits | None,
) -> GateReport:
    candidate = _candidate(run, role, training_set)
    return judge(candidate, _modules(run)[role], incumbent, training_set, limits, channels)


def _candidate(run: TrainingRun, role: str, training_set: TrainingSet) -> Contender:
    """Export a model of this run, once; the gate compares the file with torch."""
    path = run.folder / f"{role}.onnx"
    if not path.exists():
        part = path.with_suffix(".part")
        write_model(_modules(run)[role], training_set.catalogue.item_count, part)
        part.rename(path)
    return Contender(
        name=read_outcome(run)["models"][role]["name"],
        path=path,
        item_ids=training_set.catalogue.item_ids,
        features=tuple(feature_pins()["user"]),
        as_of=run.as_of,
    )


def _modules(run: TrainingRun) -> dict[str, torch.nn.Module]:
    """Read the models that this same run pickled; nothing of another origin is ever unpickled."""
    modules: dict[str, torch.nn.Module] = torch.load(run.folder / "models.pt", weights_only=False)
    return modules


def champion_contender(settings: Settings, pointer: Pointer) -> Contender:
    """Return the champion as the gate runs it, its files fetched and checked."""
    folder = fetch_release(settings, pointer.release_id, settings.home / "releases")
    with gzip.open(folder / "items.jsonl.gz", "rt", encoding="utf-8") as lines:
        item_ids = [json.loads(line)["item_id"] for line in lines]
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return Contender(
        name=f"{manifest['model']['name']} (champion {pointer.release_id})",
        path=folder / "model.onnx",
        item_ids=item_ids,
        as_of=datetime.fromisoformat(manifest["as_of"]),
    )


def _assemble(settings: Settings, run: TrainingRun, role: str, training_set: TrainingSet, report: GateReport) -> None:
    """Put the release together in the run's folder; it is whole before anything is uploaded."""
    outcome = read_outcome(run)
    tables = build_training_tables(run.began_with(settings), run.source)
    shutil.rmtree(run.release_folder, ignore_errors=True)
    run.release_folder.mkdir()
    shutil.copyfile(run.folder / f"{role}.onnx", run.release_folder / "model.onnx")
    index = _index(_modules(run)[role], training_set.catalogue.item_count, run.release_folder)
    write_contents(settings, run.release_folder, tables, training_set.catalogue.text_vectors, run.as_of, run.source)
    metrics = {"validation": outcome["validation"], "test": outcome["test"]}
    model = outcome["models"][role]
    evidence = {
        "seeds": {"training": run.train_settings.seed},
        "hyper_parameters": model["hyper_parameters"],
        "transformer": outcome.get("transformer", {}),
        "inputs_sha256": run.inputs_sha256,
        "cost": cost_of(outcome),
        "metrics": metrics,
        "gate": {"challenger": report.challenger, "passed": report.passed, "reasons": list(report.reasons)},
    }
    if role == "challenger" and (run.folder / KNOWLEDGE_NAME).exists():
        shutil.copyfile(run.folder / KNOWLEDGE_NAME, run.release_folder / KNOWLEDGE_NAME)
    named = {"name": model["name"], "kind": model["kind"], **({} if index is None else {"item_index": index})}
    _write_json(run.release_folder / "metrics.json", metrics)
    _write_json(run.folder / "manifest.json", manifest_of(settings, tables, run.as_of, run.source, named, evidence))


def _manifest(run: TrainingRun) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((run.folder / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def _write_report(run: TrainingRun, report: GateReport) -> None:
    """Put the verdict into the release, as JSON, as text and as a picture."""
    _write_json(run.release_folder / "gate.json", report.as_dict())
    (run.release_folder / "gate.md").write_text(render_markdown(report), encoding="utf-8")
    picture = picture_of(report)
    if picture is not None:
        (run.release_folder / "gate.png").write_bytes(picture)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True, default=str), encoding="utf-8")
