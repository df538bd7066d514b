"""Releases in the object store: files first, then the manifest, then one conditional write of the champion's pointer.

Layout: releases/<release_id>/<file>, releases/<release_id>/manifest.json, champion.json. An object of a release is
written once and never again (If-None-Match), so that whoever reads a manifest finds exactly the files it names.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.object_client import ObjectMissing, ObjectStoreError, WriteConflict, object_client, plain_errors
from flows.settings import Settings

POINTER_KEY = "champion.json"
MANIFEST_NAME = "manifest.json"
#: What an answer is computed from. These and IDENTITY_FIELDS name a release; the other files report on it.
IDENTITY_FILES = ("model.onnx", "vectors.npy", "items.jsonl.gz", "neighbours.npz", "popularity.npy")
REQUIRED_FILES = (*IDENTITY_FILES, "registry.db")
IDENTITY_FIELDS = ("schema", "as_of", "source", "currency", "model", "vocabulary_sha256", "features")


class BrokenRelease(ObjectStoreError):
    """A file of a release is missing or has other bytes than its manifest says."""


@dataclass(frozen=True)
class Pointer:
    """champion.json as it was read: the release that serving answers with, and the ETag for the next write."""

    release_id: str
    manifest_sha256: str
    promoted_at: str
    etag: str


@dataclass(frozen=True)
class Published:
    """What publishing did: the release's id, and whether this call moved the pointer (False: it was there already)."""

    release_id: str
    moved: bool


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
    files = {path.name: path for path in sorted(folder.iterdir()) if path.is_file() and path.name != MANIFEST_NAME}
    _require_files(files)
    release_id = release_name(files, manifest)
    described = {name: _put_once(settings, release_id, path) for name, path in files.items()}
    whole = {**manifest, "release_id": release_id, "created_at": _now(), "files": described}
    manifest_sha256 = _put_manifest(settings, release_id, whole)
    return _move_pointer(settings, release_id, manifest_sha256, champion)


def release_name(files: Mapping[str, Path], manifest: Mapping[str, Any]) -> str:
    """Return the id that the content gives: r<as_of yyyymmdd>-<12 hex>; the same inputs give the same id."""
    identity = {
        "files": {name: _describe(files[name].read_bytes()) for name in IDENTITY_FILES},
        **{name: manifest[name] for name in IDENTITY_FIELDS},
    }
    digest = hashlib.sha256(_canonical(identity)).hexdigest()
    return f"r{datetime.fromisoformat(manifest['as_of']):%Y%m%d}-{digest[:12]}"


def read_pointer(settings: Settings) -> Pointer | None:
    """Read which release is champion; None before the first one."""
    try:
        body, etag = _read(settings, POINTER_KEY, "read the champion's pointer")
    except ObjectMissing:
        return None
    content = json.loads(body)
    return Pointer(content["release_id"], content["manifest_sha256"], content["promoted_at"], etag)


def read_manifest(settings: Settings, release_id: str) -> dict[str, Any]:
    """Read a release's manifest. Raises ObjectMissing when the id is unknown or its publishing never ended."""
    body, _ = _read(settings, _key(release_id, MANIFEST_NAME), f"read the manifest of release {release_id}")
    manifest: dict[str, Any] = json.loads(body)
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
    return [StoredRelease(name, name == champion, _manifest_or_none(settings, name)) for name in sorted(ids)[::-1]]


def fetch_release(settings: Settings, release_id: str, parent: Path) -> Path:
    """Download a release into parent/<release_id>, each file checked by sha256, and return that folder.

    A folder that is there already was checked when it was made, and is used as it is.
    """
    folder = parent / release_id
    if folder.exists():
        return folder
    manifest = read_manifest(settings, release_id)
    part = parent / f".{release_id}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, expected in manifest["files"].items():
        (part / name).write_bytes(_read_checked(settings, release_id, name, expected))
    (part / MANIFEST_NAME).write_bytes(_canonical(manifest))
    part.rename(folder)
    return folder


