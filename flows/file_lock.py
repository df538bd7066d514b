"""A lock that is a file: processes of one machine take turns, and who waits can say so. It ends with its process."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def file_lock(path: Path, waiting: Callable[[], object] | None = None) -> Iterator[None]:
    """Hold the lock of a path whose folder is there; where another process has it, call `waiting` once and wait."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is not None:
                waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
