"""The real parts broken one by one under a real server: a shopper is answered all the same, and never with a 5xx."""

import hashlib
import json
import logging
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.testclient import TestClient

from feature_repo.store import StoreAddress
from flows.object_client import object_client
from flows.release_signatures import signature_of
from flows.settings import Settings as FlowSettings
from serving import recommender, routes
from serving.app import create_app
from serving.metrics import make_metrics
from serving.model_inputs import KnownRow
from serving.recommender import Question, recommend
from serving.release import Release
from serving.settings import load_settings
from tests.serving.conftest import Server, own_settings, publish_tiny, release_of, running_server, wait_until
from tests.serving.tiny_shop import (
    COFFEE,
    KEY,
    MILK,
    PUBLIC_KEY,
    REGULAR,
    SIGNING_KEY,
    fill_online_store,
    manifest,
    point_to,
    publish,
)
from tests.serving.wire import Wire

FIRST = "r20180101-first"
#: Of the Redis server that all tests share, this one is ours.
DATABASE = 7
MODES = ("gone", "hung", "garbage")


@pytest.fixture(scope="module")
def online_wire(redis_url: str) -> Wire:
    return Wire(int(redis_url.rpartition(":")[2]))


@pytest.fixture(scope="module")
def object_wire(object_store: FlowSettings) -> Wire:
    return Wire(urlsplit(object_store.object_store.endpoint_url).port or 0)


@pytest.fixture(scope="module")
def server(
    object_store: FlowSettings,
    object_wire: Wire,
    online_wire: Wire,
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """A server with Redis and the object store behind wires, and a lake that is nowhere."""
    folder = tmp_path_factory.mktemp("broken_parts")
    settings = own_settings(object_store, folder, "broken-parts")
    publish_tiny(settings, tiny_folder, FIRST)
    redis_address = f"127.0.0.1:{online_wire.port},db={DATABASE}"
    fill_online_store(StoreAddress(str(folder / "registry.db"), "redis", "", redis_address))
    wired = replace(settings.object_store, endpoint_url=f"http://127.0.0.1:{object_wire.port}")
    away = {"AISLE_ONLINE_STORE": "redis", "AISLE_REDIS_URL": redis_address, "AISLE_LAKE_URI": "s3://nowhere/lake"}
    with running_server(replace(settings, object_store=wired), tiny_folder, **away) as server:
        wait_until(lambda: release_of(server) == FIRST, 30)
        yield replace(server, settings=settings)


def post(server: Server, path: str, body: dict) -> httpx.Response:
    return httpx.post(f"{server.url}{path}", json=body, trust_env=False, timeout=30)


def slate(server: Server, user: str = "regular") -> dict:
    answer = post(server, "/v1/recommendations", {"user_id": user, "k": 5})
    assert (answer.status_code, len(answer.json()["slate"])) == (200, 5), answer.text
    return answer.json()


def detail(server: Server) -> str | None:
    said: str | None = httpx.get(f"{server.url}/readyz", trust_env=False).json()["detail"]
    return said


def event(number: str) -> dict:
    return {"events": [{"event_id": number, "user_id": "a patient user", "item_id": COFFEE, "event_type": "like"}]}


@pytest.mark.slow
@pytest.mark.parametrize("mode", [*MODES, "drip"])
def test_an_online_store_that_is_broken_costs_the_personal_slate_for_as_long_as_it_is(
    server: Server, online_wire: Wire, mode: str
):
    wait_until(lambda: slate(server)["source"] == "personalised", 20)
    online_wire.switch(mode)
    try:
        started = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: slate(server), range(60)))
        # One question waits for the store at a time, and not every time: 60 would wait for a minute.
        assert time.monotonic() - started < 20
        assert {answer["source"] for answer in answers} == {"popular"}
        assert answers[-1]["notes"] == ["The features of users cannot be read now."]
        receipt = post(server, "/v1/events", event(f"while {mode}"))
        assert (receipt.status_code, receipt.json()["accepted"]) == (200, 1)
        ready = httpx.get(f"{server.url}/readyz", trust_env=False, timeout=30)
        assert (ready.status_code, ready.json()["online_store"]) == (200, "unavailable")
    finally:
        online_wire.switch("whole")
    wait_until(lambda: slate(server)["source"] == "personalised", 20)


