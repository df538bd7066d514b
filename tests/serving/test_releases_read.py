"""What is not exactly the release that its manifest describes is not used."""

import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_repo.features import KNOWLEDGE_NAME
from flows.object_client import object_client
from flows.release_signatures import signature_of
from flows.settings import Settings as FlowSettings
from flows.settings import public_key_of
from serving.online_rows import OnlineRows, OnlineStoreUnavailable
from serving.release import ReleaseRejected, load_release
from serving.release_store import Pointer, fetch_release, parse_pointer, verify_folder
from tests.serving.conftest import own_settings
from tests.serving.tiny_shop import COUNT, ITEMS, PUBLIC_KEY, SIGNING_KEY, manifest, publish

FIRST = "r20180101-first"
KEYS = (PUBLIC_KEY,)
FUNCTION_SCOPED = [HealthCheck.function_scoped_fixture]


def without_online(_: Path) -> OnlineRows:
    raise OnlineStoreUnavailable("not in this test")


def pointer_to(folder: Path) -> Pointer:
    return Pointer(FIRST, hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest())


@settings(max_examples=40, deadline=None, suppress_health_check=FUNCTION_SCOPED)
@given(st.data())
def test_one_changed_byte_or_a_cut_end_of_any_file_is_noticed(shop: Path, data: st.DataObject):
    folder = shop / FIRST
    pointer = pointer_to(folder)
    verify_folder(folder, pointer, KEYS)
    path = folder / data.draw(st.sampled_from(sorted(path.name for path in folder.iterdir())))
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
    path.write_bytes(data.draw(st.sampled_from([changed, whole[:place], whole + b"x"])))
    try:
        with pytest.raises(ReleaseRejected):
            verify_folder(folder, pointer, KEYS)
    finally:
        path.write_bytes(whole)


def test_what_training_alone_reads_is_not_fetched(object_store: FlowSettings, shop: Path, tmp_path: Path):
    settings, folder = own_settings(object_store, tmp_path, "knowledge"), shop / FIRST
    (folder / KNOWLEDGE_NAME).write_bytes(b"k" * 10_000_000)
    (folder / "manifest.json").unlink()
    content = json.dumps(manifest(folder, FIRST)).encode()
    (folder / "manifest.json").write_bytes(content)
    (folder / "manifest.sig").write_bytes(signature_of(content, SIGNING_KEY))
    assert KNOWLEDGE_NAME in json.loads(content)["files"]
    client, bucket, pointer = object_client(settings), settings.object_store.bucket, pointer_to(folder)
    publish(client, bucket, folder, pointer.manifest_sha256)
    fetched = fetch_release(client, bucket, pointer, tmp_path / "cache", KEYS, 5_000_000)
    assert {path.name for path in fetched.iterdir()} == {path.name for path in folder.iterdir()} - {KNOWLEDGE_NAME}
    assert load_release(fetched, without_online).release_id == FIRST
    verify_folder(fetched, pointer, KEYS)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"release_id": "a"}', b'{"release_id": "../../etc", "manifest_sha256": "a"}', b"\xff\xfe"],
)
def test_a_pointer_that_is_no_pointer_is_refused(content: bytes):
    with pytest.raises(ReleaseRejected):
        parse_pointer(content)


def test_a_manifest_that_names_a_file_outside_its_folder_is_refused(shop: Path):
    folder = shop / FIRST
    described = json.loads((folder / "manifest.json").read_text())
    described["files"]["../model.onnx"] = {"size": 1, "sha256": "a"}
    (folder / "manifest.json").write_text(json.dumps(described))
    (folder / "manifest.sig").write_bytes(signature_of((folder / "manifest.json").read_bytes(), SIGNING_KEY))
    with pytest.raises(ReleaseRejected, match="plain file names"):
        verify_folder(folder, pointer_to(folder), KEYS)


def _no_items(folder: Path) -> None:
    with gzip.open(folder / "items.jsonl.gz", "wt") as lines:
        lines.writelines(json.dumps({**item, "available": False}) + "\n" for item in ITEMS)


def _other_order(folder: Path) -> None:
    with gzip.open(folder / "items.jsonl.gz", "wt") as lines:
        lines.writelines(json.dumps(item) + "\n" for item in reversed(ITEMS))


def _twice(folder: Path) -> None:
    with gzip.open(folder / "items.jsonl.gz", "wt") as lines:
        lines.writelines(json.dumps(item) + "\n" for item in [*ITEMS, ITEMS[0]])


def _other_schema(folder: Path) -> None:
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"schema": 1', '"schema": 99'))


BREAKAGES = {
    "a model that is no model": lambda folder: (folder / "model.onnx").write_bytes(b"no model"),
    "a short table": lambda folder: np.save(folder / "popularity.npy", np.zeros(COUNT, np.float32)),
    "numbers that are none": lambda folder: np.save(folder / "vectors.npy", np.full((COUNT + 1, 2), np.nan)),
    "an index outside": lambda folder: np.savez(
        folder / "neighbours.npz", items=np.full((COUNT + 1, 20), 999), scores=np.zeros((COUNT + 1, 20))
    ),
    "a pickle": lambda folder: np.save(folder / "popularity.npy", np.array([{}] * (COUNT + 1)), allow_pickle=True),
    "nothing to sell": _no_items,
    "items in another order": _other_order,
    "an item twice": _twice,
    "another schema": _other_schema,
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_release_that_does_not_fit_together_is_refused(shop: Path, breakage: str):
    folder = shop / FIRST
    load_release(folder, without_online)
    BREAKAGES[breakage](folder)
    with pytest.raises(ReleaseRejected):
        load_release(folder, without_online)


def test_a_release_without_an_online_store_still_loads(shop: Path):
    assert load_release(shop / FIRST, without_online).online is None


def test_the_manifest_of_the_tests_describes_its_folder(shop: Path):
    folder = shop / FIRST
    described = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").unlink()
    assert manifest(folder, FIRST) == described


SIGNATURES = {
    "no signature": (lambda manifest: None, "expected a signed manifest"),
    "another key": (lambda manifest: signature_of(manifest, "08" * 32), "of the key"),
    "another manifest": (lambda manifest: signature_of(manifest + b" ", SIGNING_KEY), "is not of this manifest"),
    "no JSON": (lambda manifest: b"signed, honestly", "expected a signature"),
    "another algorithm": (
        lambda manifest: signature_of(manifest, SIGNING_KEY).replace(b"Ed25519", b"none"),
        "expected an Ed25519 signature",
    ),
    "the right name on another key's work": (
        lambda manifest: signature_of(manifest, "08" * 32).replace(public_key_of("08" * 32).encode(), KEYS[0].encode()),
        "is not of this manifest",
    ),
}


@pytest.mark.parametrize("forgery", SIGNATURES)
def test_a_manifest_that_we_did_not_sign_is_refused(shop: Path, forgery: str):
    folder = shop / FIRST
    make, reason = SIGNATURES[forgery]
    signature = make((folder / "manifest.json").read_bytes())
    (folder / "manifest.sig").unlink()
    if signature is not None:
        (folder / "manifest.sig").write_bytes(signature)
    with pytest.raises(ReleaseRejected, match=reason):
        verify_folder(folder, pointer_to(folder), KEYS)


def test_while_a_key_is_being_replaced_both_are_taken(shop: Path):
    folder = shop / FIRST
    verify_folder(folder, pointer_to(folder), (public_key_of("08" * 32), PUBLIC_KEY))
