"""The peak of resident memory of one piece of work, where the kernel lets a process forget its peak before it."""

import re
import resource
from pathlib import Path

_FORGET, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def forget_peak() -> bool:
    """Let the peak begin anew at what is resident now; False where that cannot be done (no Linux, no right)."""
    try:
        _FORGET.write_text("5")
    except OSError:
        return False
    return True


def peak_mb() -> float:
    """Return the peak since it was forgotten, or that of the whole process, in MB."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())
    except OSError:
        found = None
    return (int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024
