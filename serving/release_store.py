"""Releases in the object store, read into a local folder: pointer, manifest, files, every byte checked.

What is in the folder under a release's own name has been verified; half of a release never stands there.
"""

import hashlib
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3.session
import orjson
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from feature_repo.features import KNOWLEDGE_NAME
from serving.release import ReleaseRejected
from serving.release_signature import SIGNATURE, check_signature
from serving.settings import ObjectStoreSettings

POINTER = "champion.json"
RELEASE_FILES = ("model.onnx", "vectors.npy", "items.jsonl.gz", "neighbours.npz", "popularity.npy", "registry.db")
_RELEASE_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
_FILE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
_CHUNK_BYTES = 1 << 20
#: A pointer or manifest beyond this is none.
MANIFEST_BYTES = 16 << 20


class StoreUnavailable(Exception):
    """The object store did not answer, or has no champion yet; waiting may help."""


class NoChampion(StoreUnavailable):
    """The object store answers, and no release was ever made champion there."""


@dataclass(frozen=True)
class Pointer:
    """The champion: the release to answer from, and the hash of its manifest."""

    release_id: str
    manifest_sha256: str


def open_store(settings: ObjectStoreSettings) -> Any:
    """Return an S3 client with short timeouts; it is for one thread."""
    local = urlsplit(settings.endpoint_url).hostname in ("127.0.0.1", "localhost")
    return boto3.session.Session().client(
        "s3",
        endpoint_url=settings.endpoint_url,
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key,
        region_name=settings.region,
        config=Config(
            connect_timeout=3,
            read_timeout=20,
            retries={"mode": "standard", "total_max_attempts": 2},
            s3={"addressing_style": "auto" if "amazonaws.com" in settings.endpoint_url else "path"},
            # A store on this machine is reached directly, whatever proxy the environment names.
            proxies={} if local else None,
        ),
    )


def read_pointer(client: Any, bucket: str) -> Pointer:
    """Return who is champion now.

    Raises NoChampion when nobody is, StoreUnavailable when the store does not say, and ReleaseRejected when the pointer
    is no pointer.
    """
    try:
        return parse_pointer(_get(client, bucket, POINTER))
    except StoreUnavailable as error:
        if _code(error) in ("NoSuchKey", "NoSuchBucket"):
            raise NoChampion(str(error)) from error
        raise


