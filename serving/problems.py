"""Errors as RFC 9457 problem documents: a stable type, a plain sentence, no stack trace.

A problem says what was expected, what came, and what to do next.
"""

import logging
import secrets
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

LOG = logging.getLogger("serving")
MEDIA_TYPE = "application/problem+json"


class FieldError(BaseModel):
    """One field of a request that is not as the contract says."""

    pointer: str = Field(examples=["#/k"], description="JSON pointer into the request")
    detail: str = Field(examples=["Input should be greater than or equal to 1"])


class ProblemDocument(BaseModel):
    """The shape of every error (RFC 9457)."""

    type: str = Field(examples=["urn:aisle:problem:invalid-request"])
    title: str = Field(examples=["The request is not as the contract says"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["1 field is wrong; see errors."])
    instance: str | None = None
    errors: list[FieldError] = []


class Problem(Exception):
    """An error for the caller; `kind` is the last part of its type, `retry_after` in seconds where waiting helps."""

    def __init__(self, status: int, kind: str, title: str, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.document = ProblemDocument(type=f"urn:aisle:problem:{kind}", title=title, status=status, detail=detail)
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}


def too_large(limit: int) -> Problem:
    """Return the problem of a request that declares, or sends, more than `limit` bytes."""
    detail = f"Expected at most {limit} bytes; send fewer events or items at a time."
    return Problem(413, "too-large", "The request is too large", detail)


class BodyTooLarge(HTTPException):
    """A body that grew beyond its limit while it was read: FastAPI lets no other kind of error out of there."""

    def __init__(self, limit: int) -> None:
        super().__init__(413)
        self.problem = too_large(limit)


def problem_response(document: ProblemDocument, headers: dict[str, str] | None = None) -> Response:
    """Return the problem as a response, any text in it made safe to encode."""
    text = document.model_dump_json(exclude_defaults=True)
    return Response(text, document.status, headers, media_type=MEDIA_TYPE)


def install_problem_answers(app: FastAPI) -> None:
    """Make every error of the app a problem document."""
    for kind in _ANSWERS:
        app.add_exception_handler(kind, _answer_foreseen)
    app.add_exception_handler(Exception, _answer_unforeseen)


def answer_error(error: Exception) -> Response:
    """Return the problem document of an error that the app foresees: Problem, RequestValidationError, HTTPException.

    Raises any other error again.
    """
    for kind, answer in _ANSWERS.items():
        if isinstance(error, kind):
            return answer(error)
    raise error


def log_unforeseen(error: Exception) -> str:
    """Log where an error arose, under a number, and return the number.

    The error's own words may hold a user id, an item or a request, so its type and the lines of code are all we keep.
    """
    number = secrets.token_hex(6)
    frames = traceback.extract_tb(error.__traceback__)
    lines = "\n".join(f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in frames)
    LOG.error("unforeseen error %s: %s at\n%s", number, type(error).__name__, lines)
    return number


def _answer_problem(error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(error.document, error.headers)


def _answer_invalid(error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [FieldError(pointer=_pointer(found["loc"]), detail=_told(found)) for found in error.errors()[:20]]
    count = len(error.errors())
    return problem_response(
        ProblemDocument(
            type="urn:aisle:problem:invalid-request",
            title="The request is not as the contract says",
            status=422,
            detail=f"{count} field{' is' if count == 1 else 's are'} wrong; see errors, and /openapi.json.",
            errors=errors,
        )
    )


def _answer_http(error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error, BodyTooLarge):
        return _answer_problem(error.problem)
    if error.status_code == 400:  # FastAPI's word for a body that is no text at all
        return problem_response(
            ProblemDocument(
                type="urn:aisle:problem:invalid-request",
                title="The request is not as the contract says",
                status=422,
                detail="Expected JSON in UTF-8, but the body cannot be read as that; see /openapi.json.",
            )
        )
    headers = dict(error.headers or {})
    allowed = headers.get("Allow")
    expected = f"the method {allowed}" if allowed else "a path of the API"
    detail = f"Expected {expected}; /openapi.json has all of them."
    document = ProblemDocument(type="about:blank", title=str(error.detail), status=error.status_code, detail=detail)
    return problem_response(document, headers)


_ANSWERS: dict[type[Exception], Callable[[Exception], Response]] = {
    Problem: _answer_problem,
    RequestValidationError: _answer_invalid,
    HTTPException: _answer_http,
}


def _answer_foreseen(_: Request, error: Exception) -> Response:
    return answer_error(error)


def answer_unforeseen(error: Exception) -> Response:
    """Return a 500 problem with the number under which the error stands in the log."""
    number = log_unforeseen(error)
    return problem_response(
        ProblemDocument(
            type="urn:aisle:problem:internal",
            title="Something went wrong here",
            status=500,
            detail="The server logged the error under this instance; ask with it.",
            instance=f"urn:aisle:error:{number}",
        )
    )


def _answer_unforeseen(_: Request, error: Exception) -> Response:
    return answer_unforeseen(error)


def _pointer(location: tuple[int | str, ...]) -> str:
    parts = location[1:] if location[:1] in (("body",), ("query",), ("path",)) else location
    return "#" + "".join("/" + _encodable(str(part)).replace("~", "~0").replace("/", "~1") for part in parts)


def _told(found: Mapping[str, Any]) -> str:
    if isinstance(found.get("input"), bytes):  # FastAPI reads no JSON of another type, like curl's unless it is told
        return "Expected the header Content-Type: application/json"
    return _encodable(str(found["msg"]))


def _encodable(text: str) -> str:
    # A lone surrogate is legal in JSON text but not in UTF-8.
    return text.encode("utf-8", "backslashreplace").decode()[:300]
