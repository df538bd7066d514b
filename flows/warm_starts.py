"""What a training run begins with: the knowledge in the champion's release, or nothing (a cold run).

What was found is written into the run's outcome, so that a run that was killed goes on from the same start.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from feature_repo.features import KNOWLEDGE_NAME
from flows.champion import read_pointer
from flows.releases import fetch_release, read_manifest
from flows.settings import Settings
from flows.training_runs import TrainingRun, read_outcome, write_outcome
from training.dataset import TrainingSet
from training.warm_start import WarmStart, read_start, write_knowledge


def find_start(settings: Settings, run: TrainingRun, first_cut: datetime | None = None) -> WarmStart | None:
    """Return what the champion's Transformer knew; None for a cold run.

    The run is cold when it asks for that (no warm steps), when there is no champion, and when the champion's release is
    of another shop, newer than this run's moment or has learned from after `first_cut` (it would know the weeks that
    judge it), or has no knowledge in it. `first_cut`: of a run judged by users who come back; None where visits judge,
    whose cuts only move on.
    """
    outcome = read_outcome(run)
    if "start" not in outcome:
        pointer = read_pointer(settings)
        fits = pointer is not None and _fits(settings, run, pointer.release_id, first_cut)
        outcome = {"start": pointer.release_id if pointer and fits else None}
        write_outcome(run, **outcome)
    release_id = outcome["start"]
    if release_id is None:
        return None
    folder = fetch_release(settings, release_id, settings.home / "releases")
    return read_start(folder / KNOWLEDGE_NAME, release_id)


def first_cut_of(training_set: TrainingSet) -> datetime | None:
    """Return the moment after which users who come back judge a run; None where visits do."""
    if training_set.step_truth is not None:
        return None
    moment: datetime = training_set.t_validation.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)


def keep_knowledge(run: TrainingRun, tensors: Mapping[str, np.ndarray]) -> None:
    """Keep in the run's folder what its Transformer knows; its release takes it along."""
    if tensors:
        write_knowledge(run.folder / KNOWLEDGE_NAME, tensors)


def _fits(settings: Settings, run: TrainingRun, release_id: str, first_cut: datetime | None) -> bool:
    manifest = read_manifest(settings, release_id)
    return (
        run.train_settings.warm_steps > 0
        and KNOWLEDGE_NAME in manifest["files"]
        and manifest["source"] == (run.source or "all")
        and datetime.fromisoformat(manifest["as_of"]) <= run.as_of
        and (first_cut is None or _learned_until(manifest) <= first_cut)
    )


def _learned_until(manifest: Mapping[str, Any]) -> datetime:
    """Return a moment after which a release's models learned nothing: its first cut, or the last of its visits."""
    cuts = manifest.get("data", {}).get("training_set", {}).get("cuts", {})
    return datetime.fromisoformat(cuts.get("validation") or cuts.get("visits") or manifest["as_of"])
