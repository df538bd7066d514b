"""Releases in the object store: files, then the manifest and its signature, then the champion's pointer.

Layout: releases/<release_id>/<file>, manifest.json and manifest.sig beside them, and champion.json. A file of a release
is written once and never again (If-None-Match), so that whoever reads a manifest finds exactly the files it names.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.champion import Pointer, Published, move_pointer, read_pointer
from flows.file_lock import file_lock
from flows.object_client import ObjectMissing, WriteConflict, object_client, plain_errors
from flows.promotion_hold import require_no_hold
from flows.release_objects import (
    MANIFEST_NAME,
    UNNAMED,
    BrokenRelease,
    canonical,
    create_object,
    describe,
    manifest_body,
    object_key,
    read_checked,
    read_object,
    sizes_of,
)
from flows.release_signatures import read_signed_manifest, sign_manifest
from flows.settings import Settings

#: What an answer is computed from. These and IDENTITY_FIELDS name a release; the other files report on it.
IDENTITY_FILES = ("model.onnx", "vectors.npy", "items.jsonl.gz", "neighbours.npz", "popularity.npy")
REQUIRED_FILES = (*IDENTITY_FILES, "registry.db")
#: What comes again, by category; answers depend on it, but a release may do without.
POLICIES_NAME = "policies.json"
IDENTITY_FIELDS = ("schema", "as_of", "source", "currency", "model", "vocabulary_sha256", "features")


@dataclass(frozen=True)
class StoredRelease:
    """One release in the store; `manifest` is None when its publishing never came to the manifest."""

    release_id: str
    champion: bool
    manifest: dict[str, Any] | None


def publish(settings: Settings, folder: Path, manifest: Mapping[str, Any], champion: Pointer | None) -> Published:
    """Upload the release in `folder` and make it champion, if `champion` (read before the gate) still is the champion.

    Publishing the same content again, also after a kill at any moment, ends in the same state. Raises WriteConflict
    when another release became champion since, BrokenRelease when the store holds other bytes under this id.
    """
    files = {path.name: path for path in sorted(folder.iterdir()) if path.is_file() and path.name not in UNNAMED}
    _require_files(files)
    release_id = release_name({name: describe(path.read_bytes()) for name, path in files.items()}, manifest)
    described = {name: _put_once(settings, release_id, path) for name, path in files.items()}
    whole = {**manifest, "release_id": release_id, "created_at": _now(), "files": described}
    body = _put_manifest(settings, release_id, whole)
    sign_manifest(settings, release_id, body)
    require_no_hold(settings)
    return _promote(settings, release_id, body, champion, champion.trail if champion else ())


def release_name(files: Mapping[str, Mapping[str, Any]], manifest: Mapping[str, Any]) -> str:
    """Return the id that the content gives: r<as_of yyyymmdd>-<12 hex>; the same inputs give the same id.

    `files`: size and sha256 of each file by name; those that answers are computed from count.
    """
    identity = {
        "files": {name: dict(files[name]) for name in (*IDENTITY_FILES, POLICIES_NAME) if name in files},
        **{name: manifest[name] for name in IDENTITY_FIELDS},
    }
    digest = hashlib.sha256(canonical(identity)).hexdigest()
    return f"r{datetime.fromisoformat(manifest['as_of']):%Y%m%d}-{digest[:12]}"


def read_manifest(settings: Settings, release_id: str) -> dict[str, Any]:
    """Read a release's manifest. Raises ObjectMissing when the id is unknown or its publishing never ended."""
    manifest: dict[str, Any] = json.loads(manifest_body(settings, release_id))
    return manifest


def list_releases(settings: Settings) -> list[StoredRelease]:
    """List the releases in the store, newest as_of first."""
    client, pointer = object_client(settings), read_pointer(settings)
    ids: list[str] = []
    with plain_errors(settings, "list the releases"):
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=settings.object_store.bucket, Prefix="releases/", Delimiter="/"
        )
        for page in pages:
            ids += [entry["Prefix"].split("/")[1] for entry in page.get("CommonPrefixes", [])]
    champion = pointer.release_id if pointer else None
    found = [StoredRelease(name, name == champion, _manifest_or_none(settings, name)) for name in sorted(ids)[::-1]]
    # Some stores list a folder for a while after its last object was removed.
    return [release for release in found if release.manifest is not None or sizes_of(settings, release.release_id)]


def fetch_release(settings: Settings, release_id: str, parent: Path) -> Path:
    """Download a release into parent/<release_id>, each file checked by sha256, and return that folder.

    A folder that is there already was checked when it was made, and is used as it is. Of several that want it at once
    one downloads it, and the others wait.
    """
    folder = parent / release_id
    if folder.exists():
        return folder
    parent.mkdir(parents=True, exist_ok=True)
    with file_lock(parent / f".{release_id}.lock"):
        if not folder.exists():
            _download(settings, release_id, folder)
    return folder


