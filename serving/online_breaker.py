"""An online store that fails is left alone for a moment, so that shoppers do not each wait for it (a circuit breaker).

M. Nygard, Release It!, 2007: closed while it answers; open for a pause after a failure, doubled up to a limit by each
failure that follows; one access after the pause tries again. Reads and writes are counted apart: a store that refuses
writes (a full one, a replica) may well be read.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from serving.history import UserRow
from serving.online_rows import BrokenRow, OnlineRows, OnlineStoreUnavailable, OpenOnlineRows

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 4.0
Answer = TypeVar("Answer")


@dataclass
class Breaker:
    """Until when (monotonic seconds) the store is left alone, and how long the next pause is."""

    closed_from: float = 0.0
    pause: float = FIRST_PAUSE


@dataclass(frozen=True)
class Breakers:
    """What is known of one store: one breaker for its reads, one for its writes."""

    reads: Breaker = field(default_factory=Breaker)
    writes: Breaker = field(default_factory=Breaker)


def opened_with_breakers(open_online: OpenOnlineRows, breakers: Breakers, registry_path: Path) -> OnlineRows:
    """Open an online store whose accesses all pass breakers, which outlive it. Raises OnlineStoreUnavailable."""
    online = open_online(registry_path)

    def read_many(users: Sequence[str]) -> list[UserRow | None]:
        return access(breakers.reads, lambda: online.read_many(users))

    def read(user: str) -> UserRow:
        row = read_many([user])[0]
        if row is None:
            raise BrokenRow("the online row of one user does not fit together")
        return row

    return replace(
        online,
        read=read,
        read_many=read_many,
        push=lambda user, fresh, arrived=None: access(breakers.writes, lambda: online.push(user, fresh, arrived)),
        overdue=partial(leave_alone, breakers.reads),
    )


def access(breaker: Breaker, ask: Callable[[], Answer]) -> Answer:
    """Return what `ask` gives, unless the store is being left alone. Raises OnlineStoreUnavailable."""
    started = time.monotonic()
    if started < breaker.closed_from:
        raise OnlineStoreUnavailable("the online store failed a moment ago and is left alone")
    try:
        answer = ask()
    except BrokenRow:
        raise
    except OnlineStoreUnavailable:
        leave_alone(breaker)
        raise
    if breaker.closed_from <= started:  # else others have given it up meanwhile
        breaker.pause = FIRST_PAUSE
    return answer


def leave_alone(breaker: Breaker) -> None:
    """Open the breaker for its next pause; several failures of one moment are one."""
    now = time.monotonic()
    if now >= breaker.closed_from:
        breaker.closed_from = now + breaker.pause
        breaker.pause = min(2 * breaker.pause, LONGEST_PAUSE)
