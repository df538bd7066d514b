"""API keys: read from a file that holds hashes only, looked at again while serving, so that a key is rotated live.

`aisle key` writes the file (flows/api_keys.py). A key reads aisle_<id>_<secret>; the secret is 256 random bits, so one
SHA-256 of the whole key is enough at rest.
"""

import base64
import hashlib
import hmac
import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import orjson

LOG = logging.getLogger("serving")
SCOPES = ("read", "events", "admin")
#: Seconds between two looks at the file.
LOOK_SECONDS = 1.0
_LIMITS = ("requests_per_minute", "max_body_bytes")
_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key that may be used: what it opens, and its own limits (None: none; 0 a minute: it opens nothing)."""

    key_id: str
    sha256: bytes
    scopes: frozenset[str]
    requests_per_minute: float | None
    max_body_bytes: int | None


@dataclass
class KeyRing:
    """The keys of one file, as last read whole. Without a file nobody needs a key, unless `required`.

    Once a file has been seen keys are needed for good: a file that is gone or broken leaves the keys as they were.
    """

    path: Path
    required: bool = False
    keys: dict[str, ApiKey] = field(default_factory=dict)
    seen: bool = False
    stamp: _Stamp | None = None
    looked_at: float = float("-inf")

    @property
    def needed(self) -> bool:
        """Whether a request must bring a key."""
        return self.required or self.seen


def open_key_ring(path: Path, required: bool) -> KeyRing:
    """Read the keys for the first time. Raises ValueError when the file is there and is no key file."""
    ring = KeyRing(path, required)
    _read_if_new(ring)
    ring.looked_at = time.monotonic()
    return ring


def look_again(ring: KeyRing, now: float) -> None:
    """Take up a changed file, at most once a second; what cannot be read is told once and changes nothing."""
    if now - ring.looked_at < LOOK_SECONDS:
        return
    ring.looked_at = now
    try:
        _read_if_new(ring)
    except ValueError as error:
        LOG.warning("the API keys stay as they were: %s", error)


def find_key(ring: KeyRing, authorization: str) -> ApiKey | None:
    """Return the key in an Authorization header (Bearer, or Basic with the key as password), None for no valid one."""
    scheme, _, credentials = authorization.partition(" ")
    token = credentials.strip()
    if scheme.lower() == "basic":
        token = _password(token)
    elif scheme.lower() != "bearer":
        return None
    key = ring.keys.get(token.removeprefix("aisle_").partition("_")[0])
    if key is None or not hmac.compare_digest(hashlib.sha256(token.encode()).digest(), key.sha256):
        return None
    return key


def _password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:  # signs that Base64 has not, or bytes that are no UTF-8
        return ""


def _read_if_new(ring: KeyRing) -> None:
    try:
        status = ring.path.stat()
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp == ring.stamp:
            return
        ring.stamp, ring.seen = stamp, True
        ring.keys = parse_keys(ring.path.read_bytes())
    except FileNotFoundError:
        return
    except OSError as error:
        raise ValueError(f"{ring.path} cannot be read: {error}") from error


def parse_keys(content: bytes) -> dict[str, ApiKey]:
    """Return the keys that are not revoked, by id. Raises ValueError for what `aisle key` did not write."""
    try:
        rows = orjson.loads(content)["keys"]
        keys = [_key(row) for row in rows if row.get("revoked_at") is None]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"expected a file of API keys as `aisle key new` writes it, but found {error!r}") from error
    return {key.key_id: key for key in keys}


def _key(row: dict[str, object]) -> ApiKey:
    scopes = frozenset(row["scopes"])  # type: ignore[call-overload]
    sha256 = bytes.fromhex(str(row["sha256"]))
    if not scopes <= set(SCOPES) or len(sha256) != 32:
        raise ValueError(f"scopes among {SCOPES} and 64 hex digits")
    rate, size = (None if row.get(name) is None else float(row[name]) for name in _LIMITS)  # type: ignore[arg-type]
    if not all(limit is None or 0 <= limit < math.inf for limit in (rate, size)):
        raise ValueError(f"limits from 0 in {' and '.join(_LIMITS)}")
    return ApiKey(
        key_id=str(row["id"]),
        sha256=sha256,
        scopes=scopes,
        requests_per_minute=rate,
        max_body_bytes=None if size is None else int(size),
    )
