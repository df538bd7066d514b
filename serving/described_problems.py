"""The errors that the API's description names: for each status what it means, and an answer as the server gives it."""

from typing import Any

from serving.problems import MEDIA_TYPE, FieldError, Problem, ProblemDocument

#: What any request to the API may meet: at the door, by what it asks, and before there is a release.
_EVERYWHERE = (401, 403, 413, 422, 429, 503)
_TOLD = {
    401: (
        "no-valid-key",
        "This server asks for an API key",
        "Send `Authorization: Bearer KEY` with a key of this server.",
    ),
    403: (
        "scope-missing",
        "The key does not open this",
        "Expected a key with the scope 'read', but this one has events.",
    ),
    404: (
        "unknown-item",
        "The item is not in this release",
        "Expected an item of release r20180102-0123456789ab; a new item comes with the next one.",
    ),
    413: (
        "too-large",
        "The request is too large",
        "Expected at most 1048576 bytes; send fewer events or items at a time.",
    ),
    422: (
        "invalid-request",
        "The request is not as the contract says",
        "1 field is wrong; see errors, and /openapi.json.",
    ),
    429: ("too-many-requests", "Too many requests", "Expected at most 600 requests a minute with this key; wait 2 s."),
    503: (
        "no-release",
        "There is no release to answer from yet",
        "This server waits for a first release. Its log says more; it takes a release up by itself.",
    ),
}
_WRONG_FIELD = FieldError(pointer="#/k", detail="Input should be greater than or equal to 1")


def problems(*more: int) -> dict[int | str, dict[str, Any]]:
    """Describe, for FastAPI, the errors that every request may meet, and `more`: each with an example of its own."""
    schema = {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}
    return {
        status: {
            "description": _TOLD[status][1],
            "content": {MEDIA_TYPE: {"schema": schema, "example": _example(status)}},
        }
        for status in sorted({*_EVERYWHERE, *more})
    }


def _example(status: int) -> dict[str, Any]:
    document = Problem(status, *_TOLD[status]).document
    document.errors = [_WRONG_FIELD] if status == 422 else []
    return document.model_dump(exclude_defaults=True)
