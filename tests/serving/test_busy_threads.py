"""What waits for a lock or is long work holds up neither the load balancer's questions nor the other shoppers."""

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from flows.settings import Settings as FlowSettings
from serving import routes
from serving.app import create_app
from serving.release import Release
from serving.settings import load_settings
from tests.serving.conftest import own_settings, publish_tiny, release_of, running_server, wait_until
from tests.serving.tiny_shop import COFFEE, KEY, MILK, PUBLIC_KEY, REGULAR

pytestmark = pytest.mark.slow

#: Far more than any answer takes, and less than a lock or a batch holds up whoever waits for it.
PATIENCE = 15
EVENT = {"item_id": COFFEE, "event_type": "like"}


def test_pushes_that_wait_for_the_lock_of_sqlite_hold_up_nobody_for_long(
    object_store: FlowSettings, shop: Path, tmp_path: Path
):
    settings = own_settings(object_store, tmp_path, "busy-threads")
    publish_tiny(settings, shop, "r20180101-first")
    with running_server(settings, shop) as server, httpx.Client(trust_env=False, timeout=PATIENCE) as client:
        wait_until(lambda: release_of(server) is not None, 30)

        def push(number: int) -> dict:
            body = {"events": [{"user_id": f"shopper {number}", **EVENT}]}
            answer = client.post(f"{server.url}/v1/events", json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()

        assert push(0)["updated_users"] == 1
        lock = sqlite3.connect(shop / "online.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(16) as pool:
            pushes = [pool.submit(push, number) for number in range(1, 17)]
            for path in ("/healthz", "/readyz", "/metrics"):
                assert client.get(f"{server.url}{path}").status_code == 200
            slate = client.post(f"{server.url}/v1/recommendations", json={"pseudonym": REGULAR}).json()
            assert slate["source"] == "personalised"
            receipts = [each.result() for each in pushes]
        lock.execute("ROLLBACK")
        assert {(receipt["accepted"], receipt["updated_users"]) for receipt in receipts} == {(1, 0)}
        wait_until(lambda: push(17)["updated_users"] == 1, 20)


def test_batches_hold_up_neither_events_nor_the_load_balancer(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    environ = {"AISLE_HOME": str(tmp_path), "AISLE_PSEUDONYM_KEY": KEY.decode(), "AISLE_S3_SECRET_KEY": "b"}
    environ |= {"AISLE_RELEASE_PUBLIC_KEY": PUBLIC_KEY, "AISLE_S3_ENDPOINT_URL": "http://127.0.0.1:9"}
    app = create_app(load_settings(environ))
    desk = next(layer.kwargs["desk"] for layer in app.user_middleware if "desk" in layer.kwargs)
    desk.champion.release = release
    ended, begun = threading.Event(), []

    def endless(*_: object) -> bytes:
        begun.append(threading.current_thread())
        ended.wait(PATIENCE)
        return b'{"release_id": "", "slates": []}'

    monkeypatch.setattr(routes, "answer_batch", endless)

    async def ask() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
            body = {"user_ids": ["regular"]}
            batches = [asyncio.create_task(client.post("/v1/recommendations/batch", json=body)) for _ in range(60)]
            while len(begun) < routes.BATCHES:
                await asyncio.sleep(0.01)
            answers = [await client.get(path) for path in ("/healthz", "/readyz", "/metrics")]
            answers.append(await client.post("/v1/similar-items", json={"item_id": MILK}))
            answers.append(await client.post("/v1/events", json={"events": [{"user_id": "a", **EVENT}]}))
            assert not any(batch.done() for batch in batches)
            assert len(begun) == routes.BATCHES
            ended.set()
            return [answer.status_code for answer in (*answers, *[await batch for batch in batches])]

    assert asyncio.run(ask()) == [200] * 65
