"""The real server in its own process: API, events that change the next answer, hot swap, corrupt releases."""

import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from feature_repo.slate_rules import Rule
from flows.commands.recommend import command as recommend_command
from flows.object_client import object_client
from flows.settings import Settings as FlowSettings
from flows.slate_rules import publish_rules
from tests.serving.conftest import Server, own_settings, publish_tiny, release_of, running_server, wait_until
from tests.serving.tiny_shop import BREAD, COFFEE, MILK, REGULAR, STRANGER


def ask(server: Server, question: dict, status: int = 200) -> dict:
    answer = httpx.post(f"{server.url}/v1/recommendations", json=question, trust_env=False)
    assert answer.status_code == status, answer.text
    return answer.json()


def push(server: Server, *events: dict, status: int = 200) -> dict:
    answer = httpx.post(f"{server.url}/v1/events", json={"events": list(events)}, trust_env=False)
    assert answer.status_code == status, answer.text
    return answer.json()


def ids(answer: dict) -> list[str]:
    return [item["item_id"] for item in answer["slate"]]


def test_the_shops_own_id_and_its_pseudonym_give_the_same_slate(served: Server):
    own, pseudonymous = ask(served, {"user_id": "regular"}), ask(served, {"pseudonym": REGULAR})
    assert ids(own) == ids(pseudonymous)
    assert (own["source"], own["user"]) == ("personalised", REGULAR)
    assert own["as_of"].startswith("2018-01-01T00:")
    chinese = ask(served, {"user_id": "regular", "k": 1, "language": "zh"})
    assert chinese["slate"][0]["reason"]["text"] == "您买过3次，最近一次是12月27日。"
    first = own["slate"][0]
    assert first["reason"]["text"] == "You bought this 3 times, last on 27 Dec."
    assert (first["title"], first["price"], first["currency"]) == ("Milk", 1.24, "USD")


@pytest.mark.parametrize(("path", "expected"), [("/nowhere", "a path of the API"), ("/v1/events", "the method POST")])
def test_a_wrong_path_or_method_is_told_what_there_is(served: Server, path: str, expected: str):
    problem = httpx.get(served.url + path, trust_env=False).json()
    assert problem["detail"] == f"Expected {expected}; /openapi.json has all of them."


def test_one_event_outside_the_release_is_told_as_one(served: Server):
    stray = {"user_id": "stray", "item_id": "not-here", "event_type": "view"}
    assert push(served, stray)["notes"][0].startswith("1 event is of an item outside")
    assert push(served, stray, stray)["notes"][0].startswith("2 events are of items outside")


def test_a_batch_gives_each_user_the_slate_of_a_single_request(served: Server):
    names = [f"shopper {number}" for number in range(70)]
    request = {"user_ids": ["regular", *names], "pseudonyms": [STRANGER], "k": 4, "exclude": [MILK]}
    answer = httpx.post(f"{served.url}/v1/recommendations/batch", json=request, trust_env=False).json()
    assert len(answer["slates"]) == 72
    singles = {
        0: {"user_id": "regular"},
        1: {"user_id": names[0]},
        70: {"user_id": names[69]},
        71: {"pseudonym": STRANGER},
    }
    for place, single in singles.items():
        slate = answer["slates"][place]
        alone = ask(served, {**single, "k": 4, "exclude": [MILK]})
        assert list(slate) == list(alone)
        # A float of a batch may differ from that of a question alone in its last bit.
        scores, of_alone = ([item.pop("score") for item in found["slate"]] for found in (slate, alone))
        assert scores == pytest.approx(of_alone, rel=1e-5)
        del slate["as_of"], alone["as_of"]
        assert slate == alone
    for wrong in ({}, {"user_ids": ["a"] * 1001}, {"user_ids": ["a"] * 600, "pseudonyms": [STRANGER] * 600}):
        refused = httpx.post(f"{served.url}/v1/recommendations/batch", json=wrong, trust_env=False)
        assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")


def test_requests_of_one_moment_are_each_answered_as_alone(served: Server):
    questions = [{"pseudonym": REGULAR, "k": k} for k in (1, 3, 7)]
    questions += [
        {"k": 2, "context": {"session_items": [COFFEE]}},
        {"k": 5, "filters": {"category": "Grocery > Dairy"}},
    ]
    alone = [ids(ask(served, question)) for question in questions]
    with ThreadPoolExecutor(20) as pool:
        together = list(pool.map(lambda question: ids(ask(served, question)), questions * 20))
    assert together == alone * 20


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
        "/v1/recommendations": [
            b"",
            b"[]",
            b'{"k": 0}',
            b'{"k": 1e99}',
            b'{"limits": {"per_brand": 0}}',
            b'{"language": "fr"}',
            b'{"user_id": "\\ud800"}',
            b'{"\\ud800": 1}',
        ],
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


def test_neither_torch_nor_pandas_is_in_the_process(served: Server):
    mapped = Path(f"/proc/{served.process.pid}/maps").read_text()
    assert "onnxruntime" in mapped
    assert not [name for name in ("libtorch", "pandas", "libarrow") if name in mapped]


def test_the_command_line_asks_the_server_and_prints_a_table(served: Server):
    answer = CliRunner().invoke(recommend_command, ["regular", "--k", "3", "--url", served.url])
    assert answer.exit_code == 0, answer.output
    assert "personalised" in answer.output
    assert "Milk" in answer.output
    nobody = CliRunner().invoke(recommend_command, ["regular", "--url", "http://127.0.0.1:9"])
    assert (nobody.exit_code, "no serving API answers at" in nobody.output) == (1, True)


