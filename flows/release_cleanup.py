"""Clean-up of releases that nobody needs: not the champion, not one to roll back to, not served, not kept for an audit.

Nothing is removed while it may still be wanted: a release counts as needed when any of its objects is young (it may be
in the middle of its publishing). Removal writes its mark first, then looks again at who needs the release; promotion
writes the pointer first, then looks for the mark. So one of the two always sees the other.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pyarrow.compute as pc

from flows.champion import read_pointer
from flows.experiments import current_experiment
from flows.lake import open_table
from flows.object_client import ObjectMissing, object_client, plain_errors
from flows.release_objects import (
    MANIFEST_NAME,
    REMOVAL_NAME,
    SIGNATURE_NAME,
    object_key,
    put_object,
    read_or_none,
    sizes_of,
)
from flows.settings import Settings

KEPT = "keep/"
LEASES = "leases/"
#: The lake's table of logged answers, where there is one; its column release_id names what an audit needs.
ANSWERS = "answers"
#: A lease that was not renewed for this long is void; servers renew every five minutes (serving/lease.py).
LEASE_HOURS = 24


@dataclass(frozen=True)
class ServerLease:
    """A running server's word that it answers from a release; `age` since it said so last."""

    server: str
    release_id: str
    age: timedelta

    @property
    def valid(self) -> bool:
        """The server may still be there."""
        return self.age < timedelta(hours=LEASE_HOURS)


@dataclass(frozen=True)
class ReleaseFate:
    """What clean-up says of one release: bytes in the store, and why it is needed (empty: it goes)."""

    release_id: str
    bytes: int
    needed: tuple[str, ...]


def plan_cleanup(settings: Settings, days: float = 7, audited: Iterable[str] = ()) -> list[ReleaseFate]:
    """Say of every release in the store whether it is needed and why; nothing is changed.

    `days`: a release with a younger object stays. `audited`: releases that logged answers refer to.
    """
    stored, now = _stored_releases(settings)
    reasons = _reasons(settings, frozenset(audited))
    fates = []
    for release_id, objects in sorted(stored.items()):
        youngest = now - max(written for _, _, written in objects)
        needed = list(reasons.get(release_id, ()))
        if youngest < timedelta(days=days) and not _half_removed(objects):
            needed.append(f"written {_age(youngest)} ago, {days:g} days are kept")
        fates.append(ReleaseFate(release_id, sum(size for _, size, _ in objects), tuple(needed)))
    return fates


def remove_release(settings: Settings, release_id: str, audited: Iterable[str] = ()) -> bool:
    """Remove one release that nobody needs; return whether it is gone. May be cut off at any moment and run again."""
    mark = object_key(release_id, REMOVAL_NAME)
    put_object(settings, mark, json.dumps({"since": datetime.now(UTC).isoformat()}).encode())
    if _reasons(settings, frozenset(audited)).get(release_id):
        _delete(settings, mark)
        return False
    stored, _ = _stored_releases(settings, release_id)
    keys = [key for key, _, _ in stored.get(release_id, []) if key != mark]
    # Without its signature and manifest it is no release any more; the mark goes last.
    first = [object_key(release_id, name) for name in (SIGNATURE_NAME, MANIFEST_NAME)]
    for key in (*first, *(key for key in keys if key not in first), mark):
        _delete(settings, key)
    return True


def read_keep_list(settings: Settings) -> dict[str, str]:
    """Return the releases that are kept by hand, for an audit or a comparison: id → why."""
    kept = {}
    for key, _, _ in _objects(settings, KEPT)[0]:
        body = read_or_none(settings, key, f"read {key}")
        if body is not None:
            kept[key.removeprefix(KEPT).removesuffix(".json")] = str(json.loads(body)["why"])
    return kept


def keep_release(settings: Settings, release_id: str, why: str) -> None:
    """Keep a release until `let_go`. Raises ObjectMissing when it is not (or no longer) there."""
    content = {"why": why, "since": datetime.now(UTC).isoformat()}
    put_object(settings, f"{KEPT}{release_id}.json", json.dumps(content, ensure_ascii=False).encode())
    there = sizes_of(settings, release_id)
    if MANIFEST_NAME not in there or REMOVAL_NAME in there:
        let_go(settings, release_id)
        raise ObjectMissing(
            f"There is no release {release_id} to keep, or it is being removed. See aisle release list."
        )


