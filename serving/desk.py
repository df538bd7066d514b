"""What all requests of one app share, and what each asks of it."""

import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import orjson

from feature_repo.schema import pseudonym
from serving.answer_log import ANSWER_OPTIONS, AnsweredBatch, AnswerLog, Written, new_request_id, note_answers, written
from serving.arrangement import Limits
from serving.catalogue import Conditions
from serving.clock import Clock
from serving.contract import (
    BatchRequest,
    RecommendationRequest,
    Recommendations,
)
from serving.event_intake import Intake
from serving.exploration import NO_EXPLORATION, Exploration
from serving.exposure import Exposure, exposed
from serving.history import UserRow
from serving.last_resort import recommend_at_any_rate
from serving.metrics import Metrics
from serving.placement import Wishes
from serving.problems import Problem
from serving.recommender import Question, read_rows
from serving.release import Release
from serving.release_watch import Champion
from serving.settings import Settings
from serving.waited_reads import reader_threads

#: Users of a batch that are scored together; more would only need more memory.
BATCH_PART = 32
_BEYOND_WHO = {"exclude", "filters", "limits", "diversity", "exploration", "reasons", "context", "language"}


@dataclass(frozen=True)
class Desk:
    """What the endpoints of one app share; `reader` is the threads that wait for a store on another machine."""

    settings: Settings
    champion: Champion
    clock: Clock
    metrics: Metrics
    intake: Intake
    answer_log: AnswerLog
    reader: ThreadPoolExecutor = field(default_factory=reader_threads)


def release_in_use(desk: Desk) -> Release:
    """Return the champion. Raises Problem 503 when none has been loaded yet."""
    release = desk.champion.release
    if release is None:
        raise Problem(
            503,
            "no-release",
            "There is no release to answer from yet",
            f"This server waits for {desk.champion.waits_for}. Its log says more; it takes a release up by itself.",
            retry_after=10,
        )
    return release


def question_of(desk: Desk, request: RecommendationRequest) -> Question:
    """Return what a request asks, the shop's own user id already a pseudonym."""
    user, timezone = request.pseudonym, desk.settings.shop_timezone
    if request.user_id is not None:
        user = pseudonym(request.user_id, desk.settings.pseudonym_key)
    if not request.model_fields_set & _BEYOND_WHO:
        return Question(user, request.k, timezone=timezone)
    session_items = tuple(request.context.session_items)
    wishes, close = _wishes(request), _close(request)
    return Question(user, request.k, _conditions(request), session_items, wishes, request.language, close, timezone)


def answer_recommendations(desk: Desk, request: RecommendationRequest) -> Recommendations:
    """Answer one request for a slate."""
    return answer_questions(desk, release_in_use(desk), [question_of(desk, request)])[0].answer


def answer_questions(
    desk: Desk,
    release: Release,
    questions: Sequence[Question],
    rows: Sequence[UserRow | None] | None = None,
    request_ids: Sequence[str] | None = None,
    exposures: Sequence[Exposure | None] | None = None,
) -> list[Written]:
    """Answer questions together, in their order, and log them; `rows` and ids are read and made here where absent.

    `exposures` are what the answers say of an experiment. An unforeseen error costs its own user the personal slate.
    """
    known = read_rows(release, questions, desk.metrics) if rows is None else rows
    now = desk.clock.now(release.as_of)
    answers = recommend_at_any_rate(release, questions, now, desk.metrics, known)
    if exposures is not None:
        answers = [exposed(answer, exposure) for answer, exposure in zip(answers, exposures, strict=True)]
    ids = [new_request_id() for _ in questions] if request_ids is None else request_ids
    given = written(answers)
    note_answers(desk.answer_log, AnsweredBatch(ids, questions, known, now, given))
    return given


def answer_batch(desk: Desk, request: BatchRequest) -> bytes:
    """Return the JSON of Slates for many users from one release: one read, and one run of the model a few dozen users.

    Users who did about as much are answered together, so that the model is run for nobody's padding.
    """
    release, key = release_in_use(desk), desk.settings.pseudonym_key
    conditions, wishes = _conditions(request), _wishes(request)
    how = (request.language, _close(request), desk.settings.shop_timezone)
    names = [*(pseudonym(user_id, key) for user_id in request.user_ids), *request.pseudonyms]
    questions = [Question(name, request.k, conditions, (), wishes, *how) for name in names]
    rows = read_rows(release, questions, desk.metrics)
    order = sorted(range(len(questions)), key=lambda place: _deeds(rows[place]))
    slates = [b""] * len(questions)
    for start in range(0, len(order), BATCH_PART):
        part = order[start : start + BATCH_PART]
        given = answer_questions(desk, release, [questions[at] for at in part], [rows[at] for at in part])
        for at, each in zip(part, given, strict=True):
            slates[at] = each.body
    head = orjson.dumps({"release_id": release.release_id}, option=ANSWER_OPTIONS)
    return b'%b,"slates":[%b]}' % (head[:-1], b",".join(slates))


def _deeds(row: UserRow | None) -> int:
    return 0 if row is None else len(row.history)


def _conditions(request: RecommendationRequest | BatchRequest) -> Conditions:
    filters = request.filters
    return Conditions(
        tuple(request.exclude),
        filters.category,
        filters.brand,
        filters.min_price,
        filters.max_price,
        filters.currency,
    )


def _close(request: RecommendationRequest | BatchRequest) -> bool | None:
    return None if request.reasons is None else request.reasons == "close"


def _wishes(request: RecommendationRequest | BatchRequest) -> Wishes:
    limits = Limits(request.limits.per_brand, request.limits.per_category)
    exploration = NO_EXPLORATION
    if request.exploration.share > 0:
        exploration = Exploration(request.exploration.share, request.exploration.seed or secrets.token_hex(8))
    return Wishes(limits, request.diversity, exploration)
