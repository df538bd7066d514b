"""What loading a release leaves behind in the process, tidied up before the first request."""

import ctypes
import gc
from contextlib import suppress

#: Young objects before the collector looks for cycles. Those of requests in hand and of answers not yet logged are some
#: thousands and go by their counts; Python's 700 let it walk over them every ten requests and find nothing.
YOUNG_OBJECTS = 10_000

#: Regions that C code's memory is cut from. glibc gives each thread its own, and each keeps what a release once took.
ARENAS = 2
_M_ARENA_MAX = -8


def keep_few_arenas() -> None:
    """Let all threads share two regions of memory; called before there are any. No effect where there is no glibc.

    Releases are loaded by one thread and used by another: with eight regions swaps grew a server by a tenth in an hour.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS)


def settle_memory() -> None:
    """Give freed memory back to the system, and keep the collector away from what stays.

    Reading a model and 100,000 items frees about 80 MB that glibc would keep for the life of the process. A collection
    that walks over all items takes about 60 ms, in which nobody is answered; frozen objects are not walked over. Those
    of a release that goes are freed by their counts, and what holds itself in a circle when the next one settles.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
