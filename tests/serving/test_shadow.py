"""A challenger that answers unseen: compared, logged, stopped when it fails, and never waited for."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.slate_rules import Rule
from flows import lake
from flows.answers import land_answers, land_shadows
from flows.experiment_report import page_of, report_of
from flows.experiments import Plan, start_experiment, stop_experiment, told_stop
from flows.object_client import object_client
from flows.settings import Settings as FlowSettings
from flows.slate_rules import publish_rules
from serving.shadow_answers import compare_slates
from tests.serving import tiny_shop
from tests.serving.conftest import Server, publish_tiny, release_of, running_server, wait_until
from tests.serving.spoilt_models import fail_for_known_users
from tests.serving.test_experiments import FIRST, USERS, publish_spoilt, question, shop_settings
from tests.serving.test_server import ask
from tests.serving.tiny_shop import COFFEE

items = st.lists(st.sampled_from("abcdefgh"), unique=True)


def publish_other(settings: FlowSettings, shop: Path, name: str, factor: float) -> str:
    """Upload a release beside the first one, which is champion."""
    sha256 = tiny_shop.write_release(shop / name, shop / "registry.db", name, factor)
    tiny_shop.publish(object_client(settings), settings.object_store.bucket, shop / name, sha256)
    publish_tiny(settings, shop, FIRST)
    return name


def challengers(server: Server) -> list[int]:
    """The processes that the server has started."""
    children = Path(f"/proc/{server.process.pid}/task").glob("*/children")
    return [int(pid) for path in children for pid in path.read_text().split()]


def compared(settings: FlowSettings) -> list[dict]:
    land_shadows(settings)
    return lake.read_table(settings, "shadows").to_pylist()


def asked_until_compared(server: Server, settings: FlowSettings, count: int) -> list[dict]:
    """Ask until the challenger has answered, too."""

    def enough() -> bool:
        answers = [ask(server, question(user)) for user in USERS[:10]]
        assert {answer["release_id"] for answer in answers} == {FIRST}
        assert not [answer for answer in answers if "experiment" in answer], "unseen"
        return len(compared(settings)) >= count

    wait_until(enough, 40)
    return compared(settings)


def compared_under_rules(server: Server, settings: FlowSettings) -> list[dict]:
    """Ask once more; return the comparisons of answers under rules (a slow challenger is still at older ones)."""
    assert all(ask(server, question(user))["rules_id"] is not None for user in USERS[:10])
    land_answers(settings)
    answers = lake.read_table(settings, "answers").to_pylist()
    ruled = {row["request_id"] for row in answers if row["rules_id"] is not None}
    return [row for row in compared(settings) if row["request_id"] in ruled]


@pytest.mark.slow
@pytest.mark.parametrize(("factor", "alike"), [(1.0, True), (-1.0, False)])
def test_unseen_slates_are_compared_and_logged(
    object_store: FlowSettings, shop: Path, tmp_path: Path, factor: float, alike: bool
):
    settings = shop_settings(object_store, tmp_path, f"shadow-{'same' if alike else 'other'}")
    name = publish_other(settings, shop, "r20180101-beside", factor)
    experiment = start_experiment(settings, Plan(name, "shadow", 1.0))
    with running_server(settings, shop) as server:
        rows = asked_until_compared(server, settings, 30)
        publish_rules(settings, (Rule("block", item=COFFEE),))
        wait_until(lambda: ask(server, question("user 1"))["rules_id"] is not None, 20)
        wait_until(lambda: len(compared_under_rules(server, settings)) >= 10, 40)
        ruled = compared_under_rules(server, settings)
        stop_experiment(settings, "seen enough")
        wait_until(lambda: challengers(server) == [], 20)
    assert {(row["release_id"], row["champion"], row["error"]) for row in rows} == {(name, FIRST, None)}
    assert {row["overlap"] == 1.0 for row in rows} == {alike}
    if alike:
        assert {row["correlation"] for row in rows} == {1.0}
        assert COFFEE in rows[0]["slate"]
    assert not [row for row in ruled if COFFEE in row["slate"]], "the challenger follows the rules"
    land_answers(settings)
    answered = set(lake.read_table(settings, "answers")["request_id"].to_pylist())
    assert {row["request_id"] for row in rows} <= answered
    report = report_of(settings, experiment)
    assert ("100.0% are the same" in report.sentence) == alike
    assert "data:image/png" in page_of(report)


@pytest.mark.slow
def test_a_challenger_that_fails_unseen_is_asked_no_more(object_store: FlowSettings, shop: Path, tmp_path: Path):
    settings = shop_settings(object_store, tmp_path, "shadow-fails")
    name = publish_spoilt(settings, shop, fail_for_known_users)
    experiment = start_experiment(settings, Plan(name, "shadow", 1.0))
    with running_server(settings, shop) as server:
        wait_until(lambda: release_of(server) == FIRST, 30)

        def stopped() -> bool:
            answers = [ask(server, question(user)) for user in USERS[:5]]
            assert {answer["source"] for answer in answers} == {"session"}
            return told_stop(settings, experiment) is not None

        wait_until(stopped, 40)
        assert told_stop(settings, experiment)["reason"].startswith("errors")


@pytest.mark.slow
def test_nobody_waits_for_a_challenger_that_hangs(object_store: FlowSettings, shop: Path, tmp_path: Path):
    settings = shop_settings(object_store, tmp_path, "shadow-hangs")
    name = publish_other(settings, shop, "r20180101-hangs", 2.0)
    start_experiment(settings, Plan(name, "shadow", 1.0))
    with running_server(settings, shop) as server:
        asked_until_compared(server, settings, 10)
        (challenger,) = challengers(server)
        os.kill(challenger, signal.SIGSTOP)
        try:
            answers = [ask(server, {**question(USERS[n % 40]), "k": 20}) for n in range(400)]
            assert {answer["release_id"] for answer in answers} == {FIRST}
            landed = [land_answers(settings)]
            wait_until(lambda: sum(landed) >= 400 or bool(landed.append(land_answers(settings))), 20)
            publish_tiny(settings, shop, "r20180101-second")
            wait_until(lambda: release_of(server) == "r20180101-second", 20)  # the champion is followed all the same
        finally:
            os.kill(challenger, signal.SIGCONT)
        wait_until(lambda: challengers(server) == [], 20)


def test_two_slates_are_compared_by_what_both_have_and_in_which_order():
    same = compare_slates("abcd", "abcd")
    assert (same.overlap, same.correlation) == (1.0, 1.0)
    turned = compare_slates("abcd", "dcba")
    assert (turned.overlap, turned.correlation) == (1.0, -1.0)
    one = compare_slates("abcd", "axyz")
    assert (one.overlap, one.correlation) == (0.25, None)
    assert compare_slates("abcd", "bacd").correlation == pytest.approx(2 / 3)
    assert compare_slates("", "").overlap == 1.0


@given(items, items)
def test_comparing_is_the_same_from_either_side(ours: list, theirs: list):
    one, other = compare_slates(ours, theirs), compare_slates(theirs, ours)
    assert one == other
    assert 0 <= one.overlap <= 1
