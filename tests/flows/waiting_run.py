"""A run beside another one that has the lock which it wants."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest

from flows.file_lock import file_lock


@contextmanager
def waiting_run(lock: Path, logger: str, call: Callable[[], Any]) -> Iterator[Future[Any]]:
    """A run beside one that has the lock, from the moment on at which it has said that it waits."""
    said, handler = threading.Event(), logging.Handler()
    handler.emit = lambda record: said.set() if "waiting" in record.getMessage() else None  # type: ignore[method-assign]
    logging.getLogger(logger).addHandler(handler)
    logging.getLogger(logger).setLevel(logging.INFO)
    try:
        with ThreadPoolExecutor(1) as pool, file_lock(lock, lambda: pytest.fail("nobody else has it")):
            run = pool.submit(copy_context().run, call)
            assert said.wait(60), "it did not wait"
            yield run
    finally:
        logging.getLogger(logger).removeHandler(handler)
