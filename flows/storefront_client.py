"""Ask the running serving API over HTTP, as a shop would."""

import json
import time
import urllib.request
from typing import Any
from urllib.error import HTTPError, URLError

ANSWER_SECONDS = 30
POLL_SECONDS = 0.5


class ServingUnreachable(RuntimeError):
    """The serving API does not answer, or not from the release that was expected."""


class NoServing(ServingUnreachable):
    """Nobody answers at the address."""


def ask_for_slate(serving_url: str, user: dict[str, str], k: int, api_key: str | None = None) -> dict[str, Any]:
    """Return the slate of one user; `user` holds `user_id` or `pseudonym`. Raises ServingUnreachable."""
    return _ask(f"{serving_url}/v1/recommendations", {**user, "k": k}, api_key)


def push_event(serving_url: str, event: dict[str, Any], api_key: str | None = None) -> dict[str, Any]:
    """Tell the API of one event; return its receipt. Raises ServingUnreachable."""
    return _ask(f"{serving_url}/v1/events", {"events": [event]}, api_key)


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


def _ask(url: str, question: dict[str, Any] | None = None, api_key: str | None = None) -> dict[str, Any]:
    body = None if question is None else json.dumps(question).encode()
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    if api_key is not None:
        request.add_header("Authorization", f"Bearer {api_key}")
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            said: dict[str, Any] = json.load(answer)
    except HTTPError as error:
        raise ServingUnreachable(f"{url} answered {error.code}: {error.read().decode(errors='replace')}") from error
    except (URLError, OSError) as error:
        cause = error.reason if isinstance(error, URLError) else error
        reason = (cause.strerror if isinstance(cause, OSError) else None) or str(cause)
        raise NoServing(
            f"no serving API answers at {url.partition('/v1/')[0]} ({reason.lower()}). "
            "Start it: aisle up, or aisle serve."
        ) from error
    return said
