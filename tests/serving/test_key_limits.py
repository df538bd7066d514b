"""Limits of keys that somebody wrote into the file by hand: 0 is none of what a key may do, and not no limit."""

import json
from pathlib import Path
from typing import Any

import pytest

from flows.api_keys import new_key
from serving.admission import Admission, admit
from serving.api_keys import open_key_ring
from serving.problems import Problem


def ask_with(path: Path, length: int = 10, **limits: object) -> int:
    """What a request of so many bytes may send, with a key of these limits."""
    key = new_key(path, "a shop", ["read"])
    content = json.loads(path.read_text())
    content["keys"][0] |= limits
    path.write_text(json.dumps(content))
    headers = [(b"authorization", f"Bearer {key}".encode()), (b"content-length", str(length).encode())]
    scope: dict[str, Any] = {"type": "http", "path": "/v1/recommendations", "headers": headers}
    admission = Admission(open_key_ring(path, required=False), 1_000)
    admit(admission, scope)
    return admit(admission, scope)  # again: a burst of one request is no limit


def test_a_key_of_0_requests_a_minute_opens_nothing(tmp_path: Path):
    with pytest.raises(Problem, match="0 requests a minute") as refused:
        ask_with(tmp_path / "keys.json", requests_per_minute=0)
    assert (refused.value.document.status, refused.value.headers) == (403, {})


def test_a_key_of_0_bytes_takes_no_body(tmp_path: Path):
    with pytest.raises(Problem, match="at most 0 bytes"):
        ask_with(tmp_path / "keys.json", max_body_bytes=0)
    assert ask_with(tmp_path / "others.json", length=0, max_body_bytes=0) == 0


def test_a_key_without_limits_has_those_of_the_server(tmp_path: Path):
    assert ask_with(tmp_path / "keys.json", requests_per_minute=None, max_body_bytes=None) == 1_000


@pytest.mark.parametrize(
    "limits", [{"requests_per_minute": -1}, {"max_body_bytes": -5}, {"requests_per_minute": "1e999"}]
)
def test_a_limit_that_is_none_makes_no_key_file(tmp_path: Path, limits: dict):
    with pytest.raises(ValueError, match="limits from 0"):
        ask_with(tmp_path / "keys.json", **limits)
