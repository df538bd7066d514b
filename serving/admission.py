"""Who may come in: each request's key, scope, rate and size, before anything of it is read."""

import time
from dataclasses import dataclass, field

from starlette.types import Scope

from serving.api_keys import ApiKey, KeyRing, find_key, look_again
from serving.problems import Problem, too_large
from serving.rate_limits import Buckets, seconds_to_wait

#: Paths that nobody needs a key for: what a load balancer asks, the API's description, the page's style.
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/openapi.json", "/storefront.css"})
_SCOPES = {"/v1/events": "events", "/click": "events", "/metrics": "admin"}


@dataclass(frozen=True)
class Admission:
    """The keys and limits of one app; used on the event loop alone."""

    ring: KeyRing
    max_body_bytes: int
    buckets: Buckets = field(default_factory=Buckets)


def admit(admission: Admission, scope: Scope) -> int:
    """Return how many bytes the request's body may have. Raises Problem 401, 403, 413 or 429."""
    ring, limit = admission.ring, admission.max_body_bytes
    now = time.monotonic()
    look_again(ring, now)
    if ring.needed and scope["path"] not in OPEN_PATHS:
        key = _known_key(ring, scope)
        _require_scope(key, scope["path"])
        if key.requests_per_minute is not None:
            _require_token(admission, key.key_id, key.requests_per_minute, now)
        limit = limit if key.max_body_bytes is None else min(limit, key.max_body_bytes)
    if _declared_length(scope) > limit:
        raise too_large(limit)
    return limit


def _known_key(ring: KeyRing, scope: Scope) -> ApiKey:
    header = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    key = find_key(ring, header.decode("latin-1"))
    if key is None:
        detail = "Send `Authorization: Bearer KEY` with a key of this server; `aisle key new` makes one."
        problem = Problem(401, "no-valid-key", "This server asks for an API key", detail)
        # A browser asks its user for a name and a password; the key is the password.
        problem.headers["WWW-Authenticate"] = "Bearer" if scope["path"].startswith("/v1/") else 'Basic realm="Aisle"'
        raise problem
    return key


def _require_scope(key: ApiKey, path: str) -> None:
    needed = _SCOPES.get(path, "read")
    if needed not in key.scopes:
        detail = (
            f"Expected a key with the scope {needed!r}, but this one has {', '.join(sorted(key.scopes)) or 'none'}."
        )
        raise Problem(403, "scope-missing", "The key does not open this", detail)


def _require_token(admission: Admission, key_id: str, rate: float, now: float) -> None:
    if rate == 0:
        raise Problem(403, "key-blocked", "The key opens nothing", "Its limit is 0 requests a minute; use another key.")
    if wait := seconds_to_wait(admission.buckets, key_id, rate, now):
        detail = f"Expected at most {rate:g} requests a minute with this key; wait {wait} s."
        raise Problem(429, "too-many-requests", "Too many requests", detail, retry_after=wait)


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
