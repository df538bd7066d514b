"""A share of the logged answers, handed to the challenger in a process of its own: no shopper waits for it or sees it.

The thread that writes the answer log offers its lines to a pipe; what finds no room there is dropped and counted.
Another thread takes the comparisons from the challenger's process, logs them (kind `shadows`) and tells the guard.
"""

import fcntl
import logging
import os
import queue
import random
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from feature_repo.experiments import CHALLENGER, CHAMPION, Experiment
from feature_repo.slate_rules import PublishedRules, publication
from serving.experiment_guard import Guard, Tally
from serving.spool import append_lines

LOG = logging.getLogger("serving")
KIND = "shadows"
#: Bytes that may wait for the challenger.
PIPE_BYTES = 1 << 20
#: Comparisons written at once, and how long they wait for others (seconds).
TOGETHER, PAUSE = 200, 0.5
_F_SETPIPE_SZ = 1031


@dataclass
class Shadow:
    """One challenger at work; `dropped` are lines that it was too slow for.

    `rest` is what must go into the pipe before anything else: the end of a line half handed over, and new rules.
    """

    experiment: Experiment
    guard: Guard
    folder: Path
    process: "subprocess.Popen[bytes]"
    dropped: int = 0
    rest: bytes = b""
    found: "queue.Queue[bytes | None]" = field(default_factory=queue.Queue)
    lock: threading.Lock = field(default_factory=threading.Lock)


def start_shadow(experiment: Experiment, guard: Guard, release: Path, log_folder: Path) -> Shadow:
    """Start the challenger of a verified release folder; comparisons go below `log_folder`."""
    command = [sys.executable, "-m", "serving.shadow_answers", str(release)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    os.set_blocking(process.stdin.fileno(), False)
    with suppress(OSError):  # more than an unprivileged process may have: the usual 64 KiB do, too
        fcntl.fcntl(process.stdin.fileno(), _F_SETPIPE_SZ, PIPE_BYTES)
    shadow = Shadow(experiment, guard, log_folder, process)
    for task in (_take, _keep):
        threading.Thread(target=task, args=(shadow,), name=f"shadow{task.__name__}", daemon=True).start()
    return shadow


def stop_shadow(shadow: Shadow) -> None:
    """End the challenger's process."""
    with shadow.lock, suppress(OSError):
        assert shadow.process.stdin is not None
        shadow.process.stdin.close()
    shadow.process.terminate()


def follow_rules(shadow: Shadow, rules: PublishedRules | None) -> None:
    """Let the challenger answer under the shop's rules from here on."""
    body = None if rules is None else orjson.loads(publication(rules.version, rules.rules, rules.published_at)[1])
    with shadow.lock:
        shadow.rest += orjson.dumps({"rules": body}, option=orjson.OPT_APPEND_NEWLINE)


def offer_lines(shadow: Shadow, lines: Sequence[bytes]) -> None:
    """Offer lines of the answer log; a share of them is taken. Never waits, never raises."""
    if shadow.guard.stopped is not None:
        return
    for line in lines:
        if random.random() < shadow.experiment.share and not _hand_over(shadow, line):
            shadow.dropped += 1


def _hand_over(shadow: Shadow, line: bytes) -> bool:
    """Put a whole line into the pipe, or none of it; half a line that found room is finished before the next."""
    with shadow.lock:
        if shadow.rest:
            shadow.rest = shadow.rest[_write(shadow, shadow.rest) :]
        if shadow.rest:
            return False
        written = _write(shadow, line)
        shadow.rest = line[written:] if written else b""
        return written > 0


def _write(shadow: Shadow, content: bytes) -> int:
    assert shadow.process.stdin is not None
    try:
        return os.write(shadow.process.stdin.fileno(), content)
    except (OSError, ValueError):  # full, closed, or nobody there any more
        return 0


def _take(shadow: Shadow) -> None:
    """Read what the challenger says; its end is one of the experiment here, too."""
    assert shadow.process.stdout is not None
    loaded = bool(shadow.process.stdout.readline())
    for line in shadow.process.stdout:
        row = orjson.loads(line)
        slow = 1000 * row["seconds"] > shadow.experiment.bounds.slow_ms
        shadow.guard.note(CHAMPION, Tally(1, fallbacks=int(row["champion_fallback"])))
        shadow.guard.note(CHALLENGER, Tally(1, int(row["error"] is not None), int(slow), int(row["fallback"])))
        row["experiment_id"] = shadow.experiment.experiment_id
        shadow.found.put(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    shadow.found.put(None)
    if shadow.process.wait() not in (0, -15) or not loaded:
        shadow.guard.stopped = shadow.guard.stopped or "errors: the challenger's process ended"


def _keep(shadow: Shadow) -> None:
    """Write comparisons to disk, many at once."""
    ended = False
    while not ended:
        lines = [shadow.found.get()]
        if lines[0] is not None:
            threading.Event().wait(PAUSE)
        while len(lines) < TOGETHER and not shadow.found.empty():
            lines.append(shadow.found.get())
        ended = None in lines
        with suppress(OSError):
            append_lines(shadow.folder, KIND, b"".join(line for line in lines if line is not None))
