import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import httpx
import pytest

from feature_repo.store import StoreAddress
from flows.object_client import object_client
from flows.object_store import ensure_bucket
from flows.settings import Settings as FlowSettings
from flows.settings import environment_for_children
from serving.online_features import open_online_features
from serving.release import Release, load_release
from serving.settings import OnlineStoreSettings
from tests.conftest import free_ports, settings_in
from tests.serving import tiny_shop


@dataclass(frozen=True)
class Server:
    """A real server in a process of its own."""

    url: str
    process: subprocess.Popen[bytes]
    home: Path
    settings: FlowSettings


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an online store (registry.db, online.db) and two releases; copy it before you write into it."""
    folder = tmp_path_factory.mktemp("tiny_shop")
    registry, online = folder / "registry.db", folder / "online.db"
    tiny_shop.fill_online_store(StoreAddress(str(registry), "sqlite", str(online), ""))
    for release_id, factor in (("r20180101-first", 1.0), ("r20180101-second", 3.0)):
        sha256 = tiny_shop.write_release(folder / release_id, registry, release_id, factor)
        (folder / f"{release_id}.sha256").write_text(sha256)
    return folder


@pytest.fixture
def shop(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny shop that a test may change."""
    folder = tmp_path / "shop"
    shutil.copytree(tiny_folder, folder)
    return folder


@pytest.fixture
def release(shop: Path) -> Release:
    """The first release, loaded, with its online store."""
    online = OnlineStoreSettings("sqlite", str(shop / "online.db"), "")
    return load_release(shop / "r20180101-first", partial(open_online_features, online))


def publish_tiny(settings: FlowSettings, folder: Path, release_id: str) -> None:
    """Upload one of the tiny shop's releases and make it champion."""
    sha256 = (folder / f"{release_id}.sha256").read_text()
    tiny_shop.publish(object_client(settings), settings.object_store.bucket, folder / release_id, sha256)


@pytest.fixture(scope="session")
def served(object_store: FlowSettings, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests, started before there was any release; then the first one is published."""
    folder = tmp_path_factory.mktemp("served")
    shop = folder / "shop"
    shutil.copytree(tiny_folder, shop)
    settings = own_settings(object_store, folder, "serving-tests")
    with running_server(settings, shop) as server:
        before = httpx.get(f"{server.url}/readyz", trust_env=False)
        assert (before.status_code, before.json()["status"]) == (503, "not ready")
        question = httpx.post(f"{server.url}/v1/recommendations", json={}, trust_env=False)
        assert (question.status_code, question.json()["type"]) == (503, "urn:aisle:problem:no-release")
        assert "No release yet" in httpx.get(server.url, trust_env=False).text
        publish_tiny(settings, tiny_folder, "r20180101-first")
        wait_until(lambda: release_of(server) == "r20180101-first", 20)
        yield server


def own_settings(object_store: FlowSettings, folder: Path, bucket: str) -> FlowSettings:
    """Settings with a home below `folder`, on the session's object store, in a bucket of their own."""
    store = replace(object_store.object_store, bucket=bucket, embedded=False)
    settings = replace(settings_in(folder / "home"), object_store=store)
    ensure_bucket(settings)
    return settings


def release_of(server: Server) -> str | None:
    """The release that the server answers from."""
    release_id: str | None = httpx.get(f"{server.url}/readyz", trust_env=False).json()["release_id"]
    return release_id


@contextmanager
def running_server(settings: FlowSettings, shop: Path, **variables: str) -> Iterator[Server]:
    """`python -m serving` on a free port, over the shop's online store, until the block ends."""
    (port,) = free_ports(1)
    env = {
        **environment_for_children(settings),
        "AISLE_ONLINE_PATH": str(shop / "online.db"),
        "AISLE_PSEUDONYM_KEY": tiny_shop.KEY.decode(),
        "AISLE_RELEASE_PUBLIC_KEY": tiny_shop.PUBLIC_KEY,
        "AISLE_SERVING_PORT": str(port),
        "AISLE_SERVING_POLL_SECONDS": "0.2",
        **variables,
    }
    log = Path(settings.home) / "serving.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen([sys.executable, "-m", "serving"], env=env, stdout=output, stderr=output)
    server = Server(f"http://127.0.0.1:{port}", process, settings.home, settings)
    try:
        wait_until(lambda: answers(f"{server.url}/healthz"), 90, process)
        yield server
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(url, trust_env=False).status_code == 200
    return False


def wait_until(true: Callable[[], bool], seconds: float, process: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return
        assert process is None or process.poll() is None, "the server ended"
        time.sleep(0.05)
    raise AssertionError(f"not true within {seconds} s")