def let_go(settings: Settings, release_id: str) -> None:
    """Take a release off the list of those kept by hand. Raises ObjectMissing when it is not on it."""
    kept = read_keep_list(settings)
    if release_id not in kept:
        those = f"those kept are {', '.join(sorted(kept))}" if kept else "none is kept by hand"
        raise ObjectMissing(f"{release_id} is not kept by hand; {those}.")
    _delete(settings, f"{KEPT}{release_id}.json")


def audited_releases(settings: Settings) -> set[str]:
    """Return the releases that logged answers in the lake refer to (table `answers`); empty when none are logged."""
    table = open_table(settings, ANSWERS)
    if table is None:
        return set()
    column = table.to_pyarrow_dataset().to_table(columns=["release_id"])["release_id"]
    return {name for name in pc.unique(column).to_pylist() if name}


def read_leases(settings: Settings) -> list[ServerLease]:
    """Return the leases of servers, void ones included."""
    objects, now = _objects(settings, LEASES)
    leases = []
    for key, _, written in objects:
        body = read_or_none(settings, key, f"read {key}")
        if body is not None:
            name = key.removeprefix(LEASES).removesuffix(".json")
            leases.append(ServerLease(name, str(json.loads(body)["release_id"]), now - written))
    return leases


def remove_void_leases(settings: Settings) -> int:
    """Remove the leases of servers that are gone; return how many."""
    void = [lease for lease in read_leases(settings) if not lease.valid]
    for lease in void:
        _delete(settings, f"{LEASES}{lease.server}.json")
    return len(void)


def _reasons(settings: Settings, audited: frozenset[str]) -> dict[str, list[str]]:
    """Return release → why it is needed; read anew at each call."""
    reasons: dict[str, list[str]] = {}
    for lease in read_leases(settings):
        if lease.valid:
            said = f"served by {lease.server}, which said so {_age(lease.age)} ago"
            reasons.setdefault(lease.release_id, []).append(said)
    for name, why in read_keep_list(settings).items():
        reasons.setdefault(name, []).append(f"kept by hand: {why}")
    for name in audited:
        reasons.setdefault(name, []).append("logged answers refer to it")
    experiment = current_experiment(settings)
    if experiment is not None and experiment.running:
        for name in (experiment.challenger, experiment.champion):
            reasons.setdefault(name, []).append(f"experiment {experiment.experiment_id} is about it")
    # The pointer is read last: what became champion during the other reads is seen.
    pointer = read_pointer(settings)
    for place, name in enumerate(pointer.trail if pointer else ()):
        reasons.setdefault(name, []).append("champion" if place == 0 else f"roll-back goes to it, step {place}")
    return reasons


def _stored_releases(
    settings: Settings, release_id: str = ""
) -> tuple[dict[str, list[tuple[str, int, datetime]]], datetime]:
    """Return release → its objects (key, bytes, written), and the store's clock."""
    objects, now = _objects(settings, object_key(release_id, "") if release_id else "releases/")
    stored: dict[str, list[tuple[str, int, datetime]]] = {}
    for each in objects:
        stored.setdefault(each[0].split("/")[1], []).append(each)
    return stored, now


def _objects(settings: Settings, prefix: str) -> tuple[list[tuple[str, int, datetime]], datetime]:
    """Return (key, bytes, written) below a prefix, and the moment by the clock of the store, which wrote them."""
    found: list[tuple[str, int, datetime]] = []
    now = datetime.now(UTC)
    with plain_errors(settings, f"list what is below {prefix}"):
        paginator: Any = object_client(settings).get_paginator("list_objects_v2")
        for page in paginator.paginate(Bucket=settings.object_store.bucket, Prefix=prefix):
            found += [(e["Key"], e["Size"], e["LastModified"]) for e in page.get("Contents", [])]
            date = page["ResponseMetadata"]["HTTPHeaders"].get("date")
            now = parsedate_to_datetime(date) if date else now
    return found, now


def _half_removed(objects: list[tuple[str, int, datetime]]) -> bool:
    return any(key.endswith(f"/{REMOVAL_NAME}") for key, _, _ in objects)


def _delete(settings: Settings, key: str) -> None:
    with plain_errors(settings, f"delete {key}"):
        object_client(settings).delete_object(Bucket=settings.object_store.bucket, Key=key)


def _age(age: timedelta) -> str:
    hours = max(age.total_seconds(), 0) / 3600
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours" if hours >= 1 else f"{hours * 60:.0f} min"
