"""What all requests of one app share, and what each asks of it."""

from dataclasses import dataclass

from feature_repo.schema import pseudonym
from serving.catalogue import Conditions
from serving.clock import Clock
from serving.contract import RecommendationRequest, Recommendations
from serving.event_intake import Intake
from serving.metrics import Metrics
from serving.problems import Problem
from serving.recommender import Question, recommend
from serving.release import Release
from serving.release_watch import Champion
from serving.settings import Settings

_BEYOND_WHO = {"exclude", "filters", "context"}


@dataclass(frozen=True)
class Desk:
    """What the endpoints of one app share."""

    settings: Settings
    champion: Champion
    clock: Clock
    metrics: Metrics
    intake: Intake


def release_in_use(desk: Desk) -> Release:
    """Return the champion. Raises Problem 503 when none has been loaded yet."""
    release = desk.champion.release
    if release is None:
        raise Problem(
            503,
            "no-release",
            "There is no release yet",
            "Train and release a model (`aisle pipeline`); this server takes it up by itself.",
            retry_after=10,
        )
    return release


def question_of(desk: Desk, request: RecommendationRequest) -> Question:
    """Return what a request asks, the shop's own user id already a pseudonym."""
    user = request.pseudonym
    if request.user_id is not None:
        user = pseudonym(request.user_id, desk.settings.pseudonym_key)
    if not request.model_fields_set & _BEYOND_WHO:
        return Question(user, request.k)
    filters = request.filters
    conditions = Conditions(
        tuple(request.exclude), filters.category, filters.brand, filters.min_price, filters.max_price
    )
    return Question(user, request.k, conditions, tuple(request.context.session_items))


def answer_recommendations(desk: Desk, request: RecommendationRequest) -> Recommendations:
    """Answer one request for a slate."""
    release = release_in_use(desk)
    return recommend(release, question_of(desk, request), desk.clock.now(release.as_of), desk.metrics)
