"""What the soak does to a running server, each in its own thread: load, swaps, a store that dies, a look at memory."""

import http.client
import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psutil
from hypothesis import HealthCheck, Phase, given, seed, settings

from benchmarks.generated_requests import Request, generated_requests
from benchmarks.serving_shop import ShopSize, item_id, pseudonym_of
from flows.releases import promote
from flows.settings import Settings

DOWN_SECONDS = 5
GENERATED_AT_ONCE = 100
EVENT_TYPES = ("view", "add_to_cart", "purchase", "like")


@dataclass
class Soak:
    """What has been seen: answers by (who asked, path, status; 0 is no answer), acknowledged event ids, (time, RSS)."""

    settings: Settings
    size: ShopSize
    answers: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    acknowledged: list[str] = field(default_factory=list)
    memory: list[tuple[float, int]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    stopping: threading.Event = field(default_factory=threading.Event)
    writing: threading.Lock = field(default_factory=threading.Lock)


def send_generated(soak: Soak, number: int) -> None:
    """Send a few hundred generated requests, another few hundred for each number."""
    strategy = generated_requests(
        [item_id(index) for index in range(1, 40)], [pseudonym_of(user) for user in range(soak.size.users)]
    )
    connection = _connect(soak.settings)

    @seed(number)
    @settings(
        max_examples=GENERATED_AT_ONCE,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def send(request: Request) -> None:
        path, body = request
        soak.counts["generated"] += 1
        _note(soak, "generated", path, *_ask(connection, path, body))

    send()
    connection.close()


def mixed_load(soak: Soak, rate: float) -> None:
    """Ask as a shop does, `rate` times a second: slates, events, similar items, batches, the page."""
    choose, connection = random.Random(soak.size.seed), _connect(soak.settings)
    due = time.monotonic()
    while not soak.stopping.is_set():
        due = max(due + choose.expovariate(rate), time.monotonic() - 1)
        time.sleep(max(0.0, due - time.monotonic()))
        path, body = _shop_request(choose, soak.size)
        _note(soak, "shopper", path, *_ask(connection, path, body))


def swap_releases(soak: Soak, seconds: float, releases: tuple[str, str]) -> None:
    """Make the other release champion every so many seconds."""
    while not soak.stopping.wait(seconds):
        promote(soak.settings, releases[soak.counts["swaps"] % 2])
        soak.counts["swaps"] += 1


def kill_store(soak: Soak, seconds: float, kill: Callable[[], None], start: Callable[[], None]) -> None:
    """Kill the online store every so many seconds; it comes back after a few."""
    while not soak.stopping.wait(seconds):
        kill()
        soak.counts["store_deaths"] += 1
        time.sleep(DOWN_SECONDS)
        start()


def watch_memory(soak: Soak, server: psutil.Popen) -> None:
    """Note the server's resident memory every second."""
    while not soak.stopping.wait(1.0):
        with suppress(psutil.Error):
            soak.memory.append((time.monotonic(), server.memory_info().rss))


def _shop_request(choose: random.Random, size: ShopSize) -> Request:
    user = {"pseudonym": pseudonym_of(choose.randrange(size.users))}
    item = item_id(choose.randint(1, size.items))
    draw = choose.random()
    if draw < 0.6:
        return "/v1/recommendations", {**user, "k": 10}
    if draw < 0.9:
        event = {**user, "event_id": uuid.uuid4().hex, "item_id": item, "event_type": choose.choice(EVENT_TYPES)}
        return "/v1/events", {"events": [event]}
    if draw < 0.95:
        return "/v1/similar-items", {"item_id": item, "k": 5}
    if draw < 0.97:
        users = [pseudonym_of(choose.randrange(size.users)) for _ in range(20)]
        return "/v1/recommendations/batch", {"pseudonyms": users, "k": 5}
    return f"/?user={user['pseudonym']}", None


def _note(soak: Soak, who: str, path: str, status: int, said: bytes) -> None:
    with soak.writing:
        soak.answers[who, path.partition("?")[0], status] += 1
        if status == 200 and path == "/v1/events":
            soak.acknowledged += json.loads(said)["event_ids"]


def _connect(where: Settings) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(where.services.serving_host, where.services.serving_port, timeout=30)


def _ask(connection: http.client.HTTPConnection, path: str, body: Any) -> tuple[int, bytes]:
    """Return status and answer, 0 where none came; a kept connection that the server has closed is opened once more."""
    page = path.startswith("/?")
    content = None if page else json.dumps(body).encode("utf-8", "surrogatepass")
    for _ in range(2):
        try:
            connection.request("GET" if page else "POST", path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (http.client.HTTPException, OSError):
            connection.close()
    return 0, b""
