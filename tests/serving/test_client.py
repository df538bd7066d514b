"""The Python client against the real server: typed answers, clear refusals, patience that loses and doubles nothing."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from serving import contract
from serving.client import Aisle, Reason, RequestRefused, ServerUnreachable, Slate, SlateItem
from tests.serving.conftest import Server
from tests.serving.tiny_shop import COFFEE, MILK, REGULAR
from tests.serving.wire import Wire


def test_every_answer_comes_typed(served: Server):
    shop = Aisle(served.url)
    slate = shop.recommend("regular", k=3, exclude=[COFFEE])
    assert (slate.source, slate.user, len(slate.items)) == ("personalised", REGULAR, 3)
    assert slate.as_of.tzinfo is not None
    assert slate.items[0].reason.text
    assert COFFEE not in {item.item_id for item in slate.items}
    assert shop.recommend(context={"session_items": [MILK]}).source == "session"
    assert shop.recommend_many(["regular", "another"], k=2)[0].user == REGULAR
    assert shop.similar(MILK, k=2)[0].rank == 1
    assert shop.similar(MILK, k=1, language="zh")[0].reason.text == "与“Milk”相似。"
    receipt = shop.push({"user_id": "of the client", "item_id": COFFEE, "event_type": "like"})
    assert (receipt.accepted, receipt.updated_users) == (1, 1)
    assert shop.recommend("of the client").source == "personalised"


def test_an_answer_has_all_that_the_api_says_of_it(served: Server):
    plain = Aisle(served.url).recommend("regular", k=3)
    assert (plain.exploration_seed, plain.items[0].propensity) == (None, None)
    assert set(plain.items[0].sources) >= {"model", "repeat"}
    drawn = Aisle(served.url).recommend("regular", k=3, exploration={"share": 0.5, "seed": "a"})
    assert drawn.exploration_seed == "a"
    assert all(0 < item.propensity <= 1 for item in drawn.items)
    for ours, theirs in ((SlateItem, contract.SlateItem), (Reason, contract.Reason)):
        assert {field.name for field in fields(ours)} == {field.name for field in fields(theirs)}
    assert {field.name for field in fields(contract.Recommendations)} - {field.name for field in fields(Slate)} == {
        "slate"
    }


@pytest.mark.parametrize("cut", [b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", b"nonsense\r\n\r\n", b""])
def test_half_an_answer_or_nonsense_is_asked_for_again(cut: bytes):
    body = b'{"slate": []}'
    answers = [cut, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)]
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_say, args=(server, answers), daemon=True).start()
        assert Aisle(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=5).similar(MILK) == []
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_say, args=(server, [cut]), daemon=True).start()
        with pytest.raises(ServerUnreachable, match="did not answer 1 times"):
            Aisle(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=5, retries=0).similar(MILK)


def _say(server: socket.socket, answers: list[bytes]) -> None:
    """Give each caller the next of the answers, and hang up."""
    for answer in answers:
        caller, _ = server.accept()
        with caller:
            caller.recv(65536)
            caller.sendall(answer)


def test_a_refusal_says_which_field_is_wrong_and_is_not_repeated(served: Server):
    with pytest.raises(RequestRefused, match="k") as refused:
        Aisle(served.url).recommend("regular", k=0)
    assert (refused.value.status, refused.value.type) == (422, "urn:aisle:problem:invalid-request")
    assert refused.value.errors[0][0] == "#/k"
    with pytest.raises(RequestRefused) as unknown:
        Aisle(served.url).similar("nothing like it")
    assert unknown.value.status == 404


def test_a_server_that_is_not_there_is_told_after_the_last_try():
    with pytest.raises(ServerUnreachable, match="did not answer 2 times"):
        Aisle("http://127.0.0.1:9", timeout=0.2, retries=1).recommend()


def test_an_event_whose_answer_was_lost_is_sent_again_and_counts_once(served: Server):
    wire = Wire(int(served.url.rpartition(":")[2]))
    wire.mode = "hung"
    threading.Timer(0.6, wire.switch, ["whole"]).start()
    receipt = Aisle(f"http://127.0.0.1:{wire.port}", timeout=0.5, retries=6).push(
        {"user_id": "impatient", "item_id": COFFEE, "event_type": "like"}
    )
    assert receipt.accepted + receipt.duplicates == 1
    lines = "".join(path.read_text() for path in (served.home / "spool").glob("*.jsonl"))
    assert lines.count(receipt.event_ids[0]) == 1


def test_a_busy_server_is_asked_again_after_the_pause_it_names():
    answers = [(429, {}), (503, {}), (200, {"slate": []})]
    with answering(answers) as url:
        assert Aisle(url).similar(MILK) == []
    assert not answers


@pytest.mark.parametrize("event_id", [None, "own"])
def test_an_event_has_one_id_however_often_it_is_sent(event_id: str | None):
    receipt = {"accepted": 1, "duplicates": 0, "updated_users": 1, "event_ids": ["own"], "notes": []}
    sent: list[dict] = []
    with answering([(503, {}), (200, receipt)], sent) as url:
        Aisle(url).push({"event_id": event_id, "user_id": "1", "item_id": COFFEE, "event_type": "purchase"})
    first, again = (body["events"][0]["event_id"] for body in sent)
    assert first == again == (event_id or first)
    assert first


@contextmanager
def answering(answers: list[tuple[int, dict]], sent: list[dict] | None = None) -> Iterator[str]:
    class Busy(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, body = answers.pop(0)
            body_sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if sent is not None:
                sent.append(body_sent)
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Busy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
