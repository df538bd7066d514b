"""Slates of both releases made into one: each item as its own release gave it, in the order of the draft."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from feature_repo.experiments import CHALLENGER, Experiment
from serving.arrangement import NO_LIMITS
from serving.contract import Recommendations
from serving.exposure import Exposure, exposed
from serving.history import UserRow
from serving.interleaving import team_draft
from serving.metrics import Metrics
from serving.recommender import Question, recommend_many
from serving.release import Release


def may_be_mixed(releases: tuple[Release, Release], question: Question, now: datetime) -> bool:
    """Say whether two slates may become one: limits, pinned places and probabilities hold for a whole slate alone."""
    wishes = question.wishes
    if wishes.limits != NO_LIMITS or wishes.exploration.share > 0:
        return False
    return not any(place <= question.k for release in releases for place, _ in release.rules.at(now).pins)


def both_slates(
    releases: tuple[Release, Release],
    questions: Sequence[Question],
    now: datetime,
    metrics: Metrics,
    rows: Sequence[UserRow | None],
) -> tuple[list[Recommendations], list[Recommendations]]:
    """Return the answers of both releases (champion, challenger) to the same questions at the same moment."""
    champion, challenger = releases
    return (
        recommend_many(champion, questions, now, metrics, rows),
        recommend_many(challenger, questions, now, metrics, rows),
    )


def draft_seed(experiment: Experiment, request_id: str) -> str:
    """Return what the draft of one answer is drawn with, the same when it is replayed."""
    return f"{experiment.salt}:{request_id}"


def interleaved(ours: Recommendations, theirs: Recommendations, seed: str, exposure: Exposure) -> Recommendations:
    """Return one answer of the champion's (`ours`) and the challenger's; the exposure says which places are whose.

    As long as the champion's; it stays an answer of the champion's release. A place has no propensity: that of either
    list is not the one of the draft.
    """
    lists = [[item.item_id for item in answer.slate] for answer in (ours, theirs)]
    draft = team_draft(lists[0], lists[1], len(ours.slate), seed)
    champions, challengers = ({item.item_id: item for item in answer.slate} for answer in (ours, theirs))
    slate = [
        replace((challengers if team == CHALLENGER else champions)[item_id], rank=rank, propensity=None)
        for rank, (item_id, team) in enumerate(draft, start=1)
    ]
    ranks = [rank for rank, (_, team) in enumerate(draft, start=1) if team == CHALLENGER]
    mixed = replace(ours, slate=slate, exploration_seed=None)
    return exposed(mixed, replace(exposure, challenger_ranks=ranks))
