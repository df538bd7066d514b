"""A wire between the server and a real part, which a test may cut, clog, or let speak garbage."""

import secrets
import socket
import threading
import time
from contextlib import suppress

GARBAGE = secrets.token_bytes(512)
SLOW_SECONDS = 0.7
#: A dripping answer comes in this many parts, each so long after the one before.
DRIPS, DRIP_SECONDS = 5, 0.6


class Wire:
    """Listens on `port`, passes bytes to the part behind; `mode`: whole, gone, hung, garbage, slow or drip."""

    def __init__(self, part_port: int) -> None:
        self.part_port = part_port
        self.mode = "whole"
        self.open: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def switch(self, mode: str) -> None:
        """Change what the wire does; connections of before are dropped."""
        self.mode = mode
        while self.open:
            with suppress(OSError):
                self.open.pop().close()

    def _listen(self) -> None:
        while True:
            client, _ = self.listener.accept()
            if self.mode == "gone":
                client.close()
                continue
            part = socket.create_connection(("127.0.0.1", self.part_port))
            self.open += [client, part]
            for source, target in ((client, part), (part, client)):
                threading.Thread(target=self._pass, args=(source, target, client), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                while self.mode == "hung":
                    time.sleep(0.02)
                if self.mode == "garbage":
                    client.sendall(GARBAGE)
                    break
                self._send(target, data, target is client)
        for each in (source, target):
            with suppress(OSError):
                each.close()

    def _send(self, target: socket.socket, data: bytes, answers: bool) -> None:
        part = len(data)
        if answers and self.mode == "slow":
            time.sleep(SLOW_SECONDS)
        if answers and self.mode == "drip":
            part = -(-len(data) // DRIPS)
        for start in range(0, len(data), part):
            target.sendall(data[start : start + part])
            if part < len(data):
                time.sleep(DRIP_SECONDS)
