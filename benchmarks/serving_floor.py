"""The floor of the serving benchmark: the bare feature read, the bare matrix product, the top-k."""

import os
import random
import time

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.serving_shop import WIDTH, ShopSize, pseudonym_of, read_store
from flows.settings import Settings

K = 10
CORE = 0


def floor_ms(settings: Settings, size: ShopSize, seconds: float) -> tuple[float, float]:
    """Return p50 and p99 in ms over `seconds` on the server's core: no HTTP, no model but one product, no answer."""
    generator, users = np.random.default_rng(size.seed), random.Random(size.seed)
    items = generator.normal(size=(size.items + 1, WIDTH)).astype(np.float32)
    user = generator.normal(size=WIDTH).astype(np.float32)
    store, taken = read_store(settings), []
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {CORE})
    try:
        with threadpool_limits(1):
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                start = time.perf_counter()
                store.read((pseudonym_of(users.randrange(size.users)),))
                scores = items @ user
                best = np.argpartition(scores, -K)[-K:]
                best[np.argsort(-scores[best])]
                taken.append(time.perf_counter() - start)
    finally:
        os.sched_setaffinity(0, before)
    taken.sort()
    return taken[len(taken) // 2] * 1e3, taken[len(taken) * 99 // 100] * 1e3
