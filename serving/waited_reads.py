"""Reads of an online store on another machine: in threads, so that others are served meanwhile, and not for long."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from serving.online_rows import OnlineRows, OnlineStoreUnavailable

#: Seconds that a shopper waits for a store, in the queue before it and then for its answer.
PATIENCE = 1.0
#: One waits for the store; the others stand by for when it is stuck in an answer that never ends.
THREADS = 4
Answer = TypeVar("Answer")


def reader_threads() -> ThreadPoolExecutor:
    """Return the threads that wait for a store; none runs before the first read."""
    return ThreadPoolExecutor(THREADS, "online-reads")


async def in_time(reader: ThreadPoolExecutor, online: OnlineRows, read: Callable[[], Answer]) -> Answer:
    """Return what `read` gives: in place where the store is at hand, else in a thread and at most PATIENCE later.

    A read that takes longer is left to itself, and `online` is told. Raises OnlineStoreUnavailable.
    """
    if not online.waits:
        return read()
    try:
        return await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(reader, read), PATIENCE)
    except TimeoutError:
        online.overdue()
        raise OnlineStoreUnavailable(f"the online store did not answer within {PATIENCE:g} s") from None
