"""What an answer says of an experiment: which one, whose turn it was, and with which probability it was theirs."""

from dataclasses import dataclass, fields
from typing import Annotated

from pydantic import Field

from feature_repo.experiments import Arm
from serving.contract import Recommendations


@dataclass(slots=True)
class Exposure:
    """Which part of an experiment an answer is."""

    experiment_id: Annotated[str, Field(examples=["x20180101-0123abcd"])]
    arm: Arm
    propensity: Annotated[float, Field(description="the probability with which a user gets this arm", examples=[0.5])]
    challenger_ranks: Annotated[
        list[int] | None, Field(description="interleaved: the places that are the challenger's choice")
    ] = None


@dataclass(slots=True)
class TrialRecommendations(Recommendations):
    """A slate given while an experiment runs, to a user who takes part in it."""

    experiment: Exposure | None = None


_FIELDS = tuple(each.name for each in fields(Recommendations))


def exposed(answer: Recommendations, exposure: Exposure | None) -> Recommendations:
    """Return the answer with what it says of an experiment; the same answer where it takes no part in one."""
    if exposure is None:
        return answer
    said = {name: getattr(answer, name) for name in _FIELDS}
    return TrialRecommendations(**said, experiment=exposure)
