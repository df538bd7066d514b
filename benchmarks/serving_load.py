"""The load of the serving benchmark: `python -m benchmarks.serving_load PORT SECONDS RATE USERS SEED`.

RATE 0 keeps 32 connections busy and finds the throughput; any other RATE sends so many requests a second at random
moments, whether or not answers came, and counts each one's time from the moment it was due. One JSON line comes out.
"""

import asyncio
import json
import random
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import uvloop

CONNECTIONS = 32
OPEN_CONNECTIONS = 128
#: Seconds of load before the measured ones.
WARM_UP = 1.0
TIMER_ERROR = 0.002


@dataclass
class Load:
    """What is sent and what came of it: (moment of the answer, seconds it took), and answers that were not 200."""

    port: int
    users: int
    random: random.Random
    answers: list[tuple[float, float]] = field(default_factory=list)
    failures: int = 0


class Connection(asyncio.Protocol):
    """One kept HTTP connection that asks one question at a time; `done` is called after each answer."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.buffer = b""
        self.due = 0.0
        self.done = self._nothing

    def _nothing(self, connection: "Connection") -> None:
        return

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to the server."""
        self.transport: Any = transport

    def ask(self, due: float) -> None:
        """Send one question that was due at a moment."""
        self.due = due
        user = self.load.random.randrange(self.load.users)
        body = b'{"pseudonym": "u_%024x", "k": 10}' % user
        self.transport.write(
            b"POST /v1/recommendations HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )

    def data_received(self, data: bytes) -> None:
        """Count the answer once it is whole."""
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        now = time.perf_counter()
        self.load.answers.append((now, now - self.due))
        self.load.failures += not (self.buffer.startswith(b"HTTP/1.1 200") and b'"score"' in body)
        self.buffer = b""
        self.done(self)


async def saturate(load: Load, seconds: float) -> None:
    """Keep every connection busy for so long."""
    connections = await _connect(load, CONNECTIONS)
    until = time.perf_counter() + WARM_UP + seconds

    def again(connection: Connection) -> None:
        if time.perf_counter() < until:
            connection.ask(time.perf_counter())

    for connection in connections:
        connection.done = again
        again(connection)
    await asyncio.sleep(WARM_UP + seconds + 0.2)


async def at_rate(load: Load, seconds: float, rate: float) -> None:
    """Send `rate` requests a second at random moments (Poisson); a request waits when no connection is free."""
    # They take turns, and a server closes one that says nothing for five seconds: at a low rate there are fewer.
    free = deque(await _connect(load, min(OPEN_CONNECTIONS, max(4, int(2 * rate)))))
    waiting: deque[float] = deque()

    def answered(connection: Connection) -> None:
        if waiting:
            connection.ask(waiting.popleft())
        else:
            free.append(connection)

    for connection in free:
        connection.done = answered
    due = time.perf_counter()
    until = due + WARM_UP + seconds
    while due < until:
        due += load.random.expovariate(rate)
        while (pause := due - time.perf_counter()) > 0:
            # A timer is late by a millisecond or two, so the last of the way is walked, answers being read meanwhile.
            await asyncio.sleep(pause - TIMER_ERROR if pause > 2 * TIMER_ERROR else 0)
        if free:
            free.popleft().ask(due)
        else:
            waiting.append(due)
    await asyncio.sleep(1)


async def _connect(load: Load, count: int) -> list[Connection]:
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(lambda: Connection(load), "127.0.0.1", load.port) for _ in range(count)]
    return [protocol for _, protocol in made]


def main() -> None:
    """Load one server and print what it did."""
    port, seconds, rate, users, seed = sys.argv[1:]
    load = Load(int(port), int(users), random.Random(int(seed)))
    started = time.perf_counter()
    work = saturate(load, float(seconds)) if float(rate) == 0 else at_rate(load, float(seconds), float(rate))
    uvloop.run(work)
    measured = sorted(took for moment, took in load.answers if 0 <= moment - started - WARM_UP <= float(seconds))
    figures = {
        "answers": len(measured),
        "all_answers": len(load.answers),
        "failures": load.failures,
        "rate": len(measured) / float(seconds),
        "p50_ms": measured[len(measured) // 2] * 1e3 if measured else None,
        "p99_ms": measured[len(measured) * 99 // 100] * 1e3 if measured else None,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
