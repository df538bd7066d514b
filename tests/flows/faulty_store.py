"""A door before the real object store that misbehaves as told: it answers 500 or 503, hangs, or cuts in flight."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from flows.settings import Settings

#: Which fault a request meets: (method, path, how many were asked before it) → a name of FAULTS, or None for none.
Plan = Callable[[str, str, int], str | None]
FAULTS = ("500", "503", "hang", "cut before", "cut after")
HANG_SECONDS = 5


@dataclass
class Door:
    """What the door was asked, and what it does; `plan` may be changed at any time."""

    target: str
    plan: Plan = lambda method, path, number: None
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault_of(self, method: str, path: str) -> str | None:
        """The fault of one request; it is noted."""
        with self.lock:
            fault = self.plan(method, path, len(self.asked))
            self.asked.append((method, path, fault))
            return fault

    @property
    def faults(self) -> int:
        """How many requests met a fault."""
        return sum(fault is not None for *_, fault in self.asked)


class _Handler(BaseHTTPRequestHandler):
    """Passes requests on to the real store, or does to them what the door's plan says."""

    door: Door
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.door.fault_of(self.command, self.path)
        if fault == "hang":
            time.sleep(HANG_SECONDS)
        if fault in ("hang", "cut before"):
            return self.cut()
        if fault in ("500", "503"):
            return self.reply(int(fault), {"Content-Type": "application/xml"}, _ERROR[fault])
        status, headers, content = self.forward(body)
        if fault == "cut after":
            return self.cut()
        return self.reply(status, headers, content)

    def forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.door.target, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("expect", "connection"):
                connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        content = answer.read()
        headers = {n: v for n, v in answer.getheaders() if n.lower() not in ("transfer-encoding", "connection")}
        connection.close()
        return answer.status, headers, content

    def reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD" and status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer


_ERROR = {
    "500": b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>",
    "503": b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>",
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A line that was cut is what was wanted."""


@contextmanager
def faulty_door(settings: Settings) -> Iterator[tuple[Settings, Door]]:
    """Settings whose object store is reached through a door, and the door."""
    door = Door(urlsplit(settings.object_store.endpoint_url).netloc)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"door": door}))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_address[1]}"
        yield replace(settings, object_store=replace(settings.object_store, endpoint_url=address)), door
    finally:
        server.shutdown()
        server.server_close()
