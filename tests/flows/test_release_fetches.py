"""Several runs of one machine may want the same release at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flows.releases import fetch_release
from flows.settings import Settings
from tests.flows.test_release_cleanup import publish_many


def test_of_several_that_fetch_a_release_at_once_each_gets_the_whole_folder(
    store_settings: Settings, tmp_path: Path
) -> None:
    (name,) = publish_many(store_settings, tmp_path, 1)
    together = threading.Barrier(6)

    def fetch(_: int) -> Path:
        together.wait()
        return fetch_release(store_settings, name, tmp_path / "fetched")

    with ThreadPoolExecutor(6) as pool:
        folders = set(pool.map(fetch, range(6)))
    assert folders == {tmp_path / "fetched" / name}
    assert (tmp_path / "fetched" / name / "model.onnx").read_bytes() == (tmp_path / "release-0/model.onnx").read_bytes()
