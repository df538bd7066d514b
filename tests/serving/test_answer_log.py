"""The log of answers outlives what it cannot write, holds a bounded number of answers, and keeps nobody from ending."""

import json
import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from feature_repo.online_format import entity_key, table_name
from feature_repo.schema import pseudonym
from flows.settings import Settings as FlowSettings
from serving.answer_log import (
    MOST_WAITING,
    AnsweredBatch,
    AnswerLog,
    new_request_id,
    note_answers,
    start_answer_log,
    stop_answer_log,
    written,
)
from serving.feast_values import read_value, registry_project, write_list
from serving.history import Interaction, UserRow
from serving.metrics import Metrics, make_metrics
from serving.recommender import Question, recommend
from serving.release import Release
from tests.serving.conftest import own_settings, publish_tiny, release_of, running_server, wait_until
from tests.serving.tiny_shop import AS_OF, COFFEE, KEY, REGULAR

pytestmark = pytest.mark.slow

#: A list of bytes as Feast keeps it has the number 11, one of strings 12; lines of JSON hold strings alone.
_BYTES_LIST, _STRING_LIST = b"\x5a", b"\x62"


def answered(release: Release, *rows: UserRow | None) -> AnsweredBatch:
    questions = [Question(REGULAR, 2)] * len(rows)
    answers = [recommend(release, question, AS_OF, make_metrics()) for question in questions]
    return AnsweredBatch([new_request_id() for _ in rows], questions, rows, AS_OF, written(answers))


def unlogged(metrics: Metrics) -> float:
    return metrics.answers_unlogged._value.get()


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]


def test_an_answer_that_is_no_json_is_counted_and_its_neighbours_are_logged(release: Release, tmp_path: Path):
    metrics = make_metrics()
    log = AnswerLog(tmp_path, 1.0, metrics)
    start_answer_log(log)
    odd = UserRow(history=(Interaction(b"i01", "view", 5),))  # type: ignore[arg-type]
    batches = [answered(release, UserRow(), odd, None), answered(release, UserRow())]
    for batch in batches:
        note_answers(log, batch)
    stop_answer_log(log)
    first, last = batches
    logged = [(line["request_id"], line["place"]) for line in lines(tmp_path)]
    assert logged == [(first.request_ids[0], 0), (first.request_ids[2], 2), (last.request_ids[0], 0)]
    assert unlogged(metrics) == 1


@pytest.fixture
def hung_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A disk on which nothing ends until the function is called."""
    well, whole = threading.Event(), os.fsync

    def fsync(file: int) -> None:
        well.wait(60)
        whole(file)

    monkeypatch.setattr(os, "fsync", fsync)
    return well.set


def test_a_log_whose_disk_hangs_holds_a_bounded_number_of_answers(
    release: Release, tmp_path: Path, hung_disk: Callable[[], None]
):
    metrics = make_metrics()
    log = AnswerLog(tmp_path, 1.0, metrics)
    start_answer_log(log)
    batch = answered(release, *[UserRow()] * 32)
    for _ in range(MOST_WAITING // 32 + 3):
        note_answers(log, batch)
    assert (log.unwritten, unlogged(metrics)) == (MOST_WAITING, 96)
    hung_disk()
    wait_until(lambda: log.unwritten == 0, 20)
    note_answers(log, batch)
    stop_answer_log(log)
    assert (len(lines(tmp_path)), unlogged(metrics)) == (MOST_WAITING + 32, 96)


def test_a_log_whose_disk_hangs_can_be_told_to_stop(release: Release, tmp_path: Path, hung_disk: Callable[[], None]):
    log = AnswerLog(tmp_path, 1.0, make_metrics())
    start_answer_log(log)
    batch = answered(release, UserRow())
    for _ in range(2 * MOST_WAITING):
        note_answers(log, batch)
    stopping = threading.Thread(target=stop_answer_log, args=(log,), daemon=True)
    stopping.start()
    stopping.join(40)
    assert not stopping.is_alive()
    hung_disk()


def test_a_server_whose_store_holds_an_odd_row_goes_on_logging_and_ends_when_told(
    object_store: FlowSettings, shop: Path, tmp_path: Path
):
    settings = own_settings(object_store, tmp_path, "answer-log")
    publish_tiny(settings, shop, "r20180101-first")
    table, key = table_name(registry_project(shop / "registry.db"), "user_history"), pseudonym("odd", KEY)
    with running_server(settings, shop) as server, httpx.Client(base_url=server.url, trust_env=False) as client:
        wait_until(lambda: release_of(server) is not None, 30)
        event = {"pseudonym": key, "item_id": COFFEE, "event_type": "view"}
        client.post("/v1/events", json={"events": [event]}).raise_for_status()
        stored = write_list("list<string>", [COFFEE]).replace(_STRING_LIST, _BYTES_LIST, 1)
        assert read_value(stored) == [COFFEE.encode()]
        with sqlite3.connect(shop / "online.db") as connection:
            change = f'UPDATE "{table}" SET value = ? WHERE entity_key = ? AND feature_name = ?'
            changed = connection.execute(change, (stored, entity_key("user_id", key), "history_item_ids"))
            assert changed.rowcount == 1
        ids = [
            client.post("/v1/recommendations", json={"pseudonym": user, "k": 2}).headers["x-request-id"]
            for user in (REGULAR, key, REGULAR)
        ]
        folder = settings.home / "spool" / "answers"
        wait_until(lambda: ids[2] in {line["request_id"] for line in lines(folder)}, 20)
        assert ids[1] not in {line["request_id"] for line in lines(folder)}
        assert "aisle_answers_unlogged_total 1.0" in client.get("/metrics").text
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) in (0, -signal.SIGTERM)