def _download(settings: Settings, release_id: str, folder: Path) -> None:
    """Download a release beside its folder, and give it its name once it is whole."""
    manifest = read_manifest(settings, release_id)
    part = folder.with_name(f".{release_id}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    for name, expected in manifest["files"].items():
        (part / name).write_bytes(read_checked(settings, release_id, name, expected))
    (part / MANIFEST_NAME).write_bytes(canonical(manifest))
    part.rename(folder)


def verify_release(settings: Settings, release_id: str) -> dict[str, Any]:
    """Check a release as serving does, and more: signature, name, every file. Returns its manifest.

    Raises BrokenRelease with what is wrong, ObjectMissing when there is no such release.
    """
    body = read_signed_manifest(settings, release_id)
    manifest: dict[str, Any] = json.loads(body)
    _check_files(settings, release_id, manifest)
    pointer = read_pointer(settings)
    if pointer and pointer.release_id == release_id and pointer.manifest_sha256 != hashlib.sha256(body).hexdigest():
        raise BrokenRelease(
            f"The champion's pointer names release {release_id} with another manifest: expected sha256 "
            f"{pointer.manifest_sha256[:12]}…, came {hashlib.sha256(body).hexdigest()[:12]}…. Promote it again."
        )
    return manifest


def sign_release(settings: Settings, release_id: str) -> None:
    """Sign a stored release with this machine's key, after checking that its name and files are what it says."""
    body = manifest_body(settings, release_id)
    _check_files(settings, release_id, json.loads(body))
    sign_manifest(settings, release_id, body)


def promote(settings: Settings, release_id: str) -> Published:
    """Make a stored release champion, forward or back, after checking its signature and that each file is whole."""
    require_no_hold(settings)
    champion = read_pointer(settings)
    body = read_signed_manifest(settings, release_id)
    _check_files(settings, release_id, json.loads(body))
    return _promote(settings, release_id, body, champion, champion.trail if champion else ())


def roll_back(settings: Settings) -> Published:
    """Make the champion before this one champion again; called twice it goes back twice.

    Raises ObjectMissing when there was none before.
    """
    champion = read_pointer(settings)
    if champion is None or not champion.earlier:
        raise ObjectMissing("There is no earlier champion to go back to. See `aisle release list`, then promote one.")
    target, further = champion.earlier[0], champion.earlier[1:]
    body = read_signed_manifest(settings, target)
    _check_files(settings, target, json.loads(body))
    return _promote(settings, target, body, champion, further)


def _promote(
    settings: Settings, release_id: str, manifest: bytes, champion: Pointer | None, earlier: tuple[str, ...]
) -> Published:
    to = Pointer(release_id, hashlib.sha256(manifest).hexdigest(), earlier=earlier)
    return move_pointer(settings, to, champion)


def _check_files(settings: Settings, release_id: str, manifest: Mapping[str, Any]) -> None:
    """Check that the name is what the content gives, and every file by size and sha256. Raises BrokenRelease."""
    named = release_name(manifest["files"], manifest)
    if {named, manifest.get("release_id")} != {release_id}:
        raise BrokenRelease(f"Release {release_id} has the content of {named}: somebody wrote under another's name.")
    for name, expected in manifest["files"].items():
        read_checked(settings, release_id, name, expected)


def _put_once(settings: Settings, release_id: str, path: Path) -> dict[str, Any]:
    """Write one file if it is not there; return size and sha256 of the bytes that are there now."""
    body, key = path.read_bytes(), object_key(release_id, path.name)
    try:
        create_object(settings, key, body)
        return describe(body)
    except WriteConflict:
        stored, _ = read_object(settings, key, f"read {path.name} of release {release_id}")
    if stored != body and path.name in IDENTITY_FILES:
        raise BrokenRelease(
            f"{key} is in bucket {settings.object_store.bucket!r} with other bytes than "
            "this release has. Something else wrote there: delete that object, then publish again."
        )
    return describe(stored)


def _put_manifest(settings: Settings, release_id: str, manifest: Mapping[str, Any]) -> bytes:
    """Write the manifest if there is none yet; return the one that is there now, if it is of the same content."""
    body, key = canonical(manifest), object_key(release_id, MANIFEST_NAME)
    try:
        create_object(settings, key, body)
        return body
    except WriteConflict:
        body = manifest_body(settings, release_id)
    stored = json.loads(body)
    if stored.get("files") != manifest["files"] or release_name(stored["files"], stored) != release_id:
        raise BrokenRelease(
            f"{key} is in bucket {settings.object_store.bucket!r} and does not describe this release. Something else "
            "wrote there: delete that object, then publish again."
        )
    return body


def _manifest_or_none(settings: Settings, release_id: str) -> dict[str, Any] | None:
    try:
        return read_manifest(settings, release_id)
    except ObjectMissing:
        return None


def _require_files(files: Mapping[str, Path]) -> None:
    missing = [name for name in REQUIRED_FILES if name not in files]
    if missing:
        raise ValueError(f"A release needs the files {', '.join(REQUIRED_FILES)}, but {', '.join(missing)} is missing.")


def _now() -> str:
    return datetime.now(UTC).isoformat()
