"""Publishing against the real store: one winner, never half a release, the same end after a kill at any write."""

import hashlib
import json
import multiprocessing
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.object_client import ObjectMissing, StoreUnreachable, WriteConflict, object_client
from flows.object_client import _client as kept_client
from flows.object_store import ensure_bucket
from flows.release_objects import describe
from flows.releases import (
    REQUIRED_FILES,
    BrokenRelease,
    fetch_release,
    list_releases,
    promote,
    publish,
    read_manifest,
    read_pointer,
    release_name,
    verify_release,
)
from flows.settings import Settings

#: Writes of one publishing: the six files, gate.json, the manifest, its signature, the pointer.
WRITES = len(REQUIRED_FILES) + 4


def manifest_of(**changes: Any) -> dict[str, Any]:
    manifest = {
        "schema": 1,
        "as_of": "2017-12-25T00:00:00+00:00",
        "source": "planted",
        "currency": "USD",
        "model": {"name": "popularity"},
        "vocabulary_sha256": "0" * 64,
        "features": {"service": "user_v1"},
        "metrics": {},
    }
    return {**manifest, **changes}


def release_folder(parent: Path, content: str) -> Path:
    folder = parent / f"release-{content}"
    folder.mkdir(parents=True)
    for name in (*REQUIRED_FILES, "gate.json"):
        (folder / name).write_bytes(f"{name} of {content}".encode() * 50)
    return folder


def keys(settings: Settings) -> dict[str, bytes]:
    client, bucket = object_client(settings), settings.object_store.bucket
    found = client.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {entry["Key"]: client.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read() for entry in found}


def state(settings: Settings) -> dict[str, Any]:
    """Everything in the bucket but the moments of writing, and the signatures over them."""
    content: dict[str, Any] = keys(settings)
    for key in [key for key in content if key.endswith(".sig")]:
        content[key] = verify_release(settings, key.split("/")[1])["release_id"]
    for key in [key for key in content if key.endswith(".json") and "gate" not in key]:
        content[key] = {k: v for k, v in json.loads(content[key]).items() if k not in ("created_at", "promoted_at")}
        content[key].pop("manifest_sha256", None)
    return content


def other_bucket(settings: Settings) -> Settings:
    """The same store, an empty bucket."""
    bucket = settings.object_store.bucket + "-control"
    other = replace(settings, object_store=replace(settings.object_store, bucket=bucket))
    ensure_bucket(other)
    return other


def assert_whole(settings: Settings) -> str | None:
    """Read the champion as serving does and check every byte; return its id."""
    pointer = read_pointer(settings)
    if pointer is None:
        return None
    manifest = read_manifest(settings, pointer.release_id)
    for name, expected in manifest["files"].items():
        key = f"releases/{pointer.release_id}/{name}"
        body = object_client(settings).get_object(Bucket=settings.object_store.bucket, Key=key)["Body"].read()
        assert {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()} == expected
    return pointer.release_id


def test_publishing_twice_is_publishing_once(store_settings: Settings, tmp_path: Path) -> None:
    folder = release_folder(tmp_path, "a")
    first = publish(store_settings, folder, manifest_of(), None)
    before = keys(store_settings)
    second = publish(store_settings, folder, manifest_of(), read_pointer(store_settings))
    assert first.moved
    assert not second.moved
    assert first.release_id == second.release_id
    assert keys(store_settings) == before
    assert first.release_id.startswith("r20171225-")
    assert assert_whole(store_settings) == first.release_id


def test_a_report_that_changed_does_not_change_the_release_that_is_there(
    store_settings: Settings, tmp_path: Path
) -> None:
    folder = release_folder(tmp_path, "a")
    first = publish(store_settings, folder, manifest_of(), None)
    before = keys(store_settings)
    (folder / "gate.json").write_text("measured again")
    assert publish(store_settings, folder, manifest_of(), None).release_id == first.release_id
    assert keys(store_settings) == before


def test_other_content_is_another_release_and_the_pointer_moves(store_settings: Settings, tmp_path: Path) -> None:
    first = publish(store_settings, release_folder(tmp_path, "a"), manifest_of(), None)
    champion = read_pointer(store_settings)
    second = publish(store_settings, release_folder(tmp_path, "b"), manifest_of(), champion)
    champion = read_pointer(store_settings)
    third = publish(store_settings, release_folder(tmp_path, "c"), manifest_of(currency="EUR"), champion)
    assert len({first.release_id, second.release_id, third.release_id}) == 3
    listed = list_releases(store_settings)
    assert {release.release_id for release in listed} == {first.release_id, second.release_id, third.release_id}
    assert [release.release_id for release in listed if release.champion] == [third.release_id]


