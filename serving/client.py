"""A typed client of the API, for a shop's own Python: `Aisle("http://127.0.0.1:8000", key).recommend("1228")`.

Standard library only. A question is asked again when the server does not answer or says that waiting helps (429, 503);
events are safe to send again, because each has an id before it is sent. No redirect is followed: the key is for one
server, and a question that is posted would become a GET without a body.
"""

import http.client
import io
import json
import random
import socket
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any, TypeVar

#: Answers after which the same request may be sent again.
_PASSING = (429, 502, 503, 504)
LONGEST_PAUSE = 10.0
Answer = TypeVar("Answer")


class ServerUnreachable(Exception):
    """The server did not answer, or not as Aisle does, however often it was asked."""


class RequestRefused(Exception):
    """The server said no: `status`, and the problem document's `type`, `title`, `detail` and `errors` (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.type = str(problem.get("type", "about:blank"))
        self.title = str(problem.get("title", ""))
        self.detail = str(problem.get("detail", ""))
        self.errors = _field_errors(problem.get("errors"))
        super().__init__(f"{status} {self.title}: {self.detail} {list(self.errors) or ''}".strip())


@dataclass(frozen=True)
class Reason:
    """Why an item is in a slate, and the items that the sentence rests on."""

    kind: str
    text: str
    because: tuple[str, ...]


@dataclass(frozen=True)
class SlateItem:
    """One place of a slate: `score` is None for a pinned item without one, `sources` are the ways that led to it.

    `propensity` is the probability of this item here where places are drawn, None elsewhere.
    """

    rank: int
    item_id: str
    title: str
    category: str | None
    brand: str | None
    price: float | None
    currency: str | None
    score: float | None
    reason: Reason
    sources: tuple[str, ...]
    propensity: float | None


@dataclass(frozen=True)
class Slate:
    """A slate: `source` is personalised, session or popular; `user` the pseudonym, `notes` what to know about it.

    `rules_id` names the shop's rules that it was made under, `exploration_seed` is what places were drawn with, `arm`
    whose turn it was in an experiment; each is None where there is none.
    """

    release_id: str
    source: str
    user: str | None
    as_of: datetime
    items: tuple[SlateItem, ...]
    notes: tuple[str, ...]
    rules_id: str | None = None
    exploration_seed: str | None = None
    arm: str | None = None


@dataclass(frozen=True)
class Receipt:
    """What became of pushed events: `accepted` ones are on disk, `duplicates` were known by their id."""

    accepted: int
    duplicates: int
    updated_users: int
    event_ids: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Aisle:
    """A server and how patiently it is asked: `timeout` seconds for a whole answer, and how often again without one."""

    url: str
    api_key: str | None = None
    timeout: float = 5.0
    retries: int = 3

    def __post_init__(self) -> None:
        if not self.url.lower().startswith(("http://", "https://")):
            raise ValueError(f"url: expected http://HOST:PORT or https://HOST, came {self.url!r}.")

    def recommend(self, user_id: str | None = None, k: int = 10, **wishes: Any) -> Slate:
        """Return a user's slate, or an anonymous visitor's; `wishes` are those of the API: exclude, filters, context…

        Raises RequestRefused, ServerUnreachable.
        """
        question = {"k": k, **wishes} | ({} if user_id is None else {"user_id": user_id})
        return self._ask("/v1/recommendations", question, _slate)

    def recommend_many(self, user_ids: Sequence[str], k: int = 10, **wishes: Any) -> list[Slate]:
        """Return the slates of up to 1,000 users, in their order. Raises RequestRefused, ServerUnreachable."""
        question = {"user_ids": list(user_ids), "k": k, **wishes}
        return self._ask("/v1/recommendations/batch", question, lambda said: [*map(_slate, said["slates"])])

    def similar(self, item_id: str, k: int = 10, language: str = "en") -> list[SlateItem]:
        """Return items like one item. Raises RequestRefused (404: not in the release), ServerUnreachable."""
        question = {"item_id": item_id, "k": k, "language": language}
        return self._ask("/v1/similar-items", question, lambda said: [*map(_item, said["slate"])])

    def push(self, *events: Mapping[str, Any]) -> Receipt:
        """Tell what users did; when this returns it is on disk. Raises RequestRefused, ServerUnreachable.

        An event is a mapping as the API takes it, its event_time a text or a datetime with a time zone; one without
        event_id gets one for all tries of this call. After an error it may count all the same: who calls again for
        the same event gives it an id of their own. Raises ValueError for a datetime without a time zone.
        """
        named = [{**event, "event_id": event.get("event_id") or uuid.uuid4().hex} for event in events]
        return self._ask("/v1/events", {"events": named}, _receipt)

    def _ask(self, path: str, question: Mapping[str, Any], read: Callable[[Any], Answer]) -> Answer:
        headers = {"Content-Type": "application/json", **_authorization(self.api_key)}
        body = json.dumps(question, default=_moment).encode()
        request = urllib.request.Request(self.url.rstrip("/") + path, body, headers)
        opener = urllib.request.build_opener(_NoRedirect, _InTime)
        for attempt in range(self.retries + 1):
            last = attempt == self.retries
            try:
                with opener.open(request, timeout=self.timeout) as answer:
                    return _understood(json.load(answer), read)
            except urllib.error.HTTPError as error:
                if last or error.code not in _PASSING:
                    raise RequestRefused(error.code, _problem(error)) from None
                pause = _asked_pause(error.headers.get("Retry-After"), attempt)
            except (OSError, ValueError, http.client.HTTPException) as error:  # none, or half of an answer
                if last:
                    told = f"did not answer {attempt + 1} times, {self.timeout:g} s each"
                    raise ServerUnreachable(f"{self.url} {told}: {error}") from error
                pause = _pause(attempt)
            time.sleep(pause)
        raise AssertionError("the loop returns or raises")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect as the answer that it is; urllib would take the key along to another server."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none."""