def test_shoppers_who_have_queued_too_long_for_a_slow_online_store_get_what_is_popular(
    server: Server, online_wire: Wire
):
    wait_until(lambda: slate(server)["source"] == "personalised", 20)
    online_wire.switch("slow")
    try:
        with httpx.Client(trust_env=False, timeout=60) as client, ThreadPoolExecutor(100) as pool:
            ask = partial(client.post, f"{server.url}/v1/recommendations", json={"user_id": "regular", "k": 5})
            answers = [answer.json() for answer in pool.map(lambda _: ask(), range(100))]
        # Eight are read together, so that the last of a hundred would wait for nine seconds.
        assert {len(answer["slate"]) for answer in answers} == {5}
        assert [answer["source"] for answer in answers].count("popular") > 20
    finally:
        online_wire.switch("whole")
    wait_until(lambda: slate(server)["source"] == "personalised", 20)


@pytest.mark.parametrize("mode", MODES)
def test_an_object_store_that_is_broken_changes_nothing_for_shoppers(server: Server, object_wire: Wire, mode: str):
    object_wire.switch(mode)
    try:
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            assert slate(server)["release_id"] == FIRST
            assert post(server, "/v1/events", event(f"{mode} {time.monotonic()}")).status_code == 200
    finally:
        object_wire.switch("whole")


def test_a_release_too_big_or_of_another_schema_is_refused(server: Server, tiny_folder: Path, tmp_path: Path):
    client, bucket = object_client(server.settings), server.settings.object_store.bucket
    described = json.loads((tiny_folder / FIRST / "manifest.json").read_text())
    (tmp_path / "files").mkdir()
    for name in described["files"]:
        (tmp_path / "files" / name).write_bytes((tiny_folder / FIRST / name).read_bytes())
    huge = {**manifest(tmp_path / "files", "r-huge")}
    huge["files"]["model.onnx"]["size"] = 1 << 40
    other = {**manifest(tmp_path / "files", "r-other"), "schema": 99}
    wait_until(lambda: detail(server) is None, 60)  # the tests before cut the wire
    for wrong in (huge, other):
        (tmp_path / "files" / "manifest.json").write_text(json.dumps(wrong))
        content = (tmp_path / "files" / "manifest.json").read_bytes()
        (tmp_path / "files" / "manifest.sig").write_bytes(signature_of(content, SIGNING_KEY))
        publish(client, bucket, tmp_path / "files", hashlib.sha256(content).hexdigest())
        wait_until(lambda: "could not be loaded" in str(detail(server)), 30)
        assert slate(server)["release_id"] == FIRST
        point_to(client, bucket, FIRST, (tiny_folder / f"{FIRST}.sha256").read_text())
        wait_until(lambda: detail(server) is None, 30)
    log = (server.home / "serving.log").read_text()
    assert "r-huge: expected at most" in log
    assert "expected manifest schema 1, but found 99" in log


def test_a_sender_whose_clock_is_wrong_is_told_or_put_in_order(server: Server):
    now = httpx.post(f"{server.url}/v1/recommendations", json={"k": 1}, trust_env=False).json()["as_of"]
    ahead = {"user_id": "skewed", "item_id": COFFEE, "event_type": "like", "event_time": now[:14] + "04:30Z"}
    behind = {**ahead, "item_id": MILK, "event_time": "1999-01-01T00:00:00Z"}
    for each in (ahead, behind, {**ahead, "event_time": None}):
        assert post(server, "/v1/events", {"events": [each]}).status_code == 200
    assert slate(server, "skewed")["source"] == "personalised"
    late = post(server, "/v1/events", {"events": [{**ahead, "event_time": "2031-01-01T00:00:00Z"}]})
    assert (late.status_code, late.json()["type"]) == (422, "urn:aisle:problem:event-from-the-future")