def parse_pointer(content: bytes) -> Pointer:
    """Return the pointer in `champion.json`. Raises ReleaseRejected."""
    try:
        row = orjson.loads(content)
        pointer = Pointer(str(row["release_id"]), str(row["manifest_sha256"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ReleaseRejected(f"{POINTER}: expected release_id and manifest_sha256, but found {error!r}") from error
    if not _RELEASE_ID.match(pointer.release_id):
        raise ReleaseRejected(f"{POINTER}: expected a plain release_id, but found {pointer.release_id[:100]!r}")
    return pointer


def fetch_release(
    client: Any, bucket: str, pointer: Pointer, cache: Path, public_keys: tuple[str, ...], max_bytes: int
) -> Path:
    """Return a folder with the whole verified release, read from the store or kept from before.

    Raises StoreUnavailable when the store does not answer, ReleaseRejected when a size or hash is wrong, the manifest
    is not signed by one of the keys, or the files together have more than `max_bytes`.
    """
    folder = cache / pointer.release_id
    if folder.exists():
        try:
            verify_folder(folder, pointer, public_keys)
            return folder
        except ReleaseRejected:
            shutil.rmtree(folder)
    cache.mkdir(parents=True, exist_ok=True)
    partial = cache / f".{pointer.release_id}.{secrets.token_hex(4)}"
    partial.mkdir()
    try:
        _download_manifest(client, bucket, pointer, partial)
        check_signature(partial, public_keys)
        _download_files(client, bucket, pointer, partial, max_bytes)
        verify_folder(partial, pointer, public_keys)
        partial.rename(folder)
    except OSError as error:
        if not folder.exists():  # another process of this machine may have been first
            raise StoreUnavailable(f"cannot keep release {pointer.release_id} in {cache}: {error}") from error
        verify_folder(folder, pointer, public_keys)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def verify_folder(folder: Path, pointer: Pointer, public_keys: tuple[str, ...]) -> None:
    """Check the manifest's hash and signature, and the size and hash of every file in it. Raises ReleaseRejected."""
    try:
        manifest = _checked_manifest((folder / "manifest.json").read_bytes(), pointer)
        check_signature(folder, public_keys)
        for name, expected in _served(manifest).items():
            _check_file(folder / name, expected)
    except OSError as error:
        raise ReleaseRejected(f"release {pointer.release_id}: {error}") from error


def keep_pointer(cache: Path, pointer: Pointer) -> None:
    """Write down which release in the cache was in use last, for a start without the object store."""
    fresh = cache / f".{POINTER}.{secrets.token_hex(4)}"
    fresh.write_bytes(orjson.dumps(pointer))
    fresh.replace(cache / POINTER)


def forget_old_releases(cache: Path, keep: set[str]) -> None:
    """Remove the folders of releases that are not in `keep`; one that cannot be removed stays."""
    for folder in cache.iterdir():
        if folder.is_dir() and folder.name not in keep and not folder.name.startswith("."):
            shutil.rmtree(folder, ignore_errors=True)


def _download_manifest(client: Any, bucket: str, pointer: Pointer, folder: Path) -> None:
    """Fetch the manifest and its signature; a signature that is not there is missed by who checks it."""
    prefix = f"releases/{pointer.release_id}"
    content = _get(client, bucket, f"{prefix}/manifest.json")
    _checked_manifest(content, pointer)
    (folder / "manifest.json").write_bytes(content)
    try:
        (folder / SIGNATURE).write_bytes(_get(client, bucket, f"{prefix}/{SIGNATURE}"))
    except StoreUnavailable as error:
        if _code(error) != "NoSuchKey":
            raise


def _download_files(client: Any, bucket: str, pointer: Pointer, folder: Path, max_bytes: int) -> None:
    prefix = f"releases/{pointer.release_id}"
    files = _served(orjson.loads((folder / "manifest.json").read_bytes()))
    size = sum(int(expected["size"]) for expected in files.values())
    if size > max_bytes:
        raise ReleaseRejected(f"release {pointer.release_id}: expected at most {max_bytes} bytes, but found {size}")
    for name, expected in files.items():
        try:
            body = client.get_object(Bucket=bucket, Key=f"{prefix}/{name}")["Body"]
            _write_bounded(body, folder / name, int(expected["size"]))
        except (BotoCoreError, ClientError) as error:
            raise StoreUnavailable(f"cannot read {prefix}/{name} from bucket {bucket!r}: {error}") from error


def _served(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The files of a release but for what training alone reads, which is as large as the catalogue: it stays there."""
    return {name: expected for name, expected in manifest["files"].items() if name != KNOWLEDGE_NAME}


def _write_bounded(body: Any, path: Path, size: int) -> None:
    written = 0
    with path.open("wb") as file:
        while written <= size and (chunk := body.read(_CHUNK_BYTES)):
            written += len(chunk)
            file.write(chunk)


def _checked_manifest(content: bytes, pointer: Pointer) -> dict[str, Any]:
    found = hashlib.sha256(content).hexdigest()
    if found != pointer.manifest_sha256:
        raise ReleaseRejected(
            f"release {pointer.release_id}: expected manifest sha256 {pointer.manifest_sha256}, but found {found}"
        )
    try:
        manifest: dict[str, Any] = orjson.loads(content)
        for expected in manifest["files"].values():
            int(expected["size"]), str(expected["sha256"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReleaseRejected(f"release {pointer.release_id}: manifest.json is no manifest: {error!r}") from error
    missing = [name for name in RELEASE_FILES if name not in manifest["files"]]
    unsafe = [name for name in manifest["files"] if not _FILE_NAME.match(name) or name in ("manifest.json", SIGNATURE)]
    if missing or unsafe or manifest.get("release_id") != pointer.release_id:
        raise ReleaseRejected(
            f"release {pointer.release_id}: expected a manifest of this release with plain file names and "
            f"{', '.join(RELEASE_FILES)}, but {missing} are missing and {unsafe} are no plain names"
        )
    return manifest


def _check_file(path: Path, expected: dict[str, Any]) -> None:
    size = path.stat().st_size
    if size != expected["size"]:
        raise ReleaseRejected(f"{path.name}: expected {expected['size']} bytes, but found {size}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected["sha256"]:
        raise ReleaseRejected(f"{path.name}: expected sha256 {expected['sha256']}, but found {found}")


def _code(error: StoreUnavailable) -> str | None:
    """What the store said, where it answered."""
    cause = error.__cause__
    return cause.response.get("Error", {}).get("Code") if isinstance(cause, ClientError) else None


def _get(client: Any, bucket: str, key: str) -> bytes:
    try:
        content: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read(MANIFEST_BYTES)
        return content
    except (BotoCoreError, ClientError) as error:
        raise StoreUnavailable(f"cannot read {key} from bucket {bucket!r}: {error}") from error
