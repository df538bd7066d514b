"""What a release that goes leaves behind."""

import gc
import subprocess
import sys
import weakref

import pytest

from serving.memory import ARENAS, settle_memory

#: Six threads take memory at once; glibc's own report says from how many regions.
SIX_THREADS = """
import ctypes, sys, threading
from serving.memory import keep_few_arenas
if sys.argv[1] == "few":
    keep_few_arenas()
libc, together = ctypes.CDLL(None), threading.Barrier(6)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
def take():
    together.wait()
    for _ in range(200):
        libc.malloc(50_000)
    together.wait()
threads = [threading.Thread(target=take) for _ in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
out = libc.fopen(b"/dev/stdout", b"w")
libc.malloc_info(0, ctypes.c_void_p(out))
libc.fclose(ctypes.c_void_p(out))
"""


class Held:
    """Something that holds itself, as an open store and its functions do."""

    def __init__(self) -> None:
        self.itself = self


def arenas(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", SIX_THREADS, how], capture_output=True, text=True, check=True)
    return done.stdout.count("<heap nr=")


def test_threads_of_a_server_share_two_regions_of_memory():
    assert arenas("few") <= ARENAS < arenas("as it comes")


@pytest.mark.slow
def test_what_holds_itself_in_a_circle_goes_when_the_next_release_settles():
    thresholds, held = gc.get_threshold(), Held()
    seen = weakref.ref(held)
    try:
        settle_memory()
        del held
        assert seen() is not None
        settle_memory()
        assert seen() is None
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
