"""A user whose stored row makes no sense gets what is popular, and costs nobody else anything; the log has it all."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import orjson
import pytest

from feature_repo.features import USER_HABITS
from feature_repo.online_format import entity_key, table_name
from feature_repo.schema import pseudonym
from flows import lake
from flows.answers import batches_of, land_answers
from flows.replays import replay
from flows.settings import Settings as FlowSettings
from serving.answer_log import plain_row
from serving.feast_values import registry_project, write_list
from serving.history import Habit, UserRow
from serving.last_resort import LAST_RESORT, recommend_at_any_rate
from serving.metrics import make_metrics
from serving.recommender import Question
from serving.release import Release
from serving.shadow_answers import shadow_row
from tests.serving.conftest import Server, own_settings, publish_tiny, release_of, running_server, wait_until
from tests.serving.test_server import ask, ids, push
from tests.serving.tiny_shop import AS_OF, KEY, MILK, REGULAR

ODD = pseudonym("odd", KEY)


@pytest.fixture(scope="module")
def server(object_store: FlowSettings, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over an online store in which one user's counts are text."""
    folder = tmp_path_factory.mktemp("last_resort")
    settings = own_settings(object_store, folder, "last-resort")
    publish_tiny(settings, tiny_folder, "r20180101-first")
    (folder / "shop").mkdir()
    with sqlite3.connect(tiny_folder / "online.db") as whole, sqlite3.connect(folder / "shop" / "online.db") as copy:
        whole.backup(copy)
    with running_server(settings, folder / "shop") as server:
        wait_until(lambda: release_of(server) is not None, 30)
        push(server, {"user_id": "odd", "item_id": MILK, "event_type": "purchase"})
        table = table_name(registry_project(tiny_folder / "registry.db"), USER_HABITS.name)
        spoil = f'UPDATE "{table}" SET value = ? WHERE entity_key = ? AND feature_name = ?'
        with sqlite3.connect(folder / "shop" / "online.db") as store:
            key = entity_key(USER_HABITS.key, ODD)
            store.execute(spoil, (write_list("list<string>", ["1"]), key, "habit_counts"))
        yield server


def test_a_batch_with_such_a_user_gives_everybody_else_their_own_slate(server: Server):
    asked = {"pseudonyms": [REGULAR, ODD], "user_ids": ["nobody"], "k": 4}
    answer = httpx.post(f"{server.url}/v1/recommendations/batch", json=asked, trust_env=False)
    assert answer.status_code == 200, answer.text
    nobody, regular, odd = answer.json()["slates"]
    assert ids(regular) == ids(ask(server, {"pseudonym": REGULAR, "k": 4}))
    assert (regular["source"], nobody["source"], odd["source"]) == ("personalised", "popular", "popular")
    assert (odd["user"], odd["notes"], ids(odd)) == (ODD, [LAST_RESORT], ids(nobody))


def test_the_page_of_such_a_user_is_there(server: Server):
    page = httpx.get(server.url, params={"user": ODD}, trust_env=False)
    assert page.status_code == 200
    assert page.text.count("data-item") >= 12


def test_what_such_a_user_got_is_logged_and_computed_again_to_the_byte(server: Server):
    answer = httpx.post(f"{server.url}/v1/recommendations", json={"pseudonym": ODD, "k": 3}, trust_env=False)
    assert (answer.status_code, answer.json()["notes"]) == (200, [LAST_RESORT])
    name, found = answer.headers["x-request-id"], dict[str, str]()

    def landed() -> bool:
        land_answers(server.settings)
        found.update(
            (row["request_id"], row["answer"]) for row in lake.read_table(server.settings, "answers").to_pylist()
        )
        return name in found

    wait_until(landed, 20)
    assert found[name] == answer.text
    assert replay(server.settings, batches_of(server.settings, [name]))[name]["same"]
    assert "TypeError at" in (server.home / "serving.log").read_text()


def test_a_row_at_which_the_champion_failed_is_not_held_against_the_challenger(release: Release):
    question, metrics = Question(ODD, 3), make_metrics()
    row = UserRow((), (Habit(MILK, "1", 1_500_000_000),))
    (answer,) = recommend_at_any_rate(release, [question], AS_OF, metrics, [row])
    logged = {
        "request_id": "q_1",
        "answered_at": "",
        "as_of": AS_OF.isoformat(),
        "release_id": release.release_id,
        "user_id": ODD,
        "question": orjson.dumps(question),
        "features": orjson.dumps(plain_row(row)),
        "answer": orjson.dumps(answer),
    }
    assert (answer.source, answer.notes) == ("popular", [LAST_RESORT])
    assert shadow_row(release, logged, metrics)["error"] is None
    sound = orjson.dumps(replace(answer, notes=[]))
    assert shadow_row(release, {**logged, "answer": sound}, metrics)["error"].startswith("TypeError")
