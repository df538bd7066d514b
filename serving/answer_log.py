"""Each answered slate as a line on disk: the question, the features as read, release and rules, the answer's bytes.

Questions answered together share a batch id: their floats come from one run of the model, so they are replayed
together. One thread writes, many lines at a time; nobody waits for the disk, and what finds no room is counted, not
waited for.
"""

import logging
import queue
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from serving.contract import Recommendations
from serving.exposure import TrialRecommendations
from serving.history import Columns, Habit, Interaction, UserRow, as_columns
from serving.metrics import Metrics
from serving.recommender import Question
from serving.spool import append_lines

LOG = logging.getLogger("serving")
KIND = "answers"
#: How an answer is written out, to callers and to the log alike.
ANSWER_OPTIONS = orjson.OPT_UTC_Z
#: Answers that may wait for the disk, about 44 KB each with the row of a user who did much: 70 MB.
MOST_WAITING = 1_600
#: Batches written at once.
LONGEST_WRITE = 200
#: Seconds that the writer gathers batches for: each write to the disk is CPU time that a shopper could have.
GATHERED_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Written:
    """An answer, and the bytes that its asker gets and that are logged."""

    answer: Recommendations
    body: bytes


def written(answers: Iterable[Recommendations]) -> list[Written]:
    """Write answers out, once."""
    return [Written(answer, orjson.dumps(answer, option=ANSWER_OPTIONS)) for answer in answers]


@dataclass(frozen=True, slots=True)
class AnsweredBatch:
    """Questions that were answered together at `now`; all lists in one order. None in `rows` could not be read.

    `answered_at` is that moment by the wall, as events have theirs.
    """

    request_ids: Sequence[str]
    questions: Sequence[Question]
    rows: Sequence[UserRow | None]
    now: datetime
    answers: Sequence[Written]
    answered_at: datetime = field(default_factory=lambda: datetime.now(UTC))


def _nobody(_: list[bytes]) -> None:
    """Hear nothing."""


@dataclass
class AnswerLog:
    """The open end of one process's log; `share` of the batches is kept, 0 keeps none.

    `overheard` is told each line before it is written; it must not wait. `unwritten` counts the answers that wait.
    """

    folder: Path
    share: float
    metrics: Metrics
    overheard: Callable[[list[bytes]], None] = _nobody
    waiting: "queue.SimpleQueue[AnsweredBatch | None]" = field(default_factory=queue.SimpleQueue)
    writer: threading.Thread | None = None
    unwritten: int = 0
    counting: threading.Lock = field(default_factory=threading.Lock)


def start_answer_log(log: AnswerLog) -> None:
    """Begin to write."""
    if log.share > 0:
        log.writer = threading.Thread(target=_write_on, args=(log,), name="answer-log", daemon=True)
        log.writer.start()


def stop_answer_log(log: AnswerLog) -> None:
    """Write what waits, and end; a disk that hangs is not waited for."""
    if log.writer is not None:
        log.waiting.put(None)
        log.writer.join(10)


def new_request_id() -> str:
    """Return a fresh id of one answer."""
    return f"q_{random.getrandbits(96):024x}"  # no secret; the generator begins at the system's, in each process


def note_answers(log: AnswerLog, batch: AnsweredBatch) -> None:
    """Hand a batch over to be written; never waits, never raises."""
    if log.writer is None or (log.share < 1 and random.random() >= log.share):
        return
    with log.counting:
        fits = log.unwritten + len(batch.answers) <= MOST_WAITING
        log.unwritten += len(batch.answers) if fits else 0
    if fits:
        log.waiting.put(batch)
    else:
        log.metrics.answers_unlogged.inc(len(batch.answers))


def _write_on(log: AnswerLog) -> None:
    ended = False
    while not ended:
        batches = [log.waiting.get()]
        if batches[0] is not None:
            time.sleep(GATHERED_SECONDS)
        while len(batches) < LONGEST_WRITE and not log.waiting.empty():
            batches.append(log.waiting.get())
        ended = None in batches
        _write(log, [batch for batch in batches if batch is not None])


def _write(log: AnswerLog, batches: Sequence[AnsweredBatch]) -> None:
    """Write batches to the disk; what cannot be written is counted, and never the end of the log."""
    lines = [line for batch in batches for line in _lines(log, batch)]
    try:
        log.overheard(lines)
        append_lines(log.folder, KIND, b"".join(lines))
    except Exception as error:
        _note_lost(log, len(lines), error)
    with log.counting:
        log.unwritten -= sum(len(batch.answers) for batch in batches)


def _note_lost(log: AnswerLog, answers: int, error: Exception) -> None:
    log.metrics.answers_unlogged.inc(answers)
    LOG.warning("%d answers could not be logged: %s", answers, type(error).__name__)


def _lines(log: AnswerLog, batch: AnsweredBatch) -> Iterator[bytes]:
    """Write answers out as lines, without those that cannot be: a row may hold what is no JSON."""
    batch_id = f"b_{secrets.token_hex(12)}"
    for place in range(len(batch.answers)):
        try:
            yield _line(batch, place, batch_id)
        except Exception as error:
            _note_lost(log, 1, error)


def _line(batch: AnsweredBatch, place: int, batch_id: str) -> bytes:
    question, given = batch.questions[place], batch.answers[place]
    answer = given.answer
    exposure = answer.experiment if isinstance(answer, TrialRecommendations) else None
    line = {
        "request_id": batch.request_ids[place],
        "batch_id": batch_id,
        "place": place,
        "answered_at": batch.answered_at.isoformat(),
        "as_of": batch.now.isoformat(),
        "release_id": answer.release_id,
        "rules_id": answer.rules_id,
        "user_id": question.pseudonym,
        "experiment_id": exposure and exposure.experiment_id,
        "arm": exposure and exposure.arm,
        "propensity": exposure and exposure.propensity,
        "question": orjson.dumps(question).decode(),
        "features": orjson.dumps(plain_row(batch.rows[place])).decode(),
        "answer": given.body.decode(),
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def plain_row(row: UserRow | None) -> dict[str, Any] | None:
    """Return a row as plain lists of tuples."""
    if row is None:
        return None
    return {
        "history": _rows(as_columns(Interaction, row.history)),
        "habits": _rows(as_columns(Habit, row.habits)),
        "history_stored_at": row.history_stored_at,
        "habits_stored_at": row.habits_stored_at,
    }


def _rows(entries: Columns[Any]) -> list[tuple[Any, ...]]:
    return [*zip(*entries.columns, strict=True)]
