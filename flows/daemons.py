"""Long-running programs that outlive the command which starts them: start, stop, ask.

Each one leads its own session, so that a closed terminal or a full pipe does not end it, and writes to a log file
only, so that `make demo | tee` ends when the demo does. A record (home/run/NAME.json) names the process by its id and
its start time; an id alone can belong to another program after a restart of the machine.
"""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from flows.file_lock import file_lock

POLL_SECONDS = 0.2
STOP_SECONDS = 15
LOG_TAIL_LINES = 25


class DaemonError(RuntimeError):
    """A program did not start or its port is taken; the message says what to do."""


@dataclass(frozen=True)
class Daemon:
    """One program: how it is started, where it answers, and how we know that it is ready (given its start time)."""

    name: str
    title: str
    address: str
    command: tuple[str, ...]
    ready: Callable[[float], bool]
    port: int | None = None
    port_variable: str = ""
    ready_seconds: float = 180


@dataclass(frozen=True)
class DaemonState:
    """What is known of one daemon now."""

    name: str
    title: str
    address: str
    running: bool
    log: Path


def start_daemon(folder: Path, daemon: Daemon, environment: Mapping[str, str], working_folder: Path) -> bool:
    """Start `daemon` and wait until it is ready; False when it runs already.

    Raises DaemonError with the end of its log when it stops or is not ready in time, or when its port is taken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with file_lock(folder / f"{daemon.name}.lock"):
        process = _recorded_process(folder, daemon.name)
        if process is not None:
            _wait_until_ready(folder, daemon, process)
            return False
        _check_port_is_free(daemon)
        with log_path(folder, daemon.name).open("ab") as log:
            child = subprocess.Popen(
                daemon.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=working_folder,
                start_new_session=True,
            )
        process = psutil.Process(child.pid)
        _write_record(folder, daemon, process)
        _wait_until_ready(folder, daemon, process)
        return True


def stop_daemon(folder: Path, name: str) -> bool:
    """Stop a daemon and all that it started; False when it does not run. Asks first, insists after 15 seconds."""
    if not folder.exists():
        return False
    with file_lock(folder / f"{name}.lock"):
        process = _recorded_process(folder, name)
        if process is not None:
            _end(process)
        _record_path(folder, name).unlink(missing_ok=True)
        return process is not None


def daemon_state(folder: Path, daemon: Daemon) -> DaemonState:
    """Whether `daemon` runs and is ready now."""
    process = _recorded_process(folder, daemon.name)
    running = process is not None and daemon.ready(process.create_time())
    return DaemonState(
        name=daemon.name,
        title=daemon.title,
        address=daemon.address,
        running=running,
        log=log_path(folder, daemon.name),
    )


def daemon_pid(folder: Path, name: str) -> int | None:
    """The id of the daemon's process; None when it does not run."""
    process = _recorded_process(folder, name)
    return process.pid if process else None


def log_path(folder: Path, name: str) -> Path:
    """The file that holds what the daemon prints."""
    return folder / f"{name}.log"


def _record_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _write_record(folder: Path, daemon: Daemon, process: psutil.Process) -> None:
    record = {"pid": process.pid, "started": process.create_time(), "address": daemon.address}
    fresh = folder / f"{daemon.name}.json.new"
    fresh.write_text(json.dumps(record))
    fresh.replace(_record_path(folder, daemon.name))


def _recorded_process(folder: Path, name: str) -> psutil.Process | None:
    """The live process of the record; None when there is no record, it ended, or its id belongs to another program."""
    with suppress(FileNotFoundError, psutil.NoSuchProcess):
        record = json.loads(_record_path(folder, name).read_text())
        process = psutil.Process(record["pid"])
        same = abs(process.create_time() - record["started"]) < 1
        if same and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def _wait_until_ready(folder: Path, daemon: Daemon, process: psutil.Process) -> None:
    deadline = time.monotonic() + daemon.ready_seconds
    started = process.create_time()
    while time.monotonic() < deadline:
        if _recorded_process(folder, daemon.name) is None:
            _record_path(folder, daemon.name).unlink(missing_ok=True)
            raise DaemonError(f"{daemon.title} stopped while it started.\n{_log_tail(folder, daemon.name)}")
        if daemon.ready(started):
            return
        time.sleep(POLL_SECONDS)
    _end(process)
    _record_path(folder, daemon.name).unlink(missing_ok=True)
    raise DaemonError(
        f"{daemon.title} was not ready at {daemon.address} after {daemon.ready_seconds:.0f} s, so it was stopped.\n"
        + _log_tail(folder, daemon.name)
    )


def _log_tail(folder: Path, name: str) -> str:
    path = log_path(folder, name)
    lines = path.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    return f"The end of {path}:\n" + "\n".join(f"  {line}" for line in lines)


def _check_port_is_free(daemon: Daemon) -> None:
    if daemon.port is None:
        return
    with suppress(OSError), socket.create_connection(("127.0.0.1", daemon.port), timeout=1):
        raise DaemonError(
            f"{daemon.title} needs port {daemon.port}, but another program listens there. "
            f"Stop that program, or set {daemon.port_variable} to a free port."
        )


def _end(process: psutil.Process) -> None:
    family = [process]
    with suppress(psutil.NoSuchProcess):
        family += process.children(recursive=True)
    for each in family:
        with suppress(psutil.NoSuchProcess):
            each.terminate()
    _, alive = psutil.wait_procs(family, timeout=STOP_SECONDS)
    for each in alive:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(alive, timeout=STOP_SECONDS)
