"""The experiment in the object store: started, stopped and read; each write is conditional on what was read before.

`experiment.json` is what serving follows. A stopped one stays there until the next starts; each is kept as
experiments/<id>/experiment.json once it has ended.
"""

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from feature_repo.experiments import (
    EXPERIMENT_KEY,
    Bounds,
    Experiment,
    ExperimentError,
    checked,
    content_of,
    publication,
    read_experiment,
)
from flows.champion import read_pointer
from flows.object_client import ObjectMissing, ObjectStoreError, WriteConflict, object_client, plain_errors
from flows.release_objects import REMOVAL_NAME, put_object, read_object, read_or_none, sizes_of
from flows.release_signatures import read_signed_manifest, signature_of
from flows.settings import Settings

#: Looks at what another writer has written meanwhile before a stop gives up.
STOP_TRIES = 5
#: The reason of a stop for which a person gave none.
BY_HAND = "stopped by hand"


class ExperimentRunning(ObjectStoreError):
    """Only one experiment runs at a time."""


class BrokenExperiment(ObjectStoreError):
    """What stands in an experiment's place is none."""


@dataclass(frozen=True)
class Plan:
    """What an operator asks for: see `Experiment` for the meaning of each."""

    challenger: str
    mode: str
    share: float
    bounds: Bounds = field(default_factory=Bounds)
    window_hours: float = 24.0
    planned_users: int = 10_000


def start_experiment(settings: Settings, plan: Plan) -> Experiment:
    """Let the challenger of a plan run beside the champion; serving follows within seconds.

    The champion stays what it is. Raises ExperimentRunning when one runs, ExperimentError when the plan cannot be
    meant, BrokenRelease or ObjectMissing when the challenger is none, WriteConflict when another start was faster.
    """
    champion, (before, etag) = read_pointer(settings), _read(settings)
    if champion is None:
        raise ExperimentError("Expected a champion to compare with, but there is none. Make one: aisle train")
    if before is not None and before.running:
        raise ExperimentRunning(
            f"Experiment {before.experiment_id} ({before.mode} of {before.challenger}) is running since "
            f"{before.started_at}. Stop it first: aisle experiment stop"
        )
    if plan.challenger == champion.release_id:
        raise ExperimentError(
            f"Expected a challenger other than the champion, but both are {champion.release_id}. Name another one of "
            "`aisle release list`; to hold the champion against the one before it, go back first "
            "(`aisle release rollback`) and start with this one."
        )
    manifest, now, salt = read_signed_manifest(settings, plan.challenger), datetime.now(UTC), secrets.token_hex(8)
    experiment = checked(
        Experiment(
            experiment_id=f"x{now:%Y%m%d}-{salt[:8]}",
            mode=plan.mode,
            champion=champion.release_id,
            challenger=plan.challenger,
            challenger_manifest_sha256=hashlib.sha256(manifest).hexdigest(),
            share=plan.share,
            salt=salt,
            started_at=now.isoformat(),
            bounds=plan.bounds,
            window_hours=plan.window_hours,
            planned_users=plan.planned_users,
        )
    )
    _write(settings, experiment, etag)
    _undo_if_removed(settings, experiment)
    return experiment


def stop_experiment(settings: Settings, reason: str, experiment_id: str = "") -> Experiment:
    """End the running experiment, with its reason; serving follows within seconds. One that was stopped stays so.

    With an id only that one is ended, and returned as it is now: what began since goes on. The reason is kept as one
    line without its full stop, as it is told within sentences. Raises ObjectMissing when there is none.
    """
    told = " ".join(reason.split()).rstrip(".")[:1000]

    def stop(found: Experiment) -> Experiment:
        if experiment_id not in ("", found.experiment_id):
            return found
        return replace(found, stopped_at=datetime.now(UTC).isoformat(), reason=told)

    stopped = _change(settings, stop)
    return stopped if experiment_id in ("", stopped.experiment_id) else past_experiment(settings, experiment_id)


def stop_by_hand(settings: Settings, reason: str) -> Experiment:
    """End the running experiment as a person asks; what had ended its traffic before is kept, too."""
    found = current_experiment(settings)
    why = why_to_end(settings, found) if found is not None and found.running else None
    if why is not None:
        reason = why if reason == BY_HAND else f"{reason}; serving had ended it: {why}"
    return stop_experiment(settings, reason)


