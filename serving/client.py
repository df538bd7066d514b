"""A typed client of the API, for a shop's own Python: `Aisle("http://127.0.0.1:8000", key).recommend("1228")`.

Standard library only. A question is asked again when the server does not answer or says that waiting helps (429, 503);
events are safe to send again, because each has an id before it is sent.
"""

import http.client
import json
import random
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

#: Answers after which the same request may be sent again.
_PASSING = (429, 502, 503, 504)
LONGEST_PAUSE = 10.0


class ServerUnreachable(Exception):
    """The server did not answer, however often it was asked."""


class RequestRefused(Exception):
    """The server said no: `status`, and the problem document's `type`, `title`, `detail` and `errors` (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.type = str(problem.get("type", "about:blank"))
        self.title = str(problem.get("title", ""))
        self.detail = str(problem.get("detail", ""))
        self.errors = tuple((str(each["pointer"]), str(each["detail"])) for each in problem.get("errors", []))
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
    """A server and how patiently it is asked: seconds for one answer, and how often again when none comes."""

    url: str
    api_key: str | None = None
    timeout: float = 5.0
    retries: int = 3

    def recommend(self, user_id: str | None = None, k: int = 10, **wishes: Any) -> Slate:
        """Return a user's slate, or an anonymous visitor's; `wishes` are those of the API: exclude, filters, context…

        Raises RequestRefused, ServerUnreachable.
        """
        question = {"k": k, **wishes} | ({} if user_id is None else {"user_id": user_id})
        return _slate(self._ask("/v1/recommendations", question))

    def recommend_many(self, user_ids: Sequence[str], k: int = 10, **wishes: Any) -> list[Slate]:
        """Return the slates of up to 1,000 users, in their order. Raises RequestRefused, ServerUnreachable."""
        question = {"user_ids": list(user_ids), "k": k, **wishes}
        return [_slate(each) for each in self._ask("/v1/recommendations/batch", question)["slates"]]

    def similar(self, item_id: str, k: int = 10, language: str = "en") -> list[SlateItem]:
        """Return items like one item. Raises RequestRefused (404: not in the release), ServerUnreachable."""
        question = {"item_id": item_id, "k": k, "language": language}
        return [_item(each) for each in self._ask("/v1/similar-items", question)["slate"]]

    def push(self, *events: Mapping[str, Any]) -> Receipt:
        """Tell what users did; when this returns it is on disk. Raises RequestRefused, ServerUnreachable.

        An event is a mapping as the API takes it; one without event_id gets one, so that sending again counts once.
        """
        named = [{**event, "event_id": event.get("event_id") or uuid.uuid4().hex} for event in events]
        said = self._ask("/v1/events", {"events": named})
        accepted, duplicates, updated = (int(said[name]) for name in ("accepted", "duplicates", "updated_users"))
        return Receipt(accepted, duplicates, updated, tuple(said["event_ids"]), tuple(said["notes"]))

    def _ask(self, path: str, question: Mapping[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        if self.api_key is not None:
            headers["Authorization"] = f"Bearer {self.api_key}"
        request = urllib.request.Request(self.url.rstrip("/") + path, json.dumps(question).encode(), headers)
        for attempt in range(self.retries + 1):
            last = attempt == self.retries
            try:
                with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if last or error.code not in _PASSING:
                    raise RequestRefused(error.code, _problem(error)) from None
                pause = _asked_pause(error.headers.get("Retry-After"), attempt)
            except (OSError, ValueError, http.client.HTTPException) as error:  # none, or half of an answer
                if last:
                    raise ServerUnreachable(f"{self.url} did not answer {attempt + 1} times: {error}") from error
                pause = _pause(attempt)
            time.sleep(pause)
        raise AssertionError("the loop returns or raises")


def _pause(attempt: int) -> float:
    """Twice as long each time, and never quite the same for two callers (full jitter)."""
    return float(random.uniform(0, min(LONGEST_PAUSE, 0.1 * 2**attempt)))


def _asked_pause(retry_after: str | None, attempt: int) -> float:
    return min(LONGEST_PAUSE, float(retry_after)) if retry_after and retry_after.isdigit() else _pause(attempt)


def _problem(error: urllib.error.HTTPError) -> Mapping[str, Any]:
    try:
        found = json.load(error)
    except (OSError, ValueError, http.client.HTTPException):
        found = None
    return found if isinstance(found, dict) else {"title": error.reason}


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
