"""What every request passes: admission, the counting of its answer, and the last net. Plain ASGI, no buffering."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.admission import Admission, admit
from serving.metrics import Metrics
from serving.problems import BodyTooLarge, Problem, answer_error, answer_unforeseen


class MeteredAccess:
    """Middleware: 401, 403, 413 and 429 at the door, one count and one duration a request.

    An error that nobody foresaw ends here, as a problem document; what is logged of it names no user and no item.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, admission: Admission) -> None:
        self.app = app
        self.metrics = metrics
        self.admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counted."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def noted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            limit = admit(self.admission, scope)
            await self.app(scope, _bounded(receive, limit), noted_send)
        except Problem as problem:
            self.metrics.refused.labels(problem.document.type.rpartition(":")[2]).inc()
            await answer_error(problem)(scope, receive, noted_send)
        except Exception as error:
            answer = answer_unforeseen(error)
            if not status:
                await answer(scope, receive, noted_send)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.requests.labels(route, str(status or 500)).inc()
            self.metrics.seconds.labels(route).observe(time.perf_counter() - started)


def _bounded(receive: Receive, limit: int) -> Receive:
    received = 0

    async def bounded_receive() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise BodyTooLarge(limit)
        return message

    return bounded_receive
