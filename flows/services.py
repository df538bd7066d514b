"""What Aisle runs beside the flows: object store, Prefect server, worker, serving. Which they are, and all of them."""

import json
import shutil
import sys
import urllib.request
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from flows.daemons import Daemon, DaemonState, daemon_pid, daemon_state, start_daemon, stop_daemon
from flows.object_server import running_pid, store_folder
from flows.object_store import is_ready, start_object_store, stop_object_store
from flows.settings import Settings, environment_for_children, environment_for_serving

WORK_POOL = "aisle"
WORKER_NAME = "aisle-worker"
#: prefect.yaml stands here; deployments name their code by paths below it.
PROJECT = Path(__file__).parent.parent
#: Started in this order, stopped in the opposite one.
OBJECT_STORE = "object-store"
ALL_SERVICES = (OBJECT_STORE, "prefect", "worker", "serving")


def services(settings: Settings) -> dict[str, Daemon]:
    """The Python services by name, with command and address; the object store is looked after by its own file."""
    return {daemon.name: daemon for daemon in (_prefect(settings), _worker(settings), _serving(settings))}


def start_services(
    settings: Settings, names: Sequence[str] = ALL_SERVICES, tell: Callable[[str], None] = print
) -> None:
    """Start the named services in order, each ready before the next; those that run stay as they are.

    `tell` gets one line a service. Raises DaemonError or ObjectStoreError when one does not start.
    """
    table = services(settings)
    for name in names:
        if name == OBJECT_STORE:
            start_object_store(settings)
            tell(f"Object store: ready at {settings.object_store.endpoint_url}")
            continue
        daemon = table[name]
        environment = environment_for_serving(settings) if name == "serving" else environment_for_children(settings)
        fresh = start_daemon(run_folder(settings), daemon, environment, PROJECT)
        tell(f"{daemon.title}: {'started' if fresh else 'already running'} at {daemon.address}")


def stop_services(settings: Settings, tell: Callable[[str], None] = print) -> int:
    """Stop every service that runs under these settings, the last started first; returns how many were stopped."""
    table = services(settings)
    stopped = [table[name].title for name in reversed(table) if stop_daemon(run_folder(settings), name)]
    if stop_object_store(settings):
        stopped.append("Object store")
    for title in stopped:
        tell(f"{title}: stopped")
    return len(stopped)


def service_states(settings: Settings) -> list[DaemonState]:
    """The state of every service, in starting order."""
    return [
        _object_store_state(settings),
        *(daemon_state(run_folder(settings), daemon) for daemon in services(settings).values()),
    ]


def running_pids(settings: Settings) -> list[int]:
    """Process ids of the services that run on this machine."""
    found = [running_pid(settings), *(daemon_pid(run_folder(settings), name) for name in services(settings))]
    return [pid for pid in found if pid is not None]


def run_folder(settings: Settings) -> Path:
    """Where records and logs of running services are kept."""
    return settings.home / "run"


def _object_store_state(settings: Settings) -> DaemonState:
    return DaemonState(
        name=OBJECT_STORE,
        title="Object store",
        address=settings.object_store.endpoint_url,
        running=is_ready(settings),
        log=store_folder(settings) / "server.log",
    )


def _prefect(settings: Settings) -> Daemon:
    where = settings.services
    return Daemon(
        name="prefect",
        title="Prefect",
        address=where.prefect_api_url.removesuffix("/api"),
        command=(_script("prefect"), "server", "start"),
        ready=lambda _: _answers(f"{where.prefect_api_url}/health"),
        port=where.prefect_port,
        port_variable="AISLE_PREFECT_PORT",
    )


def _worker(settings: Settings) -> Daemon:
    api = settings.services.prefect_api_url
    options = ("--pool", WORK_POOL, "--type", "process", "--name", WORKER_NAME, "--install-policy", "never")
    return Daemon(
        name="worker",
        title="Worker",
        address=f"{api.removesuffix('/api')}/work-pools/work-pool/{WORK_POOL}",
        command=(_script("prefect"), "--no-prompt", "worker", "start", *options),
        ready=lambda started: _worker_reported_since(api, started),
    )


def _serving(settings: Settings) -> Daemon:
    where = settings.services
    return Daemon(
        name="serving",
        title="Serving",
        address=where.serving_url,
        command=(sys.executable, "-m", "serving"),
        ready=lambda _: _answers(f"{where.serving_url}/healthz"),
        port=where.serving_port,
        port_variable="AISLE_SERVING_PORT",
    )


def _worker_reported_since(api: str, started: float) -> bool:
    """Whether the worker has told the server of itself since it was started; an old report may be of its forerunner."""
    request = urllib.request.Request(
        f"{api}/work_pools/{WORK_POOL}/workers/filter", data=b"{}", headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            workers = json.load(answer)
    except OSError:
        return False
    return any(
        worker["name"] == WORKER_NAME and datetime.fromisoformat(worker["last_heartbeat_time"]).timestamp() >= started
        for worker in workers
        if worker.get("last_heartbeat_time")
    )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _script(name: str) -> str:
    """A console script of this environment, whether or not the environment is activated."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise FileNotFoundError(f"The command '{name}' is not in this environment. Run `make install`.")
    return found
