"""Ask the running serving API over HTTP, as a shop would."""

import http.client
import json
import time
import urllib.request
from typing import Any
from urllib.error import HTTPError, URLError

from feature_repo.prices import price_digits

ANSWER_SECONDS = 30
POLL_SECONDS = 0.5
#: What every slate has.
SLATE_PARTS = {"release_id", "source", "user", "as_of", "slate", "notes"}


class ServingUnreachable(RuntimeError):
    """The serving API does not answer, or not from the release that was expected."""


class NoServing(ServingUnreachable):
    """Nobody answers at the address."""


def ask_for_slate(serving_url: str, user: dict[str, str], k: int, api_key: str | None = None) -> dict[str, Any]:
    """Return the slate of one user; `user` holds `user_id` or `pseudonym`. Raises ServingUnreachable."""
    url = f"{serving_url}/v1/recommendations"
    answer = _ask(url, {**user, "k": k}, api_key)
    if not answer.keys() >= SLATE_PARTS:
        raise ServingUnreachable(f"{url} answered something else than a slate; is it Aisle's serving API?")
    return answer


def push_event(serving_url: str, event: dict[str, Any], api_key: str | None = None) -> dict[str, Any]:
    """Tell the API of one event; return its receipt. Raises ServingUnreachable."""
    return _ask(f"{serving_url}/v1/events", {"events": [event]}, api_key)


def price_of(item: dict[str, Any]) -> str:
    """Return an item's price as a shopper reads it; nothing where there is none."""
    amount = price_digits(item["price"], item["currency"])
    return f"{amount} {item['currency'] or ''}".strip() if amount else ""


def wait_for_release(serving_url: str, release_id: str, seconds: float) -> None:
    """Return when the API answers from `release_id`; it looks for a new one every few seconds.

    Raises ServingUnreachable when it does not within `seconds`, with what it said last.
    """
    deadline = time.monotonic() + seconds
    said: object = "nothing"
    while time.monotonic() < deadline:
        try:
            said = _ask(f"{serving_url}/readyz")
            if said["release_id"] == release_id:
                return
        except ServingUnreachable as error:
            said = error
        time.sleep(POLL_SECONDS)
    raise ServingUnreachable(f"Serving did not take release {release_id} within {seconds:.0f} s; it said: {said}")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect as the answer that it is; urllib would take the key along to another server."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none."""
        return


def _told(body: bytes) -> str:
    """What an answer that is none says: a problem document's title, detail and errors, else the text as it came."""
    try:
        problem = json.loads(body)
        errors = (f"{each['pointer']}: {each['detail']}" for each in problem.get("errors", ()))
        return "\n  ".join((f"{problem['title']}. {problem.get('detail', '')}".strip(), *errors))
    except (ValueError, KeyError, TypeError, AttributeError):
        return body.decode(errors="replace")


def _ask(url: str, question: dict[str, Any] | None = None, api_key: str | None = None) -> dict[str, Any]:
    body = None if question is None else json.dumps(question).encode()
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    if api_key is not None:
        request.add_header("Authorization", f"Bearer {_sendable(api_key)}")
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=ANSWER_SECONDS) as answer:
            said = json.load(answer)
    except HTTPError as error:
        raise ServingUnreachable(f"{url} answered {error.code}: {_told(error.read())}") from error
    except (URLError, OSError) as error:
        cause = error.reason if isinstance(error, URLError) else error
        reason = (cause.strerror if isinstance(cause, OSError) else None) or str(cause)
        raise NoServing(
            f"no serving API answers at {url.partition('/v1/')[0]} ({reason.lower()}). "
            "Start it: aisle up, or aisle serve."
        ) from error
    except (ValueError, http.client.HTTPException):
        said = None
    if not isinstance(said, dict):
        raise ServingUnreachable(f"{url} answered something else than JSON of Aisle's; is it the serving API?")
    return said


def _sendable(api_key: str) -> str:
    """Return the key as a header takes it. Raises ServingUnreachable, which does not repeat the key."""
    key = api_key.strip()  # as it is read from a file
    if not key or not key.isascii() or not key.isprintable():
        raise ServingUnreachable("AISLE_API_KEY: expected a key in one line of ASCII, as `aisle key new` prints it.")
    return key
