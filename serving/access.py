"""What every request passes: a limit on its size, and the counting of its answer. Plain ASGI, no buffering."""

import time

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.metrics import Metrics
from serving.problems import ProblemDocument, problem_response


class MeteredAccess:
    """Middleware: 413 for a body above `max_body_bytes`, and one count and one duration a request."""

    def __init__(self, app: ASGIApp, metrics: Metrics, max_body_bytes: int) -> None:
        self.app = app
        self.metrics = metrics
        self.max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counted."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500
        received = 0

        async def counted_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_body_bytes:
                raise HTTPException(413, "The request is too large")
            return message

        async def noted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if _declared_length(scope) > self.max_body_bytes:
                await problem_response(_too_large(self.max_body_bytes))(scope, receive, noted_send)
            else:
                await self.app(scope, counted_receive, noted_send)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.requests.labels(route, str(status)).inc()
            self.metrics.seconds.labels(route).observe(time.perf_counter() - started)


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


def _too_large(limit: int) -> ProblemDocument:
    return ProblemDocument(
        type="urn:aisle:problem:too-large",
        title="The request is too large",
        status=413,
        detail=f"Expected at most {limit} bytes; send fewer events or items at a time.",
    )
