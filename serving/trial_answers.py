"""Questions of shoppers while an experiment runs: each user's arm answers, and the answer says so.

The arm is a salted hash of the pseudonym, so a visitor without one is not part of the experiment. Nor, while slates are
mixed, is a question that two releases cannot answer in one slate, whoever asks it: the arms must stay alike. Whatever
happens to the challenger, a shopper is answered: its failure is counted, and the champion answers for it under the
same arm.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from feature_repo.experiments import CHALLENGER, CHAMPION, INTERLEAVED, arm_of
from serving.answer_log import AnsweredBatch, Written, note_answers, written
from serving.contract import Recommendations
from serving.desk import Desk, answer_questions
from serving.experiment_guard import Tally
from serving.exposure import Exposure, exposed
from serving.history import UserRow
from serving.interleaved_answers import both_slates, draft_seed, interleaved, may_be_mixed
from serving.recommender import UNSCORED, Question, read_rows, recommend_many
from serving.release import Release
from serving.trial import Trial

LOG = logging.getLogger("serving")
Rows = Sequence[UserRow | None]


@dataclass
class _Part:
    """The questions of one arm, their places in the batch, and what the answers say of the experiment."""

    places: list[int] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    rows: list[UserRow | None] = field(default_factory=list)
    request_ids: list[str] = field(default_factory=list)
    exposures: list[Exposure | None] = field(default_factory=list)


def answer_shoppers(
    desk: Desk, release: Release, questions: Sequence[Question], rows: Rows | None, request_ids: Sequence[str]
) -> list[Written]:
    """Answer questions together as `answer_questions` does, those of the challenger's users by the challenger."""
    trial = desk.champion.trial
    challenger = None if trial is None else trial.challenger_of(release)
    if trial is None or challenger is None:
        return answer_questions(desk, release, questions, rows, request_ids)
    known = read_rows(release, questions, desk.metrics) if rows is None else rows
    answers: dict[int, Written] = {}
    exposures = _exposures(desk, trial, (release, challenger), questions)
    for arm, part in _parts(questions, known, request_ids, exposures).items():
        found = _challenged(desk, trial, challenger, part) if arm == CHALLENGER else None
        if arm == INTERLEAVED:
            found = _interleaved(desk, trial, (release, challenger), part)
        if found is None:
            found = answer_questions(desk, release, part.questions, part.rows, part.request_ids, part.exposures)
            if arm == CHAMPION:
                trial.guard.note(CHAMPION, _tally([given.answer for given in found]))
        answers.update(zip(part.places, found, strict=True))
        for given, exposure in zip(found, part.exposures, strict=True):
            answer = given.answer
            if exposure is not None and answer.user is not None:
                trial.guard.note_slate(exposure.arm, answer.user, [item.item_id for item in answer.slate])
    return [answers[place] for place in range(len(questions))]


def _exposures(
    desk: Desk, trial: Trial, releases: tuple[Release, Release], questions: Sequence[Question]
) -> list[Exposure | None]:
    """Return what each answer will say of the experiment, None for one that takes no part."""
    experiment, now = trial.experiment, desk.clock.now(releases[0].as_of)
    exposures: list[Exposure | None] = []
    for question in questions:
        takes_part = experiment.mode != "interleave" or may_be_mixed(releases, question, now)
        if question.pseudonym is None or not takes_part:
            exposures.append(None)
        else:
            exposures.append(Exposure(experiment.experiment_id, *arm_of(experiment, question.pseudonym)))
    return exposures


def _parts(
    questions: Sequence[Question], rows: Rows, request_ids: Sequence[str], exposures: Sequence[Exposure | None]
) -> dict[str | None, _Part]:
    """Part the questions by arm; None is who takes no part."""
    parts: dict[str | None, _Part] = {}
    found = zip(questions, rows, request_ids, exposures, strict=True)
    for place, (question, row, request_id, exposure) in enumerate(found):
        part = parts.setdefault(exposure.arm if exposure else None, _Part())
        part.places.append(place)
        part.questions.append(question)
        part.rows.append(row)
        part.request_ids.append(request_id)
        part.exposures.append(exposure)
    return parts


def _challenged(desk: Desk, trial: Trial, challenger: Release, part: _Part) -> list[Written] | None:
    """Answer by the challenger; None when it fails: the champion then answers for it."""
    began, now = time.perf_counter(), desk.clock.now(challenger.as_of)
    try:
        answers = recommend_many(challenger, part.questions, now, desk.metrics, part.rows)
    except Exception:
        LOG.exception("the challenger %s failed", trial.experiment.challenger)
        count = len(part.questions)
        trial.guard.note(CHALLENGER, Tally(answers=count, errors=count))
        return None
    tally = _tally(answers)
    if 1000 * (time.perf_counter() - began) > trial.experiment.bounds.slow_ms:
        tally.slow = len(answers)
    trial.guard.note(CHALLENGER, tally)
    said = [exposed(answer, exposure) for answer, exposure in zip(answers, part.exposures, strict=True)]
    return _logged(desk, part, now, said)


def _interleaved(desk: Desk, trial: Trial, releases: tuple[Release, Release], part: _Part) -> list[Written] | None:
    """Answer by both; None when the challenger fails: the champion then answers alone."""
    began, now, ids = time.perf_counter(), desk.clock.now(releases[0].as_of), part.request_ids
    try:
        pairs = both_slates(releases, part.questions, now, desk.metrics, part.rows)
    except Exception:
        LOG.exception("the challenger %s failed", trial.experiment.challenger)
        trial.guard.note(CHALLENGER, Tally(answers=len(ids), errors=len(ids)))
        return None
    tally = _tally(pairs[1])
    if 1000 * (time.perf_counter() - began) > trial.experiment.bounds.slow_ms:
        tally.slow = len(ids)
    trial.guard.note(CHAMPION, _tally(pairs[0]))
    trial.guard.note(CHALLENGER, tally)
    answers = [
        interleaved(ours, theirs, draft_seed(trial.experiment, request_id), exposure)
        for ours, theirs, request_id, exposure in zip(*pairs, ids, part.exposures, strict=True)
        if exposure is not None
    ]
    return _logged(desk, part, now, answers)


def _logged(desk: Desk, part: _Part, now: datetime, answers: Sequence[Recommendations]) -> list[Written]:
    given = written(answers)
    note_answers(desk.answer_log, AnsweredBatch(part.request_ids, part.questions, part.rows, now, given))
    return given


def _tally(answers: Sequence[Recommendations]) -> Tally:
    errors = sum(UNSCORED in answer.notes for answer in answers)
    return Tally(len(answers), errors, 0, sum(answer.source == "popular" for answer in answers))
