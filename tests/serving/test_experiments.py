"""A real server with a challenger beside the champion: who is answered by whom, and how soon it ends when it costs."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import onnx
import pytest

from feature_repo.experiments import EXPERIMENT_KEY, Bounds, Experiment, arm_of
from feature_repo.schema import pseudonym
from feature_repo.slate_rules import Rule
from flows import lake
from flows.answers import batches_of, land_answers
from flows.experiments import Plan, current_experiment, start_experiment, stop_experiment, told_stop
from flows.object_client import object_client
from flows.replays import replay
from flows.settings import Settings as FlowSettings
from flows.slate_rules import publish_rules
from serving.client import Aisle
from tests.serving import tiny_shop
from tests.serving.conftest import Server, own_settings, publish_tiny, release_of, running_server, wait_until
from tests.serving.spoilt_models import be_slow, fail_for_known_users
from tests.serving.test_server import ask, ids, push
from tests.serving.tiny_shop import COFFEE, KEY

pytestmark = pytest.mark.slow

FIRST, SECOND = "r20180101-first", "r20180101-second"
USERS = [f"user {number}" for number in range(40)]


def shop_settings(object_store: FlowSettings, folder: Path, bucket: str) -> FlowSettings:
    """Settings that sign as the tiny shop does."""
    return replace(own_settings(object_store, folder, bucket), signing_key=tiny_shop.SIGNING_KEY)


def publish_spoilt(settings: FlowSettings, shop: Path, spoil: Callable[[onnx.ModelProto], None]) -> str:
    """Upload a release whose model is spoilt, and the sound first one as champion; return the spoilt one's id."""
    name = "r20180101-spoilt"
    sha256 = tiny_shop.write_release(shop / name, shop / "registry.db", name, spoil=spoil)
    tiny_shop.publish(object_client(settings), settings.object_store.bucket, shop / name, sha256)
    publish_tiny(settings, shop, FIRST)
    return name


def question(user: str) -> dict:
    """A question for which the model is run, whoever asks."""
    return {"user_id": user, "k": 5, "context": {"session_items": [COFFEE]}}


def in_arm(experiment: Experiment, arm: str) -> list[str]:
    return [user for user in USERS if arm_of(experiment, pseudonym(user, KEY))[0] == arm]


def until_arms(server: Server, experiment: Experiment) -> None:
    """Wait until the server takes part."""
    wait_until(lambda: "experiment" in ask(server, question(in_arm(experiment, "champion")[0])), 20)


def test_each_user_is_answered_by_their_arm_which_the_answer_and_the_log_say(
    object_store: FlowSettings, shop: Path, tmp_path: Path
):
    settings = shop_settings(object_store, tmp_path, "ab-tests")
    publish_tiny(settings, shop, SECOND)
    publish_tiny(settings, shop, FIRST)
    with running_server(settings, shop) as server:
        wait_until(lambda: release_of(server) == FIRST, 30)
        assert "experiment" not in ask(server, question("user 0"))
        experiment = start_experiment(settings, Plan(SECOND, "ab", 0.5))
        until_arms(server, experiment)
        expected = {user: arm_of(experiment, pseudonym(user, KEY))[0] for user in USERS}
        assert set(expected.values()) == {"champion", "challenger"}
        with ThreadPoolExecutor(8) as pool:
            asked = USERS * 3
            answers = list(pool.map(lambda user: ask(server, question(user)), asked))
        for user, answer in zip(asked, answers, strict=True):
            said = answer["experiment"]
            assert (said["experiment_id"], said["arm"]) == (experiment.experiment_id, expected[user])
            assert (said["propensity"], said["challenger_ranks"]) == (0.5, None)
            assert answer["release_id"] == (SECOND if expected[user] == "challenger" else FIRST)
        typed = [Aisle(server.url).recommend(user) for user in USERS[:6]]
        assert [slate.arm for slate in typed] == [expected[user] for user in USERS[:6]]
        assert Aisle(server.url).recommend().arm is None
        nobody = ask(server, {"k": 3})
        assert (nobody["release_id"], "experiment" in nobody) == (FIRST, False)
        stop_experiment(settings, "seen enough")
        wait_until(lambda: "experiment" not in ask(server, question(in_arm(experiment, "challenger")[0])), 20)
        assert {ask(server, question(user))["release_id"] for user in USERS} == {FIRST}
    land_answers(settings)
    rows = [row for row in lake.read_table(settings, "answers").to_pylist() if row["experiment_id"]]
    assert {row["arm"] for row in rows} == {"champion", "challenger"}
    assert {row["propensity"] for row in rows} == {0.5}
    found = replay(settings, batches_of(settings, [row["request_id"] for row in rows]))
    assert [row["request_id"] for row in rows if not found[row["request_id"]]["same"]] == []


