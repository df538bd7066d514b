"""The floor of the serving benchmark: the bare feature read, the bare matrix product, the top-k."""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.serving_shop import WIDTH, ShopSize, pseudonym_of, read_store
from flows.settings import Settings

K = 10
CORE = 0


@dataclass(frozen=True)
class Floor:
    """Times in ms: one question after the other, and with `rate` questions a second coming at random moments."""

    p50_ms: float
    p99_ms: float
    rate: float
    loaded_p50_ms: float
    loaded_p99_ms: float


def measure_floor(settings: Settings, size: ShopSize, seconds: float, rate: float) -> Floor:
    """Measure on the server's core, twice for so long: no HTTP, no model but one product, no answer.

    At a rate a question waits for those before it; its time counts from the moment it was due, as the server's does.
    """
    ask = _question(settings, size)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {CORE})
    try:
        with threadpool_limits(1):
            alone, loaded = _one_by_one(ask, seconds), _at_rate(ask, seconds, rate, random.Random(size.seed))
    finally:
        os.sched_setaffinity(0, before)
    return Floor(*_middle_and_tail(alone), rate, *_middle_and_tail(loaded))


def _question(settings: Settings, size: ShopSize) -> Callable[[], None]:
    generator, users = np.random.default_rng(size.seed), random.Random(size.seed)
    items = generator.normal(size=(size.items + 1, WIDTH)).astype(np.float32)
    user = generator.normal(size=WIDTH).astype(np.float32)
    store = read_store(settings)

    def ask() -> None:
        store.read((pseudonym_of(users.randrange(size.users)),))
        scores = items @ user
        best = np.argpartition(scores, -K)[-K:]
        best[np.argsort(-scores[best])]

    return ask


def _one_by_one(ask: Callable[[], None], seconds: float) -> list[float]:
    taken, until = list[float](), time.perf_counter() + seconds
    while (start := time.perf_counter()) < until:
        ask()
        taken.append(time.perf_counter() - start)
    return taken


def _at_rate(ask: Callable[[], None], seconds: float, rate: float, moments: random.Random) -> list[float]:
    taken, due = list[float](), time.perf_counter()
    until = due + seconds
    while (due := due + moments.expovariate(rate)) < until:
        while time.perf_counter() < due:
            pass
        ask()
        taken.append(time.perf_counter() - due)
    return taken


def _middle_and_tail(taken: list[float]) -> tuple[float, float]:
    taken.sort()
    return taken[len(taken) // 2] * 1e3, taken[len(taken) * 99 // 100] * 1e3