def test_a_server_whose_clock_is_wrong_still_answers(release: Release):
    for years in (-40, 0, 40):
        now = release.as_of + timedelta(days=365 * years)
        answer = recommend(release, Question(REGULAR, 5), now, make_metrics())
        assert (answer.source, len(answer.slate)) == ("personalised", 5)


def test_the_log_names_no_user_and_no_item(server: Server):
    post(server, "/v1/events", {"events": [{"user_id": "nosy", "item_id": "nosy item", "event_type": "sneeze"}]})
    post(server, "/v1/recommendations", {"user_id": "nosy", "exclude": ["nosy item"], "surprise": "nosy"})
    httpx.get(f"{server.url}/?user={REGULAR}&similar={COFFEE}", trust_env=False)
    log = (server.home / "serving.log").read_text()
    assert "answering from release" in log
    for name in ("nosy", "patient", "skewed", "u_", REGULAR, COFFEE, KEY.decode()):
        assert name not in log, name


def test_an_error_that_nobody_foresaw_says_nothing_of_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    environ = {"AISLE_HOME": str(tmp_path), "AISLE_PSEUDONYM_KEY": "a", "AISLE_S3_SECRET_KEY": "b"}
    environ["AISLE_RELEASE_PUBLIC_KEY"] = PUBLIC_KEY
    app = create_app(load_settings({**environ, "AISLE_S3_ENDPOINT_URL": "http://127.0.0.1:9"}))

    def fail(*_: object) -> None:
        raise KeyError("u_0123 bought a secret item")

    monkeypatch.setattr(routes, "answer_similar", fail)
    with caplog.at_level(logging.INFO):
        answer = TestClient(app).post("/v1/similar-items", json={"item_id": "a secret item"})
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["instance"].rpartition(":")[2] in caplog.text
    assert "KeyError at" in caplog.text
    assert "secret" not in caplog.text + answer.text
    assert "Traceback" not in caplog.text + answer.text


def test_an_error_that_nobody_foresaw_in_one_users_slate_gives_what_is_popular(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    environ = {"AISLE_HOME": str(tmp_path), "AISLE_PSEUDONYM_KEY": KEY.decode(), "AISLE_S3_SECRET_KEY": "b"}
    environ["AISLE_RELEASE_PUBLIC_KEY"] = PUBLIC_KEY
    app = create_app(load_settings({**environ, "AISLE_S3_ENDPOINT_URL": "http://127.0.0.1:9"}))
    desk = next(layer.kwargs["desk"] for layer in app.user_middleware if "desk" in layer.kwargs)
    desk.champion.release = release
    whole = recommender.gather_evidence

    def fail(release: Release, row: KnownRow, *rest: object) -> object:
        if row.history_indices:
            raise KeyError("u_0123 bought a secret item")
        return whole(release, row, *rest)

    monkeypatch.setattr(recommender, "gather_evidence", fail)
    answer = TestClient(app).post("/v1/recommendations", json={"user_id": "regular", "k": 3})
    assert (answer.status_code, answer.json()["source"], len(answer.json()["slate"])) == (200, "popular", 3)
    assert answer.json()["user"] == REGULAR
    assert "KeyError at" in caplog.text
    assert "secret" not in caplog.text


def test_a_server_told_to_end_answers_what_has_begun(server: Server, online_wire: Wire):
    wait_until(lambda: slate(server)["source"] == "personalised", 20)
    online_wire.switch("hung")  # an answer takes as long as we wait for the store
    answers: list[bool] = []
    asking = threading.Thread(target=lambda: answers.append(slate(server)["release_id"] == FIRST))
    asking.start()
    time.sleep(0.3)
    server.process.send_signal(signal.SIGTERM)
    asking.join(20)
    assert answers == [True]
    assert server.process.wait(20) in (0, -signal.SIGTERM)
    online_wire.switch("whole")
