"""The real server in its own process: API, events that change the next answer, hot swap, corrupt releases."""

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from flows.object_client import object_client
from flows.object_store import ensure_bucket
from flows.settings import Settings as FlowSettings
from tests.conftest import settings_in
from tests.serving.conftest import Server, publish_tiny, running_server, wait_until
from tests.serving.tiny_shop import COFFEE, MILK, REGULAR, point_to


@pytest.fixture(scope="module")
def served(object_store: FlowSettings, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that started before there was any release; tests publish into its bucket."""
    home = tmp_path_factory.mktemp("served")
    own = settings_in(home / "home")
    settings = replace(own, object_store=replace(object_store.object_store, bucket="serving-tests", embedded=False))
    ensure_bucket(settings)
    shop = home / "shop"
    shop.mkdir()
    for name in ("registry.db", "online.db"):
        (shop / name).write_bytes((tiny_folder / name).read_bytes())
    with running_server(settings, shop) as server:
        before = httpx.get(f"{server.url}/readyz", trust_env=False)
        assert (before.status_code, before.json()["status"]) == (503, "not ready")
        assert ask(server, {"k": 3}, 503)["type"] == "urn:aisle:problem:no-release"
        publish_tiny(settings, tiny_folder, "r20180101-first")
        wait_until(lambda: release_of(server) == "r20180101-first", 20)
        yield server


def ask(server: Server, question: dict, status: int = 200) -> dict:
    answer = httpx.post(f"{server.url}/v1/recommendations", json=question, trust_env=False)
    assert answer.status_code == status, answer.text
    return answer.json()


def push(server: Server, *events: dict, status: int = 200) -> dict:
    answer = httpx.post(f"{server.url}/v1/events", json={"events": list(events)}, trust_env=False)
    assert answer.status_code == status, answer.text
    return answer.json()


def release_of(server: Server) -> str | None:
    return httpx.get(f"{server.url}/readyz", trust_env=False).json()["release_id"]


def ids(answer: dict) -> list[str]:
    return [item["item_id"] for item in answer["slate"]]


def test_the_shops_own_id_and_its_pseudonym_give_the_same_slate(served: Server):
    own, pseudonymous = ask(served, {"user_id": "regular"}), ask(served, {"pseudonym": REGULAR})
    assert ids(own) == ids(pseudonymous)
    assert (own["source"], own["user"]) == ("personalised", REGULAR)
    assert own["as_of"].startswith("2018-01-01T00:")
    first = own["slate"][0]
    assert first["reason"]["text"] == "You bought this 3 times, last on 27 Dec."
    assert (first["title"], first["price"], first["currency"]) == ("Milk", 1.24, "USD")


def test_an_event_changes_the_next_answer_and_is_on_disk(served: Server):
    user = {"user_id": "a new shopper"}
    assert ask(served, user)["source"] == "popular"
    receipt = push(served, {**user, "item_id": COFFEE, "event_type": "view"})
    assert (receipt["accepted"], receipt["updated_users"]) == (1, 1)
    after = ask(served, user)
    assert (after["source"], ids(after)[0]) == ("personalised", COFFEE)
    assert after["slate"][0]["reason"]["text"] == "You looked at this just now."
    lines = [line for path in (served.home / "spool").glob("*.jsonl") for line in path.read_text().splitlines()]
    (row,) = [json.loads(line) for line in lines if receipt["event_ids"][0] in line]
    assert row["user_id"] == after["user"]
    assert (row["source"], row["item_id"], row["event_type"]) == ("live", COFFEE, "view")
    assert "a new shopper" not in "".join(lines)


def test_a_repeated_push_counts_once(served: Server):
    event = {"event_id": "one", "user_id": "twice", "item_id": MILK, "event_type": "purchase"}
    assert push(served, event)["accepted"] == 1
    again = push(served, event, event)
    assert (again["accepted"], again["duplicates"]) == (0, 2)
    (milk,) = [item for item in ask(served, {"user_id": "twice"})["slate"] if item["item_id"] == MILK]
    assert milk["reason"]["text"] == "You bought this just now."


def test_an_event_from_the_future_is_refused_and_nothing_is_taken(served: Server):
    good = {"user_id": "early", "item_id": MILK, "event_type": "view"}
    late = {**good, "event_time": "2031-01-01T00:00:00Z"}
    problem = push(served, good, late, status=422)
    assert problem["type"] == "urn:aisle:problem:event-from-the-future"
    assert problem["errors"][0]["pointer"] == "#/events/1/event_time"
    assert ask(served, {"user_id": "early"})["source"] == "popular"


def test_wrong_requests_get_problem_documents_without_traces(served: Server):
    wrong = {
        "/v1/recommendations": [b"", b"[]", b'{"k": 0}', b'{"k": 1e99}', b'{"user_id": "\\ud800"}', b'{"\\ud800": 1}'],
        "/v1/events": [b'{"events": []}', b'{"events": [{"user_id": "a", "event_type": "sneeze", "item_id": "b"}]}'],
        "/v1/similar-items": [b'{"item_id": 5}'],
    }
    for path, bodies in wrong.items():
        for body in bodies:
            answer = httpx.post(
                served.url + path, content=body, headers={"Content-Type": "application/json"}, trust_env=False
            )
            assert answer.status_code == 422, (path, body, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["errors"]
            assert "Traceback" not in answer.text
    unknown = httpx.post(f"{served.url}/v1/similar-items", json={"item_id": "no such item"}, trust_env=False)
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:aisle:problem:unknown-item")
    large = httpx.post(f"{served.url}/v1/events", content=b" " * 2_000_000, trust_env=False)
    assert (large.status_code, large.json()["type"]) == (413, "urn:aisle:problem:too-large")
    chunks = httpx.post(f"{served.url}/v1/events", content=(b" " * 100_000 for _ in range(20)), trust_env=False)
    assert chunks.status_code == 413
    missing = httpx.get(f"{served.url}/nothing", trust_env=False)
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")


def test_metrics_and_openapi_are_told(served: Server):
    ask(served, {"k": 1})
    metrics = httpx.get(f"{served.url}/metrics", trust_env=False).text
    assert 'aisle_requests_total{route="/v1/recommendations",status="200"}' in metrics
    assert 'aisle_slates_total{source="popular"}' in metrics
    openapi = httpx.get(f"{served.url}/openapi.json", trust_env=False).json()
    assert openapi["components"]["schemas"]["RecommendationRequest"]["examples"]
    assert openapi["components"]["schemas"]["ProblemDocument"]
    assert "application/problem+json" in openapi["paths"]["/v1/events"]["post"]["responses"]["422"]["content"]


def test_neither_torch_nor_prefect_nor_great_expectations_is_in_the_process(served: Server):
    mapped = Path(f"/proc/{served.process.pid}/maps").read_text()
    assert "onnxruntime" in mapped
    assert "libtorch" not in mapped


def test_a_new_champion_is_taken_up_and_a_broken_one_is_not(served: Server, tiny_folder: Path):
    client, bucket = object_client(served.settings), served.settings.object_store.bucket
    question = {"pseudonym": REGULAR, "k": 2}
    first = ask(served, question)
    publish_tiny(served.settings, tiny_folder, "r20180101-second")
    wait_until(lambda: release_of(served) == "r20180101-second", 20)
    assert ask(served, question)["slate"][0]["score"] > first["slate"][0]["score"]
    sha256 = (tiny_folder / "r20180101-first.sha256").read_text()
    key = "releases/r20180101-first/model.onnx"
    whole = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    for broken in (whole[:-1], whole[:-1] + b"?", b""):
        client.put_object(Bucket=bucket, Key=key, Body=broken)
        refused = refusals(served)
        point_to(client, bucket, "r20180101-first", sha256)
        wait_until(lambda seen=refused: refusals(served) > seen, 20)
        assert ask(served, question)["release_id"] == "r20180101-second"
        assert "could not be loaded" in httpx.get(f"{served.url}/readyz", trust_env=False).json()["detail"]
        assert not [path for path in (served.home / "serving" / "releases").iterdir() if "first" in path.name]
    client.delete_object(Bucket=bucket, Key="releases/r20180101-first/vectors.npy")
    client.put_object(Bucket=bucket, Key=key, Body=whole)
    assert ask(served, question)["release_id"] == "r20180101-second"
    client.put_object(
        Bucket=bucket,
        Key="releases/r20180101-first/vectors.npy",
        Body=(tiny_folder / "r20180101-first" / "vectors.npy").read_bytes(),
    )
    wait_until(lambda: release_of(served) == "r20180101-first", 60)


def refusals(server: Server) -> float:
    metrics = httpx.get(f"{server.url}/metrics", trust_env=False).text
    (line,) = [line for line in metrics.splitlines() if line.startswith("aisle_releases_refused_total ")]
    return float(line.split()[1])


def test_a_killed_server_starts_again_without_the_object_store_and_remembers(served: Server, tmp_path: Path):
    push(served, {"event_id": "before the kill", "user_id": "survivor", "item_id": COFFEE, "event_type": "like"})
    os.kill(served.process.pid, signal.SIGKILL)
    served.process.wait(10)
    nowhere = replace(served.settings.object_store, endpoint_url="http://127.0.0.1:9")
    shop = Path(served.home).parent / "shop"
    with running_server(replace(served.settings, object_store=nowhere), shop) as again:
        wait_until(lambda: release_of(again) is not None, 30)
        answer = ask(again, {"user_id": "survivor"})
        assert (answer["source"], ids(answer)[0]) == ("personalised", COFFEE)
        repeated = push(
            again, {"event_id": "before the kill", "user_id": "survivor", "item_id": COFFEE, "event_type": "like"}
        )
        assert (repeated["accepted"], repeated["duplicates"]) == (0, 1)