@pytest.mark.slow
def test_a_killed_server_lost_nothing_and_starts_again_without_the_object_store(
    object_store: FlowSettings, shop: Path, tmp_path: Path
):
    settings = own_settings(object_store, tmp_path, "kill-tests")
    publish_tiny(settings, shop, "r20180101-first")
    acknowledged: list[str] = []
    with running_server(settings, shop) as server:
        wait_until(lambda: release_of(server) is not None, 30)
        pushing = threading.Thread(target=push_until_it_dies, args=(server, acknowledged))
        pushing.start()
        wait_until(lambda: len(acknowledged) > 40, 30)
        os.kill(server.process.pid, signal.SIGKILL)
        pushing.join()
    spooled = "".join(path.read_text() for path in (settings.home / "spool").glob("*.jsonl")).split("\n")
    assert set(acknowledged) <= {json.loads(line)["event_id"] for line in spooled[:-1]}
    nowhere = replace(settings.object_store, endpoint_url="http://127.0.0.1:9")
    with running_server(replace(settings, object_store=nowhere), shop) as again:
        wait_until(lambda: release_of(again) is not None, 30)
        answer = ask(again, {"user_id": "survivor"})
        assert (answer["source"], ids(answer)[0]) == ("personalised", COFFEE)
        repeated = {"event_id": acknowledged[0], "user_id": "survivor", "item_id": COFFEE, "event_type": "like"}
        assert push(again, repeated)["duplicates"] == 1


@pytest.mark.slow
def test_a_server_without_a_release_says_what_it_waits_for(object_store: FlowSettings, shop: Path, tmp_path: Path):
    settings = own_settings(object_store, tmp_path, "nothing-yet")
    nowhere = replace(settings.object_store, endpoint_url="http://127.0.0.1:9")
    with running_server(replace(settings, object_store=nowhere), shop) as server:
        wait_until(lambda: "which does not give" in httpx.get(f"{server.url}/readyz", trust_env=False).text, 30)
        told = ask(server, {"user_id": "1"}, status=503)
        assert told["title"] == "There is no release to answer from yet"
        assert "waits for the object store" in told["detail"]
        assert "127.0.0.1" not in str(told)
    with running_server(settings, shop) as server:
        wait_until(lambda: "train one" in ask(server, {"user_id": "1"}, status=503)["detail"], 30)
        store = object_client(settings)
        store.put_object(Bucket=settings.object_store.bucket, Key="champion.json", Body=b"{}")
        wait_until(lambda: "was refused" in ask(server, {"user_id": "1"}, status=503)["detail"], 30)
        assert "waits for a release that it can use" in httpx.get(server.url, trust_env=False).text


def test_a_redis_that_is_gone_costs_the_personal_slate_and_no_more(
    object_store: FlowSettings, shop: Path, tmp_path: Path
):
    settings = own_settings(object_store, tmp_path, "redis-gone-tests")
    publish_tiny(settings, shop, "r20180101-first")
    away = {"AISLE_ONLINE_STORE": "redis", "AISLE_REDIS_URL": "127.0.0.1:9"}
    with running_server(settings, shop, **away) as server:
        wait_until(lambda: release_of(server) is not None, 30)
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda number: ask(server, {"user_id": f"{number}", "k": 3}), range(24)))
    assert {(answer["source"], len(answer["slate"])) for answer in answers} == {("popular", 3)}
    assert answers[0]["notes"] == ["The features of users cannot be read now."]


@pytest.mark.slow
def test_rules_are_taken_up_while_serving_and_bad_ones_change_nothing(
    object_store: FlowSettings, shop: Path, tmp_path: Path
):
    settings = own_settings(object_store, tmp_path, "rules-tests")
    publish_tiny(settings, shop, "r20180101-first")

    def rules_id(server: Server) -> str | None:
        return ask(server, {"user_id": "regular"})["rules_id"]

    with running_server(settings, shop) as server:
        wait_until(lambda: release_of(server) is not None, 30)
        assert rules_id(server) is None
        published, _ = publish_rules(settings, (Rule("block", item=MILK), Rule("pin", item="i12", place=1)))
        wait_until(lambda: rules_id(server) == published.rules_id, 30)
        assert ids(ask(server, {"user_id": "regular"}))[:2] == ["i12", BREAD]
        publish_tiny(settings, shop, "r20180101-second")
        wait_until(lambda: release_of(server) == "r20180101-second", 30)
        assert rules_id(server) == published.rules_id, "a new release keeps the rules"
        client, bucket = object_client(settings), settings.object_store.bucket
        client.put_object(Bucket=bucket, Key="rules.json", Body=b'{"schema": 1, "rules": []}')
        log = server.home / "serving.log"
        wait_until(lambda: "the rules in the store are refused" in log.read_text(), 30)
        assert rules_id(server) == published.rules_id
        client.delete_object(Bucket=bucket, Key="rules.json")
    away = {"AISLE_S3_ENDPOINT_URL": "http://127.0.0.1:9"}
    with running_server(settings, shop, **away) as server:
        assert MILK not in ids(ask(server, {"user_id": "regular", "k": 30})), (
            "kept on disk for a start without the store"
        )
        drawn = ask(
            server, {"user_id": "regular", "k": 4, "exploration": {"share": 0.5, "seed": "a"}, "diversity": 0.5}
        )
        assert drawn["exploration_seed"] == "a"
        assert all(0 < item["propensity"] <= 1 for item in drawn["slate"])


def push_until_it_dies(server: Server, acknowledged: list[str]) -> None:
    with suppress(httpx.TransportError):
        for number in range(100_000):
            event = {"event_id": f"n{number}", "user_id": "survivor", "item_id": COFFEE, "event_type": "like"}
            acknowledged += push(server, event)["event_ids"]