def promote(settings: Settings, release_id: str) -> Published:
    """Make a stored release champion, forward or back, after checking that each of its files is whole."""
    champion = read_pointer(settings)
    body, _ = _read(settings, _key(release_id, MANIFEST_NAME), f"read the manifest of release {release_id}")
    for name, expected in json.loads(body)["files"].items():
        _read_checked(settings, release_id, name, expected)
    return _move_pointer(settings, release_id, hashlib.sha256(body).hexdigest(), champion)


def _put_once(settings: Settings, release_id: str, path: Path) -> dict[str, Any]:
    """Write one file if it is not there; return size and sha256 of the bytes that are there now."""
    body = path.read_bytes()
    try:
        _create(settings, _key(release_id, path.name), body)
        return _describe(body)
    except WriteConflict:
        stored, _ = _read(settings, _key(release_id, path.name), f"read {path.name} of release {release_id}")
    if stored != body and path.name in IDENTITY_FILES:
        raise BrokenRelease(
            f"releases/{release_id}/{path.name} is in bucket {settings.object_store.bucket!r} with other bytes than "
            "this release has. Something else wrote there: delete that object, then publish again."
        )
    return _describe(stored)


def _put_manifest(settings: Settings, release_id: str, manifest: Mapping[str, Any]) -> str:
    """Write the manifest if there is none yet; return the sha256 of the one that is there now."""
    body = _canonical(manifest)
    try:
        _create(settings, _key(release_id, MANIFEST_NAME), body)
    except WriteConflict:
        body, _ = _read(settings, _key(release_id, MANIFEST_NAME), f"read the manifest of release {release_id}")
    return hashlib.sha256(body).hexdigest()


def _move_pointer(settings: Settings, release_id: str, manifest_sha256: str, champion: Pointer | None) -> Published:
    if champion and (champion.release_id, champion.manifest_sha256) == (release_id, manifest_sha256):
        return Published(release_id, moved=False)
    pointer: dict[str, Any] = {"release_id": release_id, "manifest_sha256": manifest_sha256, "promoted_at": _now()}
    pointer |= {"previous": champion.release_id if champion else None}
    condition = {"IfMatch": champion.etag} if champion else {"IfNoneMatch": "*"}
    action = f"make release {release_id} champion"
    try:
        with plain_errors(settings, action):
            object_client(settings).put_object(
                Bucket=settings.object_store.bucket, Key=POINTER_KEY, Body=_canonical(pointer), **condition
            )
    except (WriteConflict, ObjectMissing) as error:
        # A write that was tried twice may have won the first time: then the champion is already this release.
        now = read_pointer(settings)
        if now and (now.release_id, now.manifest_sha256) == (release_id, manifest_sha256):
            return Published(release_id, moved=False)
        raise WriteConflict(
            f"Could not {action}: the champion was {champion.release_id if champion else 'none'} when this run began "
            f"and is {now.release_id if now else 'none'} now. The release is stored; gate it against the new champion "
            f"with `aisle train`, or decide by hand with `aisle release promote {release_id}`."
        ) from error
    return Published(release_id, moved=True)


def _create(settings: Settings, key: str, body: bytes) -> None:
    with plain_errors(settings, f"write {key}"):
        object_client(settings).put_object(Bucket=settings.object_store.bucket, Key=key, Body=body, IfNoneMatch="*")


def _read(settings: Settings, key: str, action: str) -> tuple[bytes, str]:
    with plain_errors(settings, action):
        answer = object_client(settings).get_object(Bucket=settings.object_store.bucket, Key=key)
        return answer["Body"].read(), answer["ETag"]


def _read_checked(settings: Settings, release_id: str, name: str, expected: Mapping[str, Any]) -> bytes:
    try:
        body, _ = _read(settings, _key(release_id, name), f"read {name} of release {release_id}")
    except ObjectMissing as error:
        raise BrokenRelease(f"Release {release_id} lacks {name}, which its manifest names.") from error
    if _describe(body) != dict(expected):
        raise BrokenRelease(
            f"{name} of release {release_id} is not what its manifest says: expected {expected['size']} bytes with "
            f"sha256 {expected['sha256'][:12]}…, came {len(body)} bytes. Promote another release."
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


def _key(release_id: str, name: str) -> str:
    return f"releases/{release_id}/{name}"


def _describe(body: bytes) -> dict[str, Any]:
    return {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode()


def _now() -> str:
    return datetime.now(UTC).isoformat()
