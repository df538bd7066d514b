"""The objects of a release in the store: their keys, one write each, and reading with every byte checked."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from flows.object_client import ObjectMissing, ObjectStoreError, object_client, plain_errors
from flows.settings import Settings

MANIFEST_NAME = "manifest.json"
SIGNATURE_NAME = "manifest.sig"
#: Says that clean-up is about to remove the release: whoever promotes it meanwhile takes that back.
REMOVAL_NAME = "removal.json"
#: Objects of a release that its manifest does not name.
UNNAMED = (MANIFEST_NAME, SIGNATURE_NAME, REMOVAL_NAME)


class BrokenRelease(ObjectStoreError):
    """A release is not whole, not what its manifest says, or not signed by the key that this machine has."""


def object_key(release_id: str, name: str) -> str:
    """Return the key of one object of a release."""
    return f"releases/{release_id}/{name}"


def create_object(settings: Settings, key: str, body: bytes) -> None:
    """Write an object that is not there yet. Raises WriteConflict when it is."""
    with plain_errors(settings, f"write {key}"):
        object_client(settings).put_object(Bucket=settings.object_store.bucket, Key=key, Body=body, IfNoneMatch="*")


def put_object(settings: Settings, key: str, body: bytes) -> None:
    """Write an object, in place of the one that may be there."""
    with plain_errors(settings, f"write {key}"):
        object_client(settings).put_object(Bucket=settings.object_store.bucket, Key=key, Body=body)


def read_object(settings: Settings, key: str, action: str) -> tuple[bytes, str]:
    """Return an object's bytes and its ETag; `action` ends the sentence 'Could not …'. Raises ObjectMissing."""
    with plain_errors(settings, action):
        answer = object_client(settings).get_object(Bucket=settings.object_store.bucket, Key=key)
        return answer["Body"].read(), answer["ETag"]


def read_or_none(settings: Settings, key: str, action: str) -> bytes | None:
    """Return an object's bytes, None when it is not there."""
    try:
        return read_object(settings, key, action)[0]
    except ObjectMissing:
        return None


def manifest_body(settings: Settings, release_id: str) -> bytes:
    """Return the bytes of a release's manifest. Raises ObjectMissing for an id that no whole release has."""
    action = f"read the manifest of release {release_id}"
    try:
        return read_object(settings, object_key(release_id, MANIFEST_NAME), action)[0]
    except ObjectMissing as error:
        raise ObjectMissing(f"{error} Expected the id of a release as `aisle release list` shows it.") from error


def sizes_of(settings: Settings, release_id: str) -> dict[str, int]:
    """Return the objects that a release has in the store: name → bytes."""
    where = {"Bucket": settings.object_store.bucket, "Prefix": object_key(release_id, "")}
    with plain_errors(settings, f"list the objects of release {release_id}"):
        pages = object_client(settings).get_paginator("list_objects_v2").paginate(**where)
        return {e["Key"].rpartition("/")[2]: e["Size"] for page in pages for e in page.get("Contents", [])}


def read_checked(settings: Settings, release_id: str, name: str, expected: Mapping[str, Any]) -> bytes:
    """Return a file of a release whose size and sha256 are those of its manifest. Raises BrokenRelease."""
    try:
        body, _ = read_object(settings, object_key(release_id, name), f"read {name} of release {release_id}")
    except ObjectMissing as error:
        raise BrokenRelease(f"Release {release_id} lacks {name}, which its manifest names.") from error
    if describe(body) != dict(expected):
        raise BrokenRelease(
            f"{name} of release {release_id} is not what its manifest says: expected {expected['size']} bytes with "
            f"sha256 {expected['sha256'][:12]}…, came {len(body)} bytes. Promote another release."
        )
    return body


def describe(body: bytes) -> dict[str, Any]:
    """Return size and sha256 of some bytes, as a manifest names them."""
    return {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def canonical(content: Mapping[str, Any]) -> bytes:
    """Return content as JSON with sorted keys: the same content gives the same bytes."""
    return json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode()
