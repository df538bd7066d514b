"""The shortest way of a request for a slate: bytes in, bytes out, and requests of the same moment answered together.

The work of one answer is less than what a thread's hand-over costs, so it is done where the request arrives. While one
batch is answered the next requests come in; they are the next batch. Nobody waits for a batch to fill.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.answer_log import Written, new_request_id, written
from serving.contract import RecommendationRequest
from serving.desk import Desk, question_of, release_in_use
from serving.history import UserRow
from serving.last_resort import what_is_popular
from serving.online_rows import OnlineRows, OnlineStoreUnavailable
from serving.problems import Problem, answer_error, log_unforeseen
from serving.recommender import Question, read_rows, unread_rows
from serving.release import Release
from serving.trial_answers import answer_shoppers
from serving.waited_reads import PATIENCE, in_time

PATH = "/v1/recommendations"
#: Questions answered together; beyond this the first waits longer than the model saves.
MOST_TOGETHER = 8
_ROUTE = SimpleNamespace(path=PATH)


@dataclass(slots=True)
class Waiting:
    """One question, and where its asker waits for the answer."""

    request_id: str
    question: Question
    answer: "asyncio.Future[Written]"
    asked_at: float = field(default_factory=time.monotonic)


@dataclass
class SlateQueue:
    """Questions that wait for the batch in hand."""

    desk: Desk
    waiting: deque[Waiting] = field(default_factory=deque)
    answering: "asyncio.Task[None] | None" = None


class DirectSlates:
    """Middleware: answers POST /v1/recommendations itself, before routing; everything else goes on to the app."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self.app = app
        self.queue = SlateQueue(desk)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a slate, or pass it on."""
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        scope["route"] = _ROUTE
        try:
            request_id = new_request_id()
            body = await answer_bytes(self.queue, request_id, await _read_body(receive))
        except (Problem, RequestValidationError, HTTPException) as error:
            await answer_error(error)(scope, receive, send)
            return
        length = str(len(body)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        headers.append((b"x-request-id", request_id.encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def answer_bytes(queue: SlateQueue, request_id: str, body: bytes) -> bytes:
    """Return the JSON answer to a JSON request. Raises Problem, RequestValidationError."""
    try:
        request = RecommendationRequest.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in found]) from None
    release_in_use(queue.desk)
    answer: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
    queue.waiting.append(Waiting(request_id, question_of(queue.desk, request), answer))
    if queue.answering is None:
        queue.answering = asyncio.get_running_loop().create_task(_answer_all(queue))
    return (await answer).body


async def _answer_all(queue: SlateQueue) -> None:
    try:
        while queue.waiting:
            batch = _next_batch(queue.waiting)
            try:
                await _answer_batch(queue, batch)
            except Exception:
                for each in batch:  # the fault of one question is not that of the others
                    await _answer_alone(queue, each)
            await asyncio.sleep(0)  # the answers go out, and the next requests come in
    finally:
        queue.answering = None


def _next_batch(waiting: deque[Waiting]) -> list[Waiting]:
    """Take the next few questions, those that have waited too long and others apart."""
    now = time.monotonic()
    late = _is_late(waiting[0], now)
    batch = [waiting.popleft()]
    while waiting and len(batch) < MOST_TOGETHER and _is_late(waiting[0], now) == late:
        batch.append(waiting.popleft())
    return batch


def _is_late(asked: Waiting, now: float) -> bool:
    return now - asked.asked_at > PATIENCE


async def _answer_alone(queue: SlateQueue, asked: Waiting) -> None:
    try:
        await _answer_batch(queue, [asked])
    except Exception as error:
        log_unforeseen(error)
        if not asked.answer.done():
            asked.answer.set_result(_answer_of_last_resort(queue.desk, asked.question))


def _answer_of_last_resort(desk: Desk, question: Question) -> Written:
    """What is popular: whatever goes wrong beyond the slate itself, the shopper gets one."""
    release = release_in_use(desk)
    return written([what_is_popular(release, question, desk.clock.now(release.as_of), desk.metrics)])[0]


async def _answer_batch(queue: SlateQueue, batch: list[Waiting]) -> None:
    desk, questions = queue.desk, [each.question for each in batch]
    release, rows = release_in_use(desk), None
    if release.online is not None and release.online.waits:
        rows = await _waited_rows(desk, release, release.online, batch)
    answers = answer_shoppers(desk, release, questions, rows, [each.request_id for each in batch])
    for each, answer in zip(batch, answers, strict=True):
        if not each.answer.done():  # its asker may have gone
            each.answer.set_result(answer)


async def _waited_rows(desk: Desk, release: Release, online: OnlineRows, batch: list[Waiting]) -> list[UserRow | None]:
    """Read a store on another machine, which is not waited for any more by who has waited in the queue so long."""
    questions = [each.question for each in batch]
    if _is_late(batch[0], time.monotonic()):
        return unread_rows(questions, desk.metrics)
    try:
        return await in_time(desk.reader, online, partial(read_rows, release, questions, desk.metrics))
    except OnlineStoreUnavailable:
        return unread_rows(questions, desk.metrics)


async def _read_body(receive: Receive) -> bytes:
    message = await receive()
    if not message.get("more_body", False):
        return bytes(message.get("body", b""))
    parts = [message.get("body", b"")]
    while message.get("more_body", False):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)