def test_of_sixteen_publishers_one_wins_and_the_rest_lose_cleanly(store_settings: Settings, tmp_path: Path) -> None:
    folders = [release_folder(tmp_path, str(number)) for number in range(16)]
    won: list[str] = []
    lost: list[str] = []

    def run(folder: Path) -> None:
        try:
            won.append(publish(store_settings, folder, manifest_of(), None).release_id)
        except WriteConflict as error:
            lost.append(str(error))

    threads = [threading.Thread(target=run, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert len(lost) == 15
    assert all(f"is {won[0]} now" in message and "aisle release promote" in message for message in lost)
    assert assert_whole(store_settings) == won[0]
    assert all(release.manifest is not None for release in list_releases(store_settings))


def test_sixteen_publishers_of_the_same_release_all_succeed(store_settings: Settings, tmp_path: Path) -> None:
    folder = release_folder(tmp_path, "same")
    done = []
    threads = [
        threading.Thread(target=lambda: done.append(publish(store_settings, folder, manifest_of(), None).release_id))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 16
    assert assert_whole(store_settings) == done[0]


def _publish_and_die(settings: Settings, folder: Path, champion: Any, write: int, after: bool) -> None:
    """Publish in a process of its own that gets SIGKILL before or after its n-th write."""
    kept_client.cache_clear()
    client = object_client(settings)
    real, writes = client.put_object, iter(range(1, 100))

    def put_object(**arguments: Any) -> Any:
        number = next(writes)
        if number == write and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = real(**arguments)
        if number == write:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    client.put_object = put_object
    publish(settings, folder, manifest_of(), champion)


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before-the-write", "after-the-write"])
def test_killed_at_any_write_and_run_again_ends_the_same_and_a_reader_never_sees_half(
    store_settings: Settings, tmp_path: Path, after: bool
) -> None:
    old = publish(store_settings, release_folder(tmp_path, "old"), manifest_of(), None).release_id
    champion = read_pointer(store_settings)
    folder = release_folder(tmp_path, "new")
    seen: set[str | None] = set()
    stop = threading.Event()
    failures: list[BaseException] = []

    def read() -> None:
        while not stop.is_set():
            try:
                seen.add(assert_whole(store_settings))
            except BaseException as error:
                failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for write in range(1, WRITES + 1):
        arguments = (store_settings, folder, champion, write, after)
        child = multiprocessing.get_context("fork").Process(target=_publish_and_die, args=arguments)
        child.start()
        child.join(60)
        assert child.exitcode == -signal.SIGKILL
    new = publish(store_settings, folder, manifest_of(), champion).release_id
    stop.set()
    reader.join(30)
    assert failures == []
    assert seen <= {old, new}
    assert assert_whole(store_settings) == new
    undisturbed = other_bucket(store_settings)
    publish(undisturbed, tmp_path / "release-old", manifest_of(), None)
    publish(undisturbed, folder, manifest_of(), read_pointer(undisturbed))
    assert state(store_settings) == state(undisturbed)


def test_a_fetched_release_is_checked_and_a_broken_one_is_not_promoted(
    store_settings: Settings, tmp_path: Path
) -> None:
    first = publish(store_settings, release_folder(tmp_path, "a"), manifest_of(), None).release_id
    second = publish(
        store_settings, release_folder(tmp_path, "b"), manifest_of(), read_pointer(store_settings)
    ).release_id
    folder = fetch_release(store_settings, first, tmp_path / "fetched")
    assert (folder / "model.onnx").read_bytes() == (tmp_path / "release-a" / "model.onnx").read_bytes()
    object_client(store_settings).put_object(
        Bucket=store_settings.object_store.bucket, Key=f"releases/{first}/model.onnx", Body=b"cut"
    )
    with pytest.raises(BrokenRelease, match="not what its manifest says"):
        promote(store_settings, first)
    with pytest.raises(BrokenRelease):
        fetch_release(store_settings, first, tmp_path / "other")
    assert not (tmp_path / "other" / first).exists()
    with pytest.raises(BrokenRelease, match="with other bytes"):
        publish(store_settings, tmp_path / "release-a", manifest_of(), read_pointer(store_settings))
    assert assert_whole(store_settings) == second


def test_promoting_goes_back_and_forward_and_an_unknown_id_is_refused(store_settings: Settings, tmp_path: Path) -> None:
    first = publish(store_settings, release_folder(tmp_path, "a"), manifest_of(), None).release_id
    publish(store_settings, release_folder(tmp_path, "b"), manifest_of(), read_pointer(store_settings))
    assert promote(store_settings, first).moved
    assert not promote(store_settings, first).moved
    assert assert_whole(store_settings) == first
    with pytest.raises(ObjectMissing, match="manifest of release r-unknown"):
        promote(store_settings, "r-unknown")


def test_a_release_without_its_model_is_refused_before_anything_is_written(
    store_settings: Settings, tmp_path: Path
) -> None:
    folder = release_folder(tmp_path, "a")
    (folder / "model.onnx").unlink()
    with pytest.raises(ValueError, match=r"model\.onnx is missing"):
        publish(store_settings, folder, manifest_of(), None)
    assert keys(store_settings) == {}


def test_a_half_published_release_is_listed_as_such(store_settings: Settings, tmp_path: Path) -> None:
    folder = release_folder(tmp_path, "a")
    name = release_name({path.name: describe(path.read_bytes()) for path in folder.iterdir()}, manifest_of())
    object_client(store_settings).put_object(
        Bucket=store_settings.object_store.bucket, Key=f"releases/{name}/model.onnx", Body=b"first file only"
    )
    assert [(release.release_id, release.manifest) for release in list_releases(store_settings)] == [(name, None)]


def test_with_the_store_down_publishing_says_so(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachable, match="does not answer"):
        publish(settings, release_folder(tmp_path, "a"), manifest_of(), None)
