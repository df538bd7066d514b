"""API keys: nobody needs one until there is one; scopes, limits of each, rotation under a running server."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from flows.api_keys import SCOPES as FLOW_SCOPES
from flows.api_keys import UnknownKey, list_keys, new_key, revoke_key
from flows.commands.key import command as key_command
from flows.commands.recommend import command as recommend_command
from flows.settings import Settings as FlowSettings
from serving.api_keys import SCOPES, find_key, look_again, open_key_ring
from serving.rate_limits import Buckets, seconds_to_wait
from tests.serving.conftest import Server, own_settings, publish_tiny, release_of, running_server, wait_until
from tests.serving.tiny_shop import COFFEE, REGULAR

pytestmark = pytest.mark.slow

QUESTION = ("/v1/recommendations", {"pseudonym": REGULAR, "k": 2})
EVENT = ("/v1/events", {"events": [{"user_id": "keyed", "item_id": COFFEE, "event_type": "like"}]})


@pytest.fixture(scope="module")
def server(object_store: FlowSettings, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("keyed")
    settings = own_settings(object_store, folder, "keyed")
    publish_tiny(settings, tiny_folder, "r20180101-first")
    with running_server(settings, tiny_folder) as server:
        wait_until(lambda: release_of(server) is not None, 30)
        assert post(server, QUESTION).status_code == 200  # no key yet, so nobody needs one
        yield server


def post(server: Server, request: tuple[str, dict], key: str | None = None) -> httpx.Response:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx.post(server.url + request[0], json=request[1], headers=headers, trust_env=False)


def made(server: Server, *scopes: str, **limits: float) -> str:
    """A new key, once the running server knows it."""
    key = new_key(server.settings.api_keys_path, "a test", scopes, **limits)
    ping = {"Authorization": f"Bearer {key}"}
    nowhere = f"{server.url}/nothing"
    wait_until(lambda: httpx.get(nowhere, trust_env=False).status_code == 401, 20)
    wait_until(lambda: httpx.get(nowhere, headers=ping, trust_env=False).status_code != 401, 20)
    return key


def test_each_scope_opens_its_own_doors(server: Server):
    keys = {scope: made(server, scope) for scope in SCOPES}
    doors = {"read": QUESTION, "events": EVENT}
    for scope, request in doors.items():
        for other, key in keys.items():
            answer = post(server, request, key)
            assert answer.status_code == (200 if other == scope else 403), (scope, other, answer.text)
            assert other == scope or answer.json()["type"] == "urn:aisle:problem:scope-missing"
    metrics = f"{server.url}/metrics"
    for scope, key in keys.items():
        answer = httpx.get(metrics, headers={"Authorization": f"Bearer {key}"}, trust_env=False)
        assert answer.status_code == (200 if scope == "admin" else 403)


def test_without_a_valid_key_only_health_and_the_description_are_open(server: Server):
    key = made(server, "read")
    for wrong in (None, "aisle_", key[:-1], key + "x", "aisle_00000000_" + key[15:], "\N{SNOWMAN}".encode().hex()):
        answer = post(server, QUESTION, wrong)
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:aisle:problem:no-valid-key")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert httpx.get(server.url, trust_env=False).headers["www-authenticate"].startswith("Basic")
    for wrong in (b"Basic \xc3\xa9", b"Basic \xff", b"Basic /w==", b"Basic !", b"Basic", b"Bearer \xe9"):
        answer = httpx.get(server.url, headers=[(b"Authorization", wrong)], trust_env=False)
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:aisle:problem:no-valid-key"), wrong
    assert httpx.get(server.url, auth=("anyone", key), trust_env=False).status_code == 200
    for open_path in ("/healthz", "/readyz", "/openapi.json"):
        assert httpx.get(server.url + open_path, trust_env=False).status_code == 200


def test_a_key_has_its_own_rate_and_size(server: Server):
    slow, small = made(server, "read", requests_per_minute=12), made(server, "events", max_body_bytes=200)
    answers = [post(server, QUESTION, slow) for _ in range(4)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert {answer.status_code for answer in answers} <= {200, 429}
    assert 1 <= int(refused[0].headers["retry-after"]) <= 5
    assert refused[0].json()["type"] == "urn:aisle:problem:too-many-requests"
    assert post(server, QUESTION, made(server, "read")).status_code == 200  # another key has its own
    assert post(server, EVENT, small).status_code == 200
    large = (EVENT[0], {"events": EVENT[1]["events"] * 5})
    whole = post(server, large, small)
    assert (whole.status_code, whole.json()["type"]) == (413, "urn:aisle:problem:too-large")
    for path in (EVENT[0], "/click"):
        chunks = httpx.post(
            server.url + path,
            content=(b" " * 150 for _ in range(3)),
            headers={"Authorization": f"Bearer {small}"},
            trust_env=False,
        )
        assert (chunks.status_code, chunks.json()) == (413, whole.json()), "whether or not its length is declared"


def test_a_key_is_rotated_while_the_server_runs(server: Server):
    path = server.settings.api_keys_path
    old, new = made(server, "read"), made(server, "read")
    revoke_key(path, old.split("_")[1])
    wait_until(lambda: post(server, QUESTION, old).status_code == 401, 20)
    assert post(server, QUESTION, new).status_code == 200
    whole = path.read_text()
    path.write_text(whole[:-20])  # a file that is broken, or gone, opens nothing and closes nothing
    time.sleep(1.2)
    assert [post(server, QUESTION, key).status_code for key in (new, old, None)] == [200, 401, 401]
    path.unlink()
    time.sleep(1.2)
    assert [post(server, QUESTION, key).status_code for key in (new, old, None)] == [200, 401, 401]
    path.write_text(whole)


def test_only_hashes_are_at_rest_and_nobody_else_may_read_them(server: Server):
    key = made(server, "read")
    secret = key.split("_", 2)[2]
    for path in server.home.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path
    assert server.settings.api_keys_path.stat().st_mode & 0o077 == 0


def test_the_command_makes_lists_and_revokes(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AISLE_HOME", str(server.home))
    runner = CliRunner()
    key = runner.invoke(key_command, ["new", "till", "--scope", "read", "--per-minute", "60"]).stdout.strip()
    wait_until(lambda: post(server, QUESTION, key).status_code == 200, 20)
    listed = runner.invoke(key_command, ["list"]).stdout
    assert "till" in listed
    assert key not in listed
    monkeypatch.setenv("AISLE_API_KEY", key)
    assert runner.invoke(recommend_command, ["regular", "--url", server.url]).exit_code == 0
    assert runner.invoke(key_command, ["revoke", key.split("_")[1]]).exit_code == 0
    assert "no key" in runner.invoke(key_command, ["revoke", "nobody"]).output


def test_a_file_that_is_no_key_file_stops_the_start_and_later_changes_nothing(tmp_path: Path):
    path = tmp_path / "keys.json"
    assert not open_key_ring(path, required=False).needed
    assert open_key_ring(path, required=True).needed
    for wrong in ("", "[]", '{"keys": [{"id": "a"}]}', '{"keys": [{"id": "a", "scopes": ["all"], "sha256": "00"}]}'):
        path.write_text(wrong)
        with pytest.raises(ValueError, match="file of API keys"):
            open_key_ring(path, required=False)
    path.unlink()
    key = new_key(path, "one", ["read"])
    ring = open_key_ring(path, required=False)
    assert find_key(ring, f"Bearer {key}") is not None
    path.write_text("broken")
    look_again(ring, ring.looked_at + 60)
    assert find_key(ring, f"Bearer {key}") is not None
    with pytest.raises(UnknownKey):
        revoke_key(tmp_path / "other.json", "a")
    with pytest.raises(ValueError, match="expected scopes"):
        new_key(tmp_path / "other.json", "a", ["everything"])
    assert SCOPES == FLOW_SCOPES
    assert json.dumps(list_keys(tmp_path / "other.json")) == "[]"


@given(st.floats(0.5, 6000), st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_no_key_asks_more_than_its_rate_and_its_burst(per_minute: float, pauses: list[float]):
    buckets, now, taken = Buckets(), 0.0, 0
    for pause in pauses:
        now += pause
        wait = seconds_to_wait(buckets, "a", per_minute, now)
        taken += wait == 0
        if wait:
            assert seconds_to_wait(Buckets(dict(buckets.tokens)), "a", per_minute, now + wait + 1e-6) == 0
    rate = per_minute / 60
    assert taken <= rate * now + max(1.0, rate * 10) + 1e-6
