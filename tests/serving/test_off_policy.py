"""From a server that explores to the estimate of a release that nobody has seen."""

from pathlib import Path

import httpx
import pytest

from flows.answers import land_answers
from flows.off_policy import NothingDrawn, estimate_release
from flows.settings import Settings as FlowSettings
from tests.serving.conftest import release_of, running_server, wait_until
from tests.serving.test_experiments import FIRST, question, shop_settings
from tests.serving.test_server import push
from tests.serving.test_shadow import publish_other

CLICKERS = 150


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
        for number in range(CLICKERS):
            asked = {**question(f"clicker {number}"), "k": 4, "exploration": {"share": 0.5}}
            slate = client.post(f"{server.url}/v1/recommendations", json=asked).json()["slate"]
            liked = [item["item_id"] for item in slate if item["item_id"] not in champions]
            for item in liked:
                push(server, {"user_id": f"clicker {number}", "item_id": item, "event_type": "view"})
    land_answers(settings)
    found = estimate_release(settings, upside_down)
    assert (found.users, found.places, found.champion) == (CLICKERS, 4 * CLICKERS, 0.0)
    assert found.challenger > 0.5
    assert found.low > 0
    assert estimate_release(settings, FIRST).difference == 0
