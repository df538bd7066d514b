"""Answers that come whatever goes wrong: an unforeseen error in one user's slate costs that user the personal part.

The log holds what was asked and read, so a replay meets the same error and gives the same answer.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from serving.contract import Recommendations
from serving.history import UserRow
from serving.metrics import Metrics
from serving.problems import log_unforeseen
from serving.recommender import Question, recommend_many
from serving.release import Release

LAST_RESORT = "Something went wrong with this user; these are what is popular."


def recommend_at_any_rate(
    release: Release, questions: Sequence[Question], now: datetime, metrics: Metrics, rows: Sequence[UserRow | None]
) -> list[Recommendations]:
    """Answer as `recommend_many`; a question that it fails at gets what is popular, and the others their own slates."""
    try:
        return recommend_many(release, questions, now, metrics, rows)
    except Exception as error:
        if len(questions) == 1:
            log_unforeseen(error)
            return [what_is_popular(release, questions[0], now, metrics)]
    pairs = zip(questions, rows, strict=True)
    return [recommend_at_any_rate(release, [question], now, metrics, [row])[0] for question, row in pairs]


def what_is_popular(release: Release, question: Question, now: datetime, metrics: Metrics) -> Recommendations:
    """Return what anybody would get: nothing of the user's row or visit is looked at."""
    anybody = replace(question, pseudonym=None, session_items=())
    (answer,) = recommend_many(release, [anybody], now, metrics, [UserRow()])
    return replace(answer, user=question.pseudonym, notes=[*answer.notes, LAST_RESORT])
