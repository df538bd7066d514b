"""From a server that explores to the estimate of a release that nobody has seen."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from flows.answers import land_answers
from flows.off_policy import NothingDrawn, estimate_release, off_policy_check
from flows.settings import Settings as FlowSettings
from tests.serving.conftest import Server, release_of, running_server, wait_until
from tests.serving.test_experiments import FIRST, question, shop_settings
from tests.serving.test_server import push
from tests.serving.test_shadow import publish_other
from training.gate_checks import GateCheck

pytestmark = pytest.mark.slow
CLICKERS = 250


def check_of(settings: FlowSettings, folder: Path) -> GateCheck:
    """What the gate says of a release that is not stored yet."""
    return off_policy_check(settings, folder, json.loads((folder / "manifest.json").read_text()))


def explore(client: httpx.Client, server: Server, wanted: Callable[[str], bool]) -> None:
    """Let users meet slates with drawn places, and view what is wanted in them."""
    for number in range(CLICKERS):
        asked = {**question(f"clicker {number}"), "k": 4, "exploration": {"share": 0.5, "seed": "tea"}}
        slate = client.post(f"{server.url}/v1/recommendations", json=asked).json()["slate"]
        for item in [item["item_id"] for item in slate if wanted(item["item_id"])]:
            push(server, {"user_id": f"clicker {number}", "item_id": item, "event_type": "view"})


def test_a_release_that_would_show_what_is_clicked_is_worth_more(
    object_store: FlowSettings, shop: Path, tmp_path: Path
):
    settings = shop_settings(object_store, tmp_path, "off-policy")
    upside_down = publish_other(settings, shop, "r20180101-turned", -1.0)
    with pytest.raises(NothingDrawn, match="exploration"):
        estimate_release(settings, upside_down)
    with running_server(settings, shop) as server, httpx.Client(trust_env=False) as client:
        wait_until(lambda: release_of(server) == FIRST, 30)
        plain = client.post(f"{server.url}/v1/recommendations", json={**question("nobody"), "k": 4}).json()
        champions = {item["item_id"] for item in plain["slate"]}
        explore(client, server, lambda item: item not in champions)
    land_answers(settings)
    assert check_of(settings, shop / FIRST).passed
    check = check_of(settings, shop / upside_down)
    assert check.passed
    assert "clicks a place with the challenger" in check.observed
    found = estimate_release(settings, upside_down)
    assert (found.users, found.places, found.champion) == (CLICKERS, 4 * CLICKERS, 0.0)
    assert found.challenger > 0.5
    assert found.low > 0
    assert estimate_release(settings, FIRST).difference == 0


def test_the_gate_refuses_a_release_that_would_hide_what_is_clicked_and_says_where_it_cannot_judge(
    object_store: FlowSettings, shop: Path, tmp_path: Path
):
    settings = shop_settings(object_store, tmp_path, "off-policy-gate")
    upside_down = publish_other(settings, shop, "r20180101-turned", -1.0)
    check = check_of(settings, shop / upside_down)
    assert (check.passed, check.observed[:10]) == (True, "not judged")
    with running_server(settings, shop) as server, httpx.Client(trust_env=False) as client:
        wait_until(lambda: release_of(server) == FIRST, 30)
        plain = client.post(f"{server.url}/v1/recommendations", json={**question("nobody"), "k": 4}).json()
        champions = {item["item_id"] for item in plain["slate"]}
        explore(client, server, lambda item: item in champions)
    land_answers(settings)
    check = check_of(settings, shop / upside_down)
    assert not check.passed
    assert "0.0000 clicks a place with the challenger" in check.observed