def test_interleaved_slates_say_whose_each_place_is_and_are_computed_again(
    object_store: FlowSettings, shop: Path, tmp_path: Path
):
    settings = shop_settings(object_store, tmp_path, "interleaved-tests")
    other = "r20180101-other"
    sha256 = tiny_shop.write_release(shop / other, shop / "registry.db", other, factor=-1.0)
    tiny_shop.publish(object_client(settings), settings.object_store.bucket, shop / other, sha256)
    publish_tiny(settings, shop, FIRST)
    experiment = start_experiment(settings, Plan(other, "interleave", 0.5))
    mixed = in_arm(experiment, "interleaved")
    with running_server(settings, shop) as server:
        until_arms(server, experiment)
        alone = {user: ids(ask(server, question(user))) for user in in_arm(experiment, "champion")}
        (best,) = {tuple(slate) for slate in alone.values()}
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda user: ask(server, question(user)), mixed * 3))
        both = (mixed[0], in_arm(experiment, "champion")[0])
        for user in both:
            few = ask(server, question(user) | {"limits": {"per_brand": 1}})
            drawn = ask(server, question(user) | {"exploration": {"share": 0.5, "seed": "a"}})
            assert all("experiment" not in answer for answer in (few, drawn)), "limits and chance hold for one release"
            assert [item["brand"] for item in few["slate"]].count("Maker") == 1
        published, _ = publish_rules(settings, (Rule("pin", item="i12", place=3),))
        wait_until(lambda: ask(server, question(mixed[0]))["rules_id"] == published.rules_id, 20)
        pinned = [ask(server, question(user)) for user in both]
        assert [(ids(answer)[2], "experiment" in answer) for answer in pinned] == [("i12", False)] * 2
        assert "experiment" in ask(server, question(mixed[0]) | {"k": 2}), "the slate ends before the pin's place"
    ranks = {tuple(answer["experiment"]["challenger_ranks"]) for answer in answers}
    assert len(ranks) > 4, "each draft is drawn anew"
    for answer in answers:
        places, own = ids(answer), answer["experiment"]["challenger_ranks"]
        assert [item["rank"] for item in answer["slate"]] == [1, 2, 3, 4, 5]
        assert len(set(places)) == 5
        champions = [item for rank, item in enumerate(places, 1) if rank not in own]
        assert champions == [item for item in best if item in champions], "in the champion's order"
        assert set(places) - set(best), "both had their turn"
    land_answers(settings)
    rows = [row for row in lake.read_table(settings, "answers").to_pylist() if row["arm"] == "interleaved"]
    assert len(rows) >= len(answers)
    found = replay(settings, batches_of(settings, [row["request_id"] for row in rows]))
    assert [name for name, each in found.items() if not each["same"]] == []


def test_an_experiment_that_we_did_not_sign_or_with_another_champion_changes_nothing(
    object_store: FlowSettings, shop: Path, tmp_path: Path
):
    settings = shop_settings(object_store, tmp_path, "forged-experiments")
    publish_tiny(settings, shop, SECOND)
    publish_tiny(settings, shop, FIRST)
    client, bucket = object_client(settings), settings.object_store.bucket
    experiment = start_experiment(settings, Plan(SECOND, "ab", 0.5))
    good = client.get_object(Bucket=bucket, Key=EXPERIMENT_KEY)["Body"].read()
    with running_server(settings, shop) as server:
        until_arms(server, experiment)
        forged = json.loads(good)
        forged["experiment"]["share"] = 0.9
        for bad in (json.dumps(forged).encode(), b"nonsense"):
            client.put_object(Bucket=bucket, Key=EXPERIMENT_KEY, Body=bad)
            wait_until(lambda: "experiment" not in ask(server, question("user 0")), 20)
            client.put_object(Bucket=bucket, Key=EXPERIMENT_KEY, Body=good)
            until_arms(server, experiment)
        publish_tiny(settings, shop, SECOND)
        wait_until(lambda: release_of(server) == SECOND, 20)
        assert "experiment" not in ask(server, question("user 0"))


