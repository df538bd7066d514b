"""What an experiment says so far: users and outcomes an arm, the effect, and whether it may be believed.

The unit is the user, the outcome whether they clicked in time after their first slate: one number a user, in the order
of arrival, so that a heavy user counts once and every number is settled before it is counted.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.sequential import (
    Bools,
    Floats,
    effect_evidence,
    effect_interval,
    preference_evidence,
    ratio_evidence,
)

#: The chance of a verdict, of either side, when there is no difference, however often one looks.
FALSE_VERDICTS = 0.05
#: The chance of a false alarm about the ratio of the arms: an alarm makes all else worthless, so it is strict.
FALSE_RATIO_ALARMS = 0.005
VERDICT_EVIDENCE = float(np.log(2 / FALSE_VERDICTS))
RATIO_EVIDENCE = float(np.log(1 / FALSE_RATIO_ALARMS))
Verdict = Literal["better", "worse", "not to be trusted", "open"]


@dataclass(frozen=True)
class ExperimentAnalysis:
    """An experiment after each of its settled users (arrays over users), and its verdict on the challenger.

    `users`, `outcomes`: champion's and challenger's. `effect`, `low`, `high`: the difference in the share of users who
    clicked. `better`, `worse`, `ratio`: log evidence. `decided_after`: users at the verdict, None while it is open.
    """

    users: tuple[int, int]
    outcomes: tuple[int, int]
    effect: Floats
    low: Floats
    high: Floats
    better: Floats
    worse: Floats
    ratio: Floats
    verdict: Verdict
    decided_after: int | None

    def sentence(self) -> str:
        """Return what was found in one sentence."""
        if not sum(self.users):
            return "No user counts yet, so there is no verdict."
        theirs, ours = (
            f"{good / of:.2%} of {of:,} clicked" if of else "none counts yet"
            for good, of in zip(self.outcomes, self.users, strict=True)
        )
        found = f"Of the challenger's users {ours}, of the champion's {theirs}"
        said = {
            "better": "the challenger is better",
            "worse": "the challenger is worse",
            "not to be trusted": "the arms do not have their shares, so neither may be believed",
            "open": "no verdict yet",
        }
        when = "" if self.decided_after is None else f" (after {self.decided_after:,} users)"
        return f"{found}: {said[self.verdict]}{when}."

    def effect_now(self) -> tuple[float, float, float] | None:
        """Return effect, lower and upper bound after all users so far; None before they can be told."""
        if not len(self.effect) or not np.isfinite(self.low[-1]):
            return None
        return float(self.effect[-1]), float(self.low[-1]), float(self.high[-1])


@dataclass(frozen=True)
class PreferenceAnalysis:
    """Interleaved slates after each settled user: how many preferred which side, and the verdict on the challenger."""

    users: int
    preferred: tuple[int, int]
    better: Floats
    worse: Floats
    verdict: Verdict
    decided_after: int | None

    def sentence(self) -> str:
        """Return what was found in one sentence."""
        if not self.users:
            return "No user counts yet, so there is no verdict."
        theirs, ours = (f"{each:,}" for each in self.preferred)
        found = (
            f"Of {self.users:,} {'user' if self.users == 1 else 'users'} who met slates of both, {ours} preferred the "
        )
        found += f"challenger's items, {theirs} the champion's"
        said = {"better": "the challenger is better", "worse": "the challenger is worse"}
        when = "" if self.decided_after is None else f" (after {self.decided_after:,} users)"
        return f"{found}: {said.get(self.verdict, 'no verdict yet')}{when}."


def analyse_arms(challenged: Bools, outcome: Bools, share: float, planned: int) -> ExperimentAnalysis:
    """Analyse users who met one arm each, in the order of their first slate."""
    better, worse = effect_evidence(challenged, outcome, share, planned)
    effect, low, high = effect_interval(challenged, outcome, share, planned)
    ratio = ratio_evidence(challenged, share)
    verdict, decided = _verdict(better, worse)
    if (ratio > RATIO_EVIDENCE).any():
        verdict, decided = "not to be trusted", int((ratio > RATIO_EVIDENCE).argmax()) + 1
    ours, theirs = int(challenged.sum()), int((~challenged).sum())
    good = int((challenged & outcome).sum())
    return ExperimentAnalysis(
        users=(theirs, ours),
        outcomes=(int(outcome.sum()) - good, good),
        effect=effect,
        low=low,
        high=high,
        better=better,
        worse=worse,
        ratio=ratio,
        verdict=verdict,
        decided_after=decided,
    )


def analyse_preferences(preferred: Floats, planned: int) -> PreferenceAnalysis:
    """Analyse users of interleaved slates: 1 who preferred the challenger's items, -1 the champion's, 0 neither."""
    better, worse = preference_evidence(preferred, planned)
    counts = int((preferred < 0).sum()), int((preferred > 0).sum())
    return PreferenceAnalysis(len(preferred), counts, better, worse, *_verdict(better, worse))


def _verdict(better: Floats, worse: Floats) -> tuple[Verdict, int | None]:
    """Return the side whose evidence was enough first."""
    sides: tuple[tuple[Verdict, Floats], ...] = (("better", better), ("worse", worse))
    crossed = [(int((e > VERDICT_EVIDENCE).argmax()) + 1, name) for name, e in sides if (e > VERDICT_EVIDENCE).any()]
    if not crossed:
        return "open", None
    after, verdict = min(crossed)
    return verdict, after
