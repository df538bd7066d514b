"""Evidence and intervals that hold however often one looks, for one user after the other.

A fixed-sample test is right once, at the size it was planned for: looked at after every batch it finds what is not
there. Evidence here is a test martingale: when nothing is there it exceeds 1/a at some time, ever, with a probability
of at most a (Ville's inequality), so it may be looked at after each user and acted upon at once. Users are the last
axis of every array, in the order of their arrival; logarithms are natural.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import betaln

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
#: Outcomes that each arm must have had before an interval is told: it supposes that their variance is known.
LEAST_OUTCOMES = 20


def effect_evidence(challenged: Bools, outcome: Bools, share: float, planned: int) -> tuple[Floats, Floats]:
    """Return the log evidence that the challenger is better, and that it is worse, after each user.

    `challenged`: whether a user met the challenger, drawn with probability `share`; `outcome`: whether it went well.
    With q1, q2 the success of champion and challenger as estimated from the users before, and q0 = (1-share) q1 +
    share q2, a user of arm i multiplies the evidence by qi/q0, or (1-qi)/(1-q0) without success: its expectation is 1
    for every common success, and at most 1 where the other one is better, so this is exact at any number of users and
    any share (Turner, Ly and Grünwald, Generic e-variables for exact sequential k-sample tests, 2021, for two arms
    that are drawn). Only bets on the side in question are made. The estimates begin at the common one, with a weight
    of a tenth of `planned` users.
    """
    weight = planned / 10
    seen2, seen1 = _before(challenged), _before(~challenged)
    good2, good1 = _before(challenged & outcome), _before(~challenged & outcome)
    common = (good1 + good2 + 0.5) / (seen1 + seen2 + 1)
    q1 = (good1 + weight * (1 - share) * common) / (seen1 + weight * (1 - share))
    q2 = (good2 + weight * share * common) / (seen2 + weight * share)
    q0 = (1 - share) * q1 + share * q2
    q = np.where(challenged, q2, q1)
    step = np.where(outcome, np.log(q / q0), np.log((1 - q) / (1 - q0)))
    better = np.cumsum(np.where(q2 > q1, step, 0.0), axis=-1)
    worse = np.cumsum(np.where(q2 < q1, step, 0.0), axis=-1)
    return better, worse


def preference_evidence(preferred: Floats, planned: int) -> tuple[Floats, Floats]:
    """Return the log evidence that the challenger's choices are preferred, and that the champion's are.

    `preferred` is 1 where a user clicked more of the challenger's items in interleaved slates, -1 more of the
    champion's, 0 for a draw, which says nothing. The same bets as above on a coin that is fair when nothing is there.
    """
    ours, theirs = preferred > 0, preferred < 0
    weight = planned / 40
    share = (_before(ours) + weight / 2) / (_before(ours) + _before(theirs) + weight)
    step = np.where(ours, np.log(2 * share), np.where(theirs, np.log(2 * (1 - share)), 0.0))
    better = np.cumsum(np.where(share > 0.5, step, 0.0), axis=-1)
    worse = np.cumsum(np.where(share < 0.5, step, 0.0), axis=-1)
    return better, worse


def ratio_evidence(challenged: Bools, share: float, concentration: float = 1_000.0) -> Floats:
    """Return the log evidence against "each user met the challenger with probability `share`", after each user.

    A Beta prior around the share over the Binomial: Lindon and Malek, Anytime-valid inference for multinomial count
    data, NeurIPS 2022, for two cells. The larger `concentration`, the smaller the mismatch that is found soonest.
    """
    count = np.cumsum(challenged, axis=-1, dtype=np.float64)
    of = np.arange(1, challenged.shape[-1] + 1, dtype=np.float64)
    a, b = concentration * share, concentration * (1 - share)
    mixed = betaln(a + count, b + of - count) - betaln(a, b)
    return np.asarray(mixed - count * np.log(share) - (of - count) * np.log1p(-share))


def effect_interval(
    challenged: Bools, outcome: Bools, share: float, planned: int, confidence: float = 0.95
) -> tuple[Floats, Floats, Floats]:
    """Return the estimated difference in success, and its lower and upper bound, after each user.

    The mean of (A/p - (1-A)/(1-p)) (Y - m), A whether a user met the challenger, p the share, m the mean outcome of the
    users before, so its expectation is the effect whatever m is. The bounds are Robbins' normal mixture, mean ± s
    sqrt(2 (t r² + 1) / (t r)² log(sqrt(t r² + 1) / a)): theorem 2.2 of Waudby-Smith, Arbour, Sinha, Kennedy and
    Ramdas, Time-uniform central limit theory and asymptotic confidence sequences, Annals of Statistics 2024, tightest
    at `planned` users. They hold at all times together, but for few outcomes only nearly: they say how much, the
    evidence above decides. Infinite before each arm has had LEAST_OUTCOMES.
    """
    t = np.arange(1, outcome.shape[-1] + 1, dtype=np.float64)
    baseline = _before(outcome) / np.maximum(t - 1, 1)
    scores = np.where(challenged, 1 / share, -1 / (1 - share)) * (outcome - baseline)
    mean = np.cumsum(scores, axis=-1) / t
    variance = np.maximum(np.cumsum(scores**2, axis=-1) / t - mean**2, 0.0)
    miss = 1 - confidence
    r2 = (-2 * np.log(miss) + np.log(-2 * np.log(miss) + 1)) / planned
    width = np.sqrt(variance * 2 * (t * r2 + 1) / (t**2 * r2) * np.log(np.sqrt(t * r2 + 1) / miss))
    enough = [np.cumsum(arm & outcome, axis=-1) >= LEAST_OUTCOMES for arm in (challenged, ~challenged)]
    width = np.where(enough[0] & enough[1], width, np.inf)
    return mean, mean - width, mean + width


def _before(flags: Bools) -> Floats:
    """Return how many of the users before are marked."""
    counted = np.cumsum(flags, axis=-1, dtype=np.float64)
    return np.asarray(counted - flags)
