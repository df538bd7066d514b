"""Answers are logged without a wait, land once, and are computed again to the byte, whatever was released since."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from feature_repo.slate_rules import read_rules_file
from flows import lake
from flows.answers import AnswerUnknown, batches_of, land_answers
from flows.commands.replay import command as replay_command
from flows.object_client import object_client
from flows.replays import replay
from flows.settings import Settings as FlowSettings
from flows.slate_rules import publish_rules
from serving.answer_log import AnsweredBatch, AnswerLog, new_request_id, note_answers, start_answer_log, written
from serving.metrics import make_metrics
from serving.recommender import Question, recommend
from serving.release import Release
from tests.serving.conftest import Server, own_settings, publish_tiny, release_of, running_server, wait_until
from tests.serving.tiny_shop import AS_OF, COFFEE, MILK, REGULAR, point_to

pytestmark = pytest.mark.slow

ANSWERS = 252
BLOCK_COFFEE = f'[[pin]]\nitem = "{COFFEE}"\nplace = 2\n'
QUESTIONS = [
    {"pseudonym": REGULAR, "k": 5},
    {"user_id": "shopper", "k": 7, "exclude": [MILK]},
    {"k": 3, "context": {"session_items": [COFFEE]}},
    {"pseudonym": REGULAR, "k": 4, "filters": {"category": "Grocery > Dairy"}, "language": "zh"},
    {"user_id": "shopper", "k": 6, "diversity": 0.4, "exploration": {"share": 0.5}},
    {"user_id": "shopper", "k": 6, "reasons": "brief"},
    {"k": 2},
]


def ask(server: Server, question: dict) -> tuple[str, str]:
    """The id and the bytes of an answer."""
    answer = httpx.post(f"{server.url}/v1/recommendations", json=question, trust_env=False, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-request-id"], answer.text


@pytest.fixture(scope="module")
def answered(
    object_store: FlowSettings, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[FlowSettings, dict[str, str]]:
    """A home whose server gave many answers, from two releases and with rules, and was told to end."""
    settings = own_settings(object_store, tmp_path_factory.mktemp("replay"), "replay-tests")
    publish_tiny(settings, tiny_folder, "r20180101-first")
    answers: dict[str, str] = {}
    with running_server(settings, tiny_folder) as server, ThreadPoolExecutor(6) as pool:
        wait_until(lambda: release_of(server) == "r20180101-first", 30)
        questions = QUESTIONS * (ANSWERS // 3 // len(QUESTIONS))
        answers |= dict(pool.map(lambda question: ask(server, question), questions))
        event = {"user_id": "shopper", "item_id": COFFEE, "event_type": "purchase"}
        httpx.post(f"{server.url}/v1/events", json={"events": [event]}, trust_env=False).raise_for_status()
        answers |= dict(pool.map(lambda question: ask(server, question), questions))
        publish_rules(settings, read_rules_file(BLOCK_COFFEE))
        publish_tiny(settings, tiny_folder, "r20180101-second")
        wait_until(lambda: json.loads(ask(server, {"k": 1})[1])["release_id"] == "r20180101-second", 30)
        wait_until(lambda: json.loads(ask(server, {"k": 1})[1])["rules_id"] is not None, 30)
        answers |= dict(pool.map(lambda question: ask(server, question), questions))
        sha256 = (tiny_folder / "r20180101-first.sha256").read_text()
        point_to(object_client(settings), settings.object_store.bucket, "r20180101-first", sha256)
    return settings, answers


def test_every_answer_is_computed_again_to_the_byte(answered: tuple[FlowSettings, dict[str, str]]):
    settings, answers = answered
    assert len(answers) == ANSWERS
    landed = land_answers(settings)
    assert landed >= ANSWERS
    assert land_answers(settings) == 0
    rows = {row["request_id"]: row for row in lake.read_table(settings, "answers").to_pylist()}
    assert {name: rows[name]["answer"] for name in answers} == answers
    assert len({row["release_id"] for row in rows.values()}) == 2
    results = replay(settings, batches_of(settings, list(answers)))
    assert {name: results[name]["same"] for name in answers} == dict.fromkeys(answers, True)
    batches = batches_of(settings, list(answers)[:1])
    batches[0][0]["features"] = batches[0][0]["features"].replace(MILK, COFFEE)
    batches[0][0]["answer"] = batches[0][0]["answer"].replace("Milk", "Silk")
    assert not replay(settings, batches)[batches[0][0]["request_id"]]["same"]


def test_a_replay_says_what_made_each_place(
    answered: tuple[FlowSettings, dict[str, str]], monkeypatch: pytest.MonkeyPatch
):
    settings, answers = answered
    found = {name: json.loads(text) for name, text in answers.items()}
    plain = next(name for name, each in found.items() if each["user"] == REGULAR and each["rules_id"] is None)
    ruled = next(name for name, each in found.items() if each["user"] == REGULAR and each["rules_id"] is not None)
    popular = next(name for name, each in found.items() if each["source"] == "popular" and each["rules_id"] is None)
    results = replay(settings, batches_of(settings, [plain, ruled, popular]))
    assert "features" in results[plain]["made_by"]
    assert "rules" not in results[plain]["made_by"]
    assert "rules" in results[ruled]["made_by"]
    assert set(results[popular]["made_by"]) == {"data"}
    with pytest.raises(AnswerUnknown, match="q_nobody"):
        batches_of(settings, ["q_nobody"])
    for name, value in {
        "AISLE_HOME": str(settings.home),
        "AISLE_S3_ENDPOINT_URL": settings.object_store.endpoint_url,
        "AISLE_S3_BUCKET": settings.object_store.bucket,
        "AISLE_S3_SECRET_KEY": settings.object_store.secret_key,
    }.items():
        monkeypatch.setenv(name, value)
    told = CliRunner().invoke(replay_command, [ruled])
    assert told.exit_code == 0, told.output
    assert "1 answers replayed, 0 differ." in told.output
    assert "rules" in told.output


def test_every_slate_of_a_batch_is_logged_and_computed_again_to_the_byte(
    object_store: FlowSettings, tiny_folder: Path, tmp_path: Path
):
    settings = own_settings(object_store, tmp_path, "replay-batches")
    publish_tiny(settings, tiny_folder, "r20180101-first")
    asked = {"pseudonyms": [REGULAR], "user_ids": [f"shopper {number}" for number in range(40)], "k": 4}
    with running_server(settings, tiny_folder) as server:
        wait_until(lambda: release_of(server) == "r20180101-first", 30)
        answer = httpx.post(f"{server.url}/v1/recommendations/batch", json=asked, trust_env=False, timeout=30)
        assert answer.status_code == 200, answer.text
    land_answers(settings)
    given = [json.dumps(each, sort_keys=True) for each in answer.json()["slates"]]
    assert len(given) == 41
    rows = lake.read_table(settings, "answers").to_pylist()
    logged = {row["request_id"]: json.dumps(json.loads(row["answer"]), sort_keys=True) for row in rows}
    assert sorted(name for name in logged.values() if name in given) == sorted(given)
    results = replay(settings, batches_of(settings, list(logged)))
    assert {each["same"] for each in results.values()} == {True}


def test_a_log_that_cannot_keep_up_loses_answers_and_counts_them_but_nobody_waits(release: Release, tmp_path: Path):
    metrics = make_metrics()
    log = AnswerLog(tmp_path / "a file", 1.0, metrics)
    question = Question(REGULAR, 2)
    batch = AnsweredBatch(
        [new_request_id()], [question], [None], AS_OF, written([recommend(release, question, AS_OF, metrics)])
    )
    start_answer_log(replace(log, share=0.0))
    note_answers(log, batch)  # not started: nothing is kept
    assert log.waiting.empty()
    log.folder.write_text("in the way")
    start_answer_log(log)
    note_answers(log, batch)
    wait_until(lambda: metrics.answers_unlogged._value.get() == 1, 20)
