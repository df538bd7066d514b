"""The real SeaweedFS: it starts, keeps, refuses, and its errors say what to do."""

import json
import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from flows.object_client import (
    AccessDenied,
    ObjectMissing,
    ObjectStoreError,
    StoreUnreachable,
    WriteConflict,
    WriteRefused,
    WrongCredentials,
    object_client,
    plain_errors,
)
from flows.object_server import spawn_server, store_folder
from flows.object_store import (
    ensure_bucket,
    is_ready,
    put_report,
    start_object_store,
    stop_object_store,
)
from flows.settings import Settings

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def with_keys(settings: Settings, access_key: str, secret_key: str) -> Settings:
    store = replace(settings.object_store, access_key=access_key, secret_key=secret_key)
    return replace(settings, object_store=store)


def put(settings: Settings, key: str, body: bytes, **condition: str) -> str:
    with plain_errors(settings, f"write {key}"):
        answer = object_client(settings).put_object(
            Bucket=settings.object_store.bucket, Key=key, Body=body, **condition
        )
    return answer["ETag"]


def get(settings: Settings, key: str) -> bytes:
    with plain_errors(settings, f"read {key}"):
        return object_client(settings).get_object(Bucket=settings.object_store.bucket, Key=key)["Body"].read()


def test_a_report_can_be_opened_in_a_browser_by_its_address(store_settings: Settings) -> None:
    address = put_report(store_settings, "validation/events.html", "<b>ok</b> ü")
    with DIRECT.open(address) as answer:
        assert answer.read().decode() == "<b>ok</b> ü"
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_an_address_that_was_tampered_with_is_refused(store_settings: Settings) -> None:
    address = put_report(store_settings, "a.html", "a")
    with pytest.raises(urllib.error.HTTPError) as refusal:
        DIRECT.open(address.replace("a.html", "b.html"))
    assert refusal.value.code == 403


@pytest.mark.parametrize(("access_key", "secret_key"), [("aisle", "wrong"), ("nobody", "wrong")])
def test_wrong_credentials_say_which_variables_to_set(
    store_settings: Settings, access_key: str, secret_key: str
) -> None:
    wrong = with_keys(store_settings, access_key, secret_key)
    assert not is_ready(wrong)
    with pytest.raises(WrongCredentials, match="Set AISLE_S3_ACCESS_KEY and AISLE_S3_SECRET_KEY"):
        put_report(wrong, "a.html", "a")


def test_a_server_that_is_down_is_named_with_what_to_do(settings: Settings) -> None:
    assert not is_ready(settings)
    with pytest.raises(StoreUnreachable, match=r"does not answer.*`aisle up`.*AISLE_S3_ENDPOINT_URL"):
        put_report(settings, "a.html", "a")


def test_a_missing_bucket_is_named_with_what_to_do(store_settings: Settings) -> None:
    other = replace(store_settings, object_store=replace(store_settings.object_store, bucket="not-there"))
    with pytest.raises(ObjectMissing, match="AISLE_S3_BUCKET"):
        get(other, "a")


def test_a_conditional_write_that_comes_second_is_refused(store_settings: Settings) -> None:
    first = put(store_settings, "pointer", b"1", IfNoneMatch="*")
    with pytest.raises(WriteConflict, match="another writer changed it first"):
        put(store_settings, "pointer", b"2", IfNoneMatch="*")
    put(store_settings, "pointer", b"2", IfMatch=first)
    with pytest.raises(WriteConflict):
        put(store_settings, "pointer", b"3", IfMatch=first)
    assert get(store_settings, "pointer") == b"2"


def test_of_sixteen_conditional_writers_one_wins(store_settings: Settings) -> None:
    etag = put(store_settings, "pointer", b"start")
    outcomes: list[str] = []

    def write(number: int) -> None:
        try:
            put(store_settings, "pointer", f"writer {number}".encode(), IfMatch=etag)
            outcomes.append("won")
        except WriteConflict:
            outcomes.append("lost")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["lost"] * 15 + ["won"]


def test_making_the_bucket_twice_is_making_it_once(store_settings: Settings) -> None:
    ensure_bucket(store_settings)
    ensure_bucket(store_settings)
    assert is_ready(store_settings)


@pytest.mark.slow
def test_a_second_start_finds_the_first_and_a_kill_loses_no_answered_write(settings: Settings) -> None:
    pid = start_object_store(settings)
    assert start_object_store(settings) == pid
    put(settings, "kept", b"x" * 100_000)
    os.kill(pid, signal.SIGKILL)
    psutil.Process(pid).wait(10)
    assert not is_ready(settings)
    second = start_object_store(settings)
    assert second != pid
    assert get(settings, "kept") == b"x" * 100_000
    assert (store_folder(settings) / "identities.json").stat().st_mode & 0o077 == 0
    assert stop_object_store(settings)
    assert not stop_object_store(settings)
    assert not psutil.pid_exists(second) or psutil.Process(second).status() == psutil.STATUS_ZOMBIE


def test_a_port_taken_by_another_program_is_named(settings: Settings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(settings.object_store.endpoint_url.rsplit(":", 1)[1])))
        other.listen()
        with pytest.raises(ObjectStoreError, match=r"taken by another program.*AISLE_OBJECT_STORE_PORT"):
            start_object_store(settings)


@pytest.mark.slow
def test_a_store_without_space_and_a_reader_without_rights_refuse_writes_in_words(settings: Settings) -> None:
    """A server with one volume that an upload fills up, one who may only read, one with rights in one bucket."""
    _start_small(settings)
    try:
        put(settings, "before", b"kept")
        with pytest.raises(WriteRefused, match=r"may be out of space.*nothing was half-published"):
            _fill(settings)
        assert get(settings, "before") == b"kept"
        reader = with_keys(settings, "reader", "reader-secret")
        assert get(reader, "before") == b"kept"
        with pytest.raises(AccessDenied, match=r"may not do that in bucket 'aisle'.*Give it read, write and list"):
            put(reader, "mine", b"x")
        guest = with_keys(settings, "guest", "guest-secret")
        assert is_ready(guest)
        ensure_bucket(guest)
        with pytest.raises(AccessDenied, match=r"find or create bucket 'other'.*may not do that"):
            ensure_bucket(replace(guest, object_store=replace(guest.object_store, bucket="other")))
    finally:
        stop_object_store(settings)


def _fill(settings: Settings) -> None:
    for number in range(8):
        put(settings, f"big-{number}", os.urandom(2_000_000))
        time.sleep(1)


def _start_small(settings: Settings) -> None:
    folder = store_folder(settings)
    folder.mkdir(parents=True)
    store = settings.object_store
    identities: Path = folder / "two.json"
    rights = {"aisle": ["Admin", "Read", "Write", "List"], "reader": ["Read", "List"]}
    rights["guest"] = ["Read:aisle", "List:aisle"]
    keys = {"aisle": store.secret_key, "reader": "reader-secret", "guest": "guest-secret"}
    content = [
        {"name": name, "credentials": [{"accessKey": name, "secretKey": keys[name]}], "actions": rights[name]}
        for name in rights
    ]
    identities.write_text(json.dumps({"identities": content}))
    spawn_server(
        settings, [f"-s3.config={identities}", "-volume.max=1", "-master.volumeSizeLimitMB=1", "-filer.maxMB=1"]
    )
    deadline = time.monotonic() + 40
    while not is_ready(settings) and time.monotonic() < deadline:
        time.sleep(0.1)
    ensure_bucket(settings)