def current_experiment(settings: Settings) -> Experiment | None:
    """Return the experiment that runs, or else the one that was stopped last; None before the first."""
    return _read(settings)[0]


def past_experiment(settings: Settings, experiment_id: str) -> Experiment:
    """Return an experiment of this id, running or ended. Raises ObjectMissing."""
    current = current_experiment(settings)
    if current is not None and current.experiment_id == experiment_id:
        return current
    key = own_key(experiment_id, "experiment.json")
    try:
        body, _ = read_object(settings, key, f"read experiment {experiment_id}")
    except ObjectMissing as error:
        told = "Expected an id as `aisle experiment start` and `show` print it; without one it is the newest."
        raise ObjectMissing(f"{error} {told}") from error
    return _experiment_in(settings, key, body)


def own_key(experiment_id: str, name: str) -> str:
    """Return the key of an object that belongs to one experiment."""
    return f"experiments/{experiment_id}/{name}"


def told_stop(settings: Settings, experiment: Experiment) -> dict[str, Any] | None:
    """Return the stop that a server called out, with `reason`, `server` and `at`; None where none did."""
    body = read_or_none(settings, own_key(experiment.experiment_id, "stop.json"), "read a server's stop")
    return None if body is None else json.loads(body)


def why_to_end(settings: Settings, experiment: Experiment) -> str | None:
    """Return why an experiment cannot go on, None while it can: serving gives it no traffic then."""
    called = told_stop(settings, experiment)
    if called is not None:
        return f"{called['reason']} ({called['server']}, {called['at'][:16].replace('T', ' ')} UTC)"
    pointer = read_pointer(settings)
    if pointer is None or pointer.release_id != experiment.champion:
        now = "none" if pointer is None else pointer.release_id
        return f"the champion is {now} now"
    return None


def _change(settings: Settings, change: Callable[[Experiment], Experiment]) -> Experiment:
    for _ in range(STOP_TRIES):
        found, etag = _read(settings)
        if found is None:
            raise ObjectMissing("There is no experiment. Start one: aisle experiment start RELEASE_ID --mode shadow")
        changed = change(found)
        if not found.running or changed == found:
            return found
        changed = replace(changed, version=found.version + 1)
        try:
            _write(settings, changed, etag)
        except WriteConflict:
            continue
        return changed
    raise WriteConflict("Others change the experiment all the time; say it again.")


def _read(settings: Settings) -> tuple[Experiment | None, str]:
    try:
        body, etag = read_object(settings, EXPERIMENT_KEY, "read the experiment")
    except ObjectMissing:
        return None, ""
    return _experiment_in(settings, EXPERIMENT_KEY, body), etag


def _experiment_in(settings: Settings, key: str, body: bytes) -> Experiment:
    try:
        return read_experiment(body).experiment
    except ExperimentError as error:
        raise BrokenExperiment(
            f"{key} in bucket {settings.object_store.bucket!r} is no experiment, so serving runs none: {error} "
            "Delete that object, then start again."
        ) from error


def _write(settings: Settings, experiment: Experiment, etag: str) -> None:
    """Write experiment.json if its ETag is still `etag` ("": if there is none yet), and keep a copy of its own."""
    body = publication(experiment, json.loads(signature_of(content_of(experiment), settings.signing_key)))
    condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
    with plain_errors(settings, f"write experiment {experiment.experiment_id}"):
        object_client(settings).put_object(
            Bucket=settings.object_store.bucket, Key=EXPERIMENT_KEY, Body=body, **condition
        )
    put_object(settings, own_key(experiment.experiment_id, "experiment.json"), body)


def _undo_if_removed(settings: Settings, experiment: Experiment) -> None:
    """As with the pointer: clean-up marks and then reads us, we write and then look for the mark."""
    there = sizes_of(settings, experiment.challenger)
    if REMOVAL_NAME in there or "manifest.json" not in there:
        stop_experiment(settings, "the challenger is being removed", experiment.experiment_id)
        raise ObjectMissing(f"Release {experiment.challenger} is being removed by `aisle release gc`.")
