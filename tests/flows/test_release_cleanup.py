"""Clean-up never removes what a pointer, a running server or an audit needs, whenever they begin to need it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from flows import release_cleanup
from flows.champion import read_pointer
from flows.lake import table_uri
from flows.object_client import ObjectMissing, object_client
from flows.release_cleanup import (
    ServerLease,
    audited_releases,
    keep_release,
    let_go,
    plan_cleanup,
    read_leases,
    remove_release,
    remove_void_leases,
)
from flows.release_objects import BrokenRelease, sizes_of
from flows.releases import list_releases, promote, publish, verify_release
from flows.settings import Settings
from tests.flows.test_releases import manifest_of, release_folder


def publish_many(settings: Settings, tmp_path: Path, count: int) -> list[str]:
    """Publish releases one after the other; the oldest first."""
    return [
        publish(settings, release_folder(tmp_path, str(n)), manifest_of(), read_pointer(settings)).release_id
        for n in range(count)
    ]


def forget_pointers_trail(settings: Settings, release_id: str) -> None:
    """Make a release champion as if nothing had been champion before."""
    object_client(settings).delete_object(Bucket=settings.object_store.bucket, Key="champion.json")
    promote(settings, release_id)


def gone(settings: Settings, days: float = 0) -> set[str]:
    return {fate.release_id for fate in plan_cleanup(settings, days, audited_releases(settings)) if not fate.needed}


def test_what_a_pointer_a_server_an_audit_or_a_person_needs_stays_and_the_rest_goes(
    store_settings: Settings, tmp_path: Path
) -> None:
    champion, rollback, served, logged, kept, old = names = publish_many(store_settings, tmp_path, 6)
    forget_pointers_trail(store_settings, rollback)
    promote(store_settings, champion)
    store, bucket = object_client(store_settings), store_settings.object_store.bucket
    store.put_object(Bucket=bucket, Key="leases/host-1.json", Body=f'{{"release_id": "{served}"}}'.encode())
    write_deltalake(table_uri(store_settings, "answers"), pa.table({"release_id": [logged, logged, None]}))
    keep_release(store_settings, kept, "the audit of spring")
    half = "releases/r20170101-half/model.onnx"
    store.put_object(Bucket=bucket, Key=half, Body=b"half")
    assert gone(store_settings, days=1) == set()
    assert gone(store_settings) == {old, "r20170101-half"}
    fates = {fate.release_id: " ".join(fate.needed) for fate in plan_cleanup(store_settings, 0, {logged})}
    reasons = ("champion", "roll-back", "served by host-1", "logged answers", "the audit of spring", "")
    for name, reason in zip(names, reasons, strict=True):
        assert reason in fates[name]
    before = {name: sizes_of(store_settings, name) for name in names if name != old}
    assert all(remove_release(store_settings, name, {logged}) for name in (old, "r20170101-half"))
    assert not any(remove_release(store_settings, name, {logged}) for name in before)
    assert {name: sizes_of(store_settings, name) for name in before} == before
    assert {release.release_id for release in list_releases(store_settings)} == set(before)
    for name in before:
        verify_release(store_settings, name)
    let_go(store_settings, kept)
    assert gone(store_settings) == {kept}


def test_a_server_that_was_not_heard_of_for_a_day_keeps_nothing(store_settings: Settings, monkeypatch: Any) -> None:
    store, bucket = object_client(store_settings), store_settings.object_store.bucket
    store.put_object(Bucket=bucket, Key="leases/host-1.json", Body=b'{"release_id": "r1"}')
    assert read_leases(store_settings)[0].valid
    assert remove_void_leases(store_settings) == 0
    assert not ServerLease("host-1", "r1", timedelta(hours=25)).valid
    monkeypatch.setattr(release_cleanup, "LEASE_HOURS", 0)
    assert remove_void_leases(store_settings) == 1
    assert read_leases(store_settings) == []


def test_a_release_that_becomes_champion_while_it_is_about_to_go_stays(
    store_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promotion between the plan and the removal, and between the mark and the second look at the pointer."""
    wanted, other = publish_many(store_settings, tmp_path, 2)
    forget_pointers_trail(store_settings, other)
    assert gone(store_settings) == {wanted}
    promote(store_settings, wanted)
    assert not remove_release(store_settings, wanted)
    forget_pointers_trail(store_settings, other)
    real = release_cleanup.put_object

    def promoted_meanwhile(settings: Settings, key: str, body: bytes) -> None:
        real(settings, key, body)
        with pytest.raises(BrokenRelease, match="being removed"):
            promote(settings, wanted)

    monkeypatch.setattr(release_cleanup, "put_object", promoted_meanwhile)
    assert remove_release(store_settings, wanted)
    assert read_pointer(store_settings).release_id == other
    verify_release(store_settings, other)


def test_a_removal_that_was_cut_off_is_not_promoted_and_ends_with_the_next_one(
    store_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = publish_many(store_settings, tmp_path, 2)
    forget_pointers_trail(store_settings, new)
    real, left = release_cleanup._delete, iter((True, True, False))

    def cut_off(settings: Settings, key: str) -> None:
        if not next(left):
            raise KeyboardInterrupt
        real(settings, key)

    monkeypatch.setattr(release_cleanup, "_delete", cut_off)
    with pytest.raises(KeyboardInterrupt):
        remove_release(store_settings, old)
    monkeypatch.undo()
    with pytest.raises(ObjectMissing):
        promote(store_settings, old)
    assert gone(store_settings, days=7) == {old}
    assert remove_release(store_settings, old)
    assert sizes_of(store_settings, old) == {}
    with pytest.raises(ObjectMissing, match="no release"):
        keep_release(store_settings, old, "too late")


def test_a_release_that_is_being_removed_does_not_become_the_first_champion_either(
    store_settings: Settings, tmp_path: Path
) -> None:
    (name,) = publish_many(store_settings, tmp_path, 1)
    store, bucket = object_client(store_settings), store_settings.object_store.bucket
    store.delete_object(Bucket=bucket, Key="champion.json")
    store.put_object(Bucket=bucket, Key=f"releases/{name}/removal.json", Body=b"{}")
    with pytest.raises(BrokenRelease, match="is being removed"):
        promote(store_settings, name)
    assert read_pointer(store_settings) is None
