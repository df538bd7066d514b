"""What loading a release leaves behind in the process, tidied up before the first request."""

import ctypes
import gc
from contextlib import suppress


def settle_memory() -> None:
    """Give freed memory back to the system, and keep the collector away from what stays.

    Reading a model and 100,000 items frees about 80 MB that glibc would keep for the life of the process. A collection
    that walks over all items takes about 60 ms, in which nobody is answered; frozen objects are not walked over, and
    those of a release that goes are freed by their counts.
    """
    gc.collect()
    gc.freeze()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