class _InTime(urllib.request.HTTPSHandler, urllib.request.HTTPHandler):
    """Bounds a whole exchange; a socket's own timeout is that of each silence, which a drip never reaches."""

    def do_open(self, http_class: Any, req: urllib.request.Request, **how: Any) -> http.client.HTTPResponse:
        """Ask as urllib does, over a connection whose answers end with the time."""
        connect = partial(_connection, http_class, time.monotonic() + (req.timeout or 0.0))
        return super().do_open(connect, req, **how)


def _connection(kind: Any, deadline: float, host: str, **how: Any) -> http.client.HTTPConnection:
    connection: http.client.HTTPConnection = kind(host, **how)
    connection.response_class = partial(_response, deadline)  # type: ignore[assignment]
    return connection


def _response(deadline: float, sock: socket.socket, *how: Any, **named: Any) -> http.client.HTTPResponse:
    response = http.client.HTTPResponse(sock, *how, **named)
    response.fp = io.BufferedReader(_TimedBytes(sock, response.fp.detach(), deadline))
    return response


class _TimedBytes(io.RawIOBase):
    """What a socket says until the deadline, by the monotonic clock."""

    def __init__(self, sock: socket.socket, said: io.RawIOBase, deadline: float) -> None:
        self.sock, self.said, self.deadline = sock, said, deadline

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what is there. Raises TimeoutError when the time is over."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time for a whole answer is over")
        self.sock.settimeout(left)
        return self.said.readinto(buffer)

    def close(self) -> None:
        """Let go of the socket."""
        self.said.close()
        super().close()


def _moment(value: object) -> str:
    """Return a moment as the API reads it. Raises ValueError, TypeError for what JSON has no form of."""
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return value.isoformat()
    if isinstance(value, date):
        came = f"came {value.isoformat()}, which has none"
        raise ValueError(f"event_time: expected a datetime with a time zone (like datetime.now(UTC)), {came}.")
    raise TypeError(f"expected text, numbers, lists and mappings, came {type(value).__name__}: {value!r}"[:300])


def _authorization(api_key: str | None) -> dict[str, str]:
    """Return the header with the key. Raises ValueError, which does not repeat the key, where it can be none."""
    if api_key is None:
        return {}
    key = api_key.strip()  # as it is read from a file
    if not key or not key.isascii() or not key.isprintable():
        raise ValueError("api_key: expected a key in one line of ASCII, as `aisle key new` prints it; None for none.")
    return {"Authorization": f"Bearer {key}"}


def _understood(said: Any, read: Callable[[Any], Answer]) -> Answer:
    try:
        return read(said)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"what came is no answer of Aisle's ({type(error).__name__}: {error})") from error


def _pause(attempt: int) -> float:
    """Twice as long each time, and never quite the same for two callers (full jitter)."""
    return float(random.uniform(0, min(LONGEST_PAUSE, 0.1 * 2**attempt)))


def _asked_pause(retry_after: str | None, attempt: int) -> float:
    return min(LONGEST_PAUSE, float(retry_after)) if retry_after and retry_after.isdecimal() else _pause(attempt)


def _problem(error: urllib.error.HTTPError) -> Mapping[str, Any]:
    found = None
    with suppress(OSError, ValueError, http.client.HTTPException):
        found = json.load(error)
    if error.code in range(300, 400):
        elsewhere = error.headers.get("Location", "elsewhere")
        return {"title": error.reason, "detail": f"The server sends on to {elsewhere}, which is not followed; see url."}
    return found if isinstance(found, dict) else {"title": error.reason}


def _field_errors(found: object) -> tuple[tuple[str, str], ...]:
    """Return pointer and detail of each wrong field; what a proxy in between calls errors has neither."""
    return tuple(
        (str(each["pointer"]), str(each["detail"]))
        for each in (found if isinstance(found, list) else ())
        if isinstance(each, dict) and {"pointer", "detail"} <= each.keys()
    )


def _receipt(said: Mapping[str, Any]) -> Receipt:
    accepted, duplicates, updated = (int(said[name]) for name in ("accepted", "duplicates", "updated_users"))
    return Receipt(accepted, duplicates, updated, tuple(said["event_ids"]), tuple(said["notes"]))


def _slate(said: Mapping[str, Any]) -> Slate:
    return Slate(
        release_id=said["release_id"],
        source=said["source"],
        user=said["user"],
        as_of=datetime.fromisoformat(said["as_of"]),
        items=tuple(map(_item, said["slate"])),
        notes=tuple(said["notes"]),
        rules_id=said["rules_id"],
        exploration_seed=said["exploration_seed"],
        arm=(said.get("experiment") or {}).get("arm"),
    )


def _item(said: Mapping[str, Any]) -> SlateItem:
    known = {name: said[name] for name in SlateItem.__dataclass_fields__ if name not in ("reason", "sources")}
    reason = said["reason"]
    because = Reason(reason["kind"], reason["text"], tuple(reason["because"]))
    return SlateItem(**known, reason=because, sources=tuple(said["sources"]))
