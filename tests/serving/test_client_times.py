"""The Python client and time: how long it waits for a whole answer, and the times that it is given."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest

from serving.client import Aisle, RequestRefused, ServerUnreachable
from tests.serving.conftest import Server
from tests.serving.test_client import answering
from tests.serving.tiny_shop import AS_OF, MILK

RECEIPT = {"accepted": 1, "duplicates": 0, "updated_users": 1, "event_ids": ["own"], "notes": []}
ANSWER = b'{"slate": []}'
EVENT = {"user_id": "1", "item_id": MILK, "event_type": "view"}


@contextmanager
def dripping(head: bytes, drops: bytes, rest: bytes) -> Iterator[str]:
    """A server that says its head at once, then 60 drops in three seconds, then all the rest of a good answer."""

    def drip(server: socket.socket) -> None:
        with suppress(OSError):
            caller, _ = server.accept()
            with caller:
                caller.recv(65536)
                caller.sendall(head)
                for _ in range(60):
                    time.sleep(0.05)
                    caller.sendall(drops)
                caller.sendall(rest)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=drip, args=(server,), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    ("head", "drops", "rest"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 73\r\n\r\n", b" ", ANSWER),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", b"d\r\n%b\r\n0\r\n\r\n" % ANSWER),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a", b"\r\nContent-Length: 13\r\n\r\n" + ANSWER),
    ],
    ids=["body", "chunks", "header"],
)
def test_a_server_that_drips_its_answer_is_waited_for_no_longer_than_the_timeout(
    head: bytes, drops: bytes, rest: bytes
):
    with dripping(head, drops, rest) as url, pytest.raises(ServerUnreachable, match=r"1 times, 0\.4 s each"):
        Aisle(url, timeout=0.4, retries=0).similar(MILK)


def test_a_refusal_whose_words_drip_is_told_without_them():
    head, words = b"HTTP/1.1 404 Not Found\r\nContent-Length: 87\r\n\r\n", b'{"title": "The words drip"}'
    with dripping(head, b" ", words) as url, pytest.raises(RequestRefused) as refused:
        Aisle(url, timeout=0.4, retries=0).similar(MILK)
    assert (refused.value.status, refused.value.title) == (404, "Not Found")


def test_an_answer_that_comes_in_time_in_many_parts_is_read_whole():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def say() -> None:
            caller, _ = server.accept()
            with caller:
                caller.recv(65536)
                for part in (b"HTTP/1.1 200 OK\r\n", b"Content-Length: 13\r\n\r\n", *(bytes([b]) for b in ANSWER)):
                    caller.sendall(part)
                    time.sleep(0.01)

        threading.Thread(target=say, daemon=True).start()
        assert Aisle(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=10).similar(MILK) == []


def test_a_moment_with_a_time_zone_is_pushed_as_the_moment_that_it_is():
    sent: list[dict] = []
    noon = datetime(2018, 1, 1, 12, tzinfo=timezone(timedelta(hours=8)))
    with answering([(200, RECEIPT)], sent) as url:
        Aisle(url).push({**EVENT, "event_time": noon})
    assert sent[0]["events"][0]["event_time"] == "2018-01-01T12:00:00+08:00"


def test_a_moment_with_a_time_zone_is_taken_by_the_server(served: Server):
    assert Aisle(served.url).push({**EVENT, "event_time": AS_OF - timedelta(days=3)}).accepted == 1
    assert AS_OF.tzinfo == UTC


@pytest.mark.parametrize("naive", [datetime(2018, 1, 1, 12), datetime(2018, 1, 1).date()])
def test_a_moment_without_a_time_zone_is_refused_in_words_and_not_sent(naive: object):
    with pytest.raises(ValueError, match=r"expected a datetime with a time zone .* came 2018-01-01"):
        Aisle("http://127.0.0.1:9", retries=0).push({**EVENT, "event_time": naive})
