"""The file of serving's API keys: made, listed and revoked here, hashes only; serving takes up a change by itself."""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.file_lock import file_lock

SCOPES = ("read", "events", "admin")


class UnknownKey(LookupError):
    """No key of this id is in the file."""


class BrokenKeys(ValueError):
    """What stands in the place of the file of keys is none."""


def list_keys(path: Path) -> list[dict[str, Any]]:
    """Return what the file holds of each key, the oldest first; the keys themselves are not in it.

    Raises BrokenKeys.
    """
    if not path.exists():
        return []
    try:
        keys: list[dict[str, Any]] = json.loads(path.read_text())["keys"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise BrokenKeys(
            f"{path}: expected a file of API keys as `aisle key new` writes it; it cannot be read ({error!r}). "
            "Put the last good one in its place from your backup."
        ) from error
    return keys


def new_key(
    path: Path,
    name: str,
    scopes: Sequence[str],
    requests_per_minute: float | None = None,
    max_body_bytes: int | None = None,
) -> str:
    """Add a key and return it: aisle_<id>_<secret>, the only time that it is seen. Raises ValueError for a scope."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise ValueError(f"expected scopes among {', '.join(SCOPES)}, but found {', '.join(unknown) or 'none'}")
    key_id = secrets.token_hex(4)
    key = f"aisle_{key_id}_{secrets.token_urlsafe(32)}"
    row = {
        "id": key_id,
        "name": name,
        "scopes": sorted(scopes),
        "sha256": hashlib.sha256(key.encode()).hexdigest(),
        "requests_per_minute": requests_per_minute,
        "max_body_bytes": max_body_bytes,
        "created_at": _now(),
        "revoked_at": None,
    }
    with _locked(path):
        _write(path, [*list_keys(path), row])
    return key


def revoke_key(path: Path, key_id: str) -> None:
    """Take a key out of use; doing it again changes nothing. Raises UnknownKey."""
    with _locked(path):
        keys = list_keys(path)
        if key_id not in {row["id"] for row in keys}:
            raise UnknownKey(f"{path} has no key {key_id!r}. `aisle key list` shows those it has.")
        _write(
            path, [row | {"revoked_at": row["revoked_at"] or _now()} if row["id"] == key_id else row for row in keys]
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with file_lock(path.with_suffix(".lock")):
        yield


def _write(path: Path, keys: list[dict[str, Any]]) -> None:
    fresh = path.with_suffix(f".{secrets.token_hex(4)}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump({"keys": keys}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