@pytest.mark.parametrize(
    ("spoil", "bounds", "burns"),
    [
        pytest.param(fail_for_known_users, Bounds(), "errors", id="errs"),
        pytest.param(be_slow, Bounds(slow_ms=25), "slow", id="slow"),
    ],
)
def test_a_challenger_that_costs_gets_no_more_traffic_within_a_minute_and_nobody_goes_without(
    object_store: FlowSettings, shop: Path, tmp_path: Path, spoil: Callable, bounds: Bounds, burns: str
):
    settings = shop_settings(object_store, tmp_path, f"burning-{burns}")
    name = publish_spoilt(settings, shop, spoil)
    with running_server(settings, shop) as server, running_server(settings, shop) as other:
        wait_until(lambda: release_of(server) == release_of(other) == FIRST, 30)
        experiment = start_experiment(settings, Plan(name, "canary", 0.5, bounds=bounds))
        challenged = in_arm(experiment, "challenger")
        until_arms(server, experiment)
        until_arms(other, experiment)
        began, asked = time.monotonic(), 0
        while "experiment" in ask(server, question(challenged[asked % len(challenged)])):
            asked += 1
            assert time.monotonic() - began < 60, "the challenger still has traffic after a minute"
        assert asked < 30
        wait_until(lambda: "experiment" not in ask(other, question(challenged[0])), 20)
        found = told_stop(settings, experiment)
        assert found is not None
        assert found["reason"].startswith(burns)
        assert {ids(ask(server, question(user)))[0] for user in challenged} == {COFFEE}


def test_a_challenger_whose_slates_nobody_clicks_ends(object_store: FlowSettings, shop: Path, tmp_path: Path):
    settings = shop_settings(object_store, tmp_path, "burning-clicks")
    publish_tiny(settings, shop, SECOND)
    publish_tiny(settings, shop, FIRST)
    experiment = start_experiment(settings, Plan(SECOND, "ab", 0.5))
    with running_server(settings, shop) as server:
        until_arms(server, experiment)
        with httpx.Client(trust_env=False) as client:
            for number in range(400):
                user = f"clicker {number}"
                answer = client.post(f"{server.url}/v1/recommendations", json=question(user)).json()
                if answer.get("experiment", {}).get("arm") == "champion":
                    item = answer["slate"][0]["item_id"]
                    push(server, {"user_id": user, "item_id": item, "event_type": "view"})
        wait_until(lambda: told_stop(settings, experiment) is not None, 20)
        assert told_stop(settings, experiment)["reason"].startswith("click-through")
    assert current_experiment(settings).running, "it is the flow that writes the end down"


def test_mixed_slates_do_not_end_for_the_clicks_on_slates_of_the_champion_alone(
    object_store: FlowSettings, shop: Path, tmp_path: Path
):
    settings = shop_settings(object_store, tmp_path, "mixed-clicks")
    publish_tiny(settings, shop, SECOND)
    publish_tiny(settings, shop, FIRST)
    experiment = start_experiment(settings, Plan(SECOND, "interleave", 0.5))
    with running_server(settings, shop) as server:
        until_arms(server, experiment)
        for number in range(300):
            user = f"clicker {number}"
            answer = ask(server, question(user))
            push(server, {"user_id": user, "item_id": answer["slate"][0]["item_id"], "event_type": "view"})
        time.sleep(2)
        assert told_stop(settings, experiment) is None
        assert "experiment" in ask(server, question(in_arm(experiment, "interleaved")[0]))
