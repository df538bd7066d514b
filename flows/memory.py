"""How much memory a run takes at its peak: this process, what it started, and the services, added up."""

import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

import psutil

SAMPLE_SECONDS = 0.5


class MemoryWatch:
    """Samples resident memory in the background while it is open: `with MemoryWatch(pids) as watch: ...`.

    `pids` gives the ids of other processes to count (the services); `peak_bytes` is the largest sum seen. Pages that
    processes share are counted once a process, so that the true figure is a little lower.
    """

    def __init__(self, pids: Callable[[], list[int]] = list) -> None:
        self.peak_bytes = 0
        self._pids = pids
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-watch", daemon=True)

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(SAMPLE_SECONDS):
            self.peak_bytes = max(self.peak_bytes, resident_bytes(self._pids()))


def resident_bytes(pids: list[int]) -> int:
    """Resident memory now of this process, the processes `pids`, and all that they started."""
    family: dict[int, psutil.Process] = {}
    for root in (psutil.Process(), *(psutil.Process(pid) for pid in pids if psutil.pid_exists(pid))):
        with suppress(psutil.NoSuchProcess):
            family |= {each.pid: each for each in (root, *root.children(recursive=True))}
    total = 0
    for each in family.values():
        with suppress(psutil.NoSuchProcess):
            total += each.memory_info().rss
    return total
