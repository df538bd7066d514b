"""Only what our key signed is promoted, and a person can say again that a release is theirs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from flows.champion import read_pointer
from flows.object_client import ObjectMissing, object_client
from flows.release_objects import BrokenRelease
from flows.release_signatures import problem_of_signature, signature_of
from flows.releases import promote, publish, roll_back, sign_release, verify_release
from flows.settings import Settings, public_key_of
from tests.flows.test_releases import manifest_of, release_folder

OURS, THEIRS = "01" * 32, "02" * 32


def test_a_signature_holds_for_its_bytes_and_its_key_alone() -> None:
    signature = signature_of(b"manifest", OURS)
    assert signature == signature_of(b"manifest", OURS)
    assert problem_of_signature(b"manifest", signature, public_key_of(OURS)) is None
    assert "not of these bytes" in problem_of_signature(b"manifesto", signature, public_key_of(OURS))
    assert "expected the key" in problem_of_signature(b"manifest", signature, public_key_of(THEIRS))
    assert "not signed" in problem_of_signature(b"manifest", None, public_key_of(OURS))
    assert "no signature" in problem_of_signature(b"manifest", b"[]", public_key_of(OURS))


def test_an_unsigned_or_foreign_release_is_not_promoted_until_it_is_signed(
    store_settings: Settings, tmp_path: Path
) -> None:
    old = publish(store_settings, release_folder(tmp_path, "a"), manifest_of(), None).release_id
    new = publish(store_settings, release_folder(tmp_path, "b"), manifest_of(), read_pointer(store_settings)).release_id
    store, bucket = object_client(store_settings), store_settings.object_store.bucket
    store.delete_object(Bucket=bucket, Key=f"releases/{old}/manifest.sig")
    with pytest.raises(BrokenRelease, match=f"not signed.*aisle release sign {old}"):
        promote(store_settings, old)
    sign_release(replace(store_settings, signing_key=THEIRS), old)
    with pytest.raises(BrokenRelease, match="expected the key"):
        promote(store_settings, old)
    assert read_pointer(store_settings).release_id == new
    sign_release(store_settings, old)
    assert promote(store_settings, old).moved


def test_content_under_another_releases_name_is_neither_signed_nor_verified(
    store_settings: Settings, tmp_path: Path
) -> None:
    name = publish(store_settings, release_folder(tmp_path, "a"), manifest_of(), None).release_id
    store, bucket = object_client(store_settings), store_settings.object_store.bucket
    key = f"releases/{name}/manifest.json"
    manifest = json.loads(store.get_object(Bucket=bucket, Key=key)["Body"].read())
    body = json.dumps({**manifest, "currency": "EUR"}).encode()
    store.put_object(Bucket=bucket, Key=key, Body=body)
    with pytest.raises(BrokenRelease, match="under another's name"):
        sign_release(store_settings, name)
    with pytest.raises(BrokenRelease, match="does not describe this release"):
        publish(store_settings, tmp_path / "release-a", manifest_of(), read_pointer(store_settings))
    store.put_object(
        Bucket=bucket, Key=f"releases/{name}/manifest.sig", Body=signature_of(body, store_settings.signing_key)
    )
    with pytest.raises(BrokenRelease, match="under another's name"):
        verify_release(store_settings, name)


def test_rolling_back_goes_back_step_by_step_and_says_when_there_is_nothing_more(
    store_settings: Settings, tmp_path: Path
) -> None:
    a, b, c = (
        publish(store_settings, release_folder(tmp_path, n), manifest_of(), read_pointer(store_settings)).release_id
        for n in "abc"
    )
    assert read_pointer(store_settings).trail == (c, b, a)
    assert roll_back(store_settings).release_id == b
    assert roll_back(store_settings).release_id == a
    with pytest.raises(ObjectMissing, match="no earlier champion"):
        roll_back(store_settings)
    promote(store_settings, c)
    assert read_pointer(store_settings).trail == (c, a)


def test_a_key_that_is_no_key_is_named() -> None:
    with pytest.raises(ValueError, match="non-hexadecimal"):
        public_key_of("zz" * 32)
