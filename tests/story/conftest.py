"""The planted shop after one whole pipeline run, with the real server answering. Made once a session."""

import json
import shutil
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from flows.object_store import ensure_bucket
from flows.pipeline import pipeline
from flows.releases import read_pointer
from flows.services import start_services, stop_services
from flows.settings import Settings, environment_for_children
from flows.storefront_client import wait_for_release
from tests import planted_shop
from tests.conftest import settings_in


@dataclass(frozen=True)
class Shop:
    """A shop whose pipeline has run and whose server answers."""

    settings: Settings
    mapping: Path
    release_id: str

    def run_pipeline(self) -> None:
        """Run the whole pipeline on this shop, in an environment that is this shop's."""
        run_pipeline(self.settings, self.mapping)

    def ask(self, path: str, question: dict[str, Any]) -> dict[str, Any]:
        """POST a question to the serving API; return its answer."""
        request = urllib.request.Request(
            self.settings.services.serving_url + path,
            data=json.dumps(question).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            answer: dict[str, Any] = json.load(response)
        return answer

    def slate(self, **question: Any) -> list[dict[str, Any]]:
        """The slate of one question."""
        items: list[dict[str, Any]] = self.ask("/v1/recommendations", question)["slate"]
        return items


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory, object_store: Settings, prefect_harness: None) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("story")
    with served_shop(object_store, "story", folder / "home", planted_shop.write_shop(folder / "export")) as served:
        yield served


@contextmanager
def served_shop(object_store: Settings, name: str, home: Path, mapping: Path) -> Iterator[Shop]:
    """Run a shop's pipeline in a home and a bucket of its own, and serve its release while the context lasts."""
    store = object_store.object_store
    settings = settings_in(
        home,
        AISLE_S3_ENDPOINT_URL=store.endpoint_url,
        AISLE_S3_BUCKET=name,
        # Pseudonyms order the users and so the training batches: one key, one result.
        AISLE_PSEUDONYM_KEY="the planted shop's key",
        AISLE_S3_ACCESS_KEY=store.access_key,
        AISLE_S3_SECRET_KEY=store.secret_key,
    )
    ensure_bucket(settings)
    run_pipeline(settings, mapping)
    pointer = read_pointer(settings)
    assert pointer is not None
    start_services(settings, ("serving",))
    try:
        wait_for_release(settings.services.serving_url, pointer.release_id, 60)
        yield Shop(settings, mapping, pointer.release_id)
    finally:
        stop_services(settings)


def run_pipeline(settings: Settings, mapping: Path) -> None:
    """Run the pipeline flow as a process with these settings would; the environment is given back after."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment_for_children(settings).items():
            if name.startswith("AISLE_"):
                patch.setenv(name, value)
        pipeline(str(mapping))


def own_copy(shop: Shop, home: Path, *left_out: str) -> Settings:
    """Copy the shop's home but for some folders, with an empty bucket of its own; return its settings."""
    shutil.copytree(shop.settings.home, home, ignore=shutil.ignore_patterns("run", "serving", *left_out))
    features = replace(
        shop.settings.feature_store,
        offline_path=str(home / "features"),
        registry_path=str(home / "feast" / "registry.db"),
        online_path=str(home / "feast" / "online.db"),
    )
    store = replace(shop.settings.object_store, bucket=f"copy-{time.time_ns()}")
    settings = replace(
        shop.settings, home=home, lake_uri=str(home / "lake"), object_store=store, feature_store=features
    )
    ensure_bucket(settings)
    return settings
