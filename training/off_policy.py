"""What another release would have been worth, from slates of which some places were drawn with a known chance.

In place p, given the items above, the log drew item i with probability e. The challenger's choice there is c: the best
of its ranking that is not above already. Where it is the champion's choice too, neither is better. Elsewhere the click
counts where i = c, weighted by 1/e (inverse propensity: Horvitz and Thompson, JASA 1952; for places of a slate: Li,
Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay and Wen, Offline evaluation of ranking policies with click models, KDD
2018), and so for the champion in the same places. That is right where a click depends on an item and its place alone.
The sums are divided by those of the weights (self-normalised: Swaminathan and Joachims, NIPS 2015). A place whose
choice could not have been drawn is not judged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LoggedPlaces:
    """Places of logged slates (arrays over places): whose slate, by user number; the chance of its item; the click.

    `champion`, `challenger`: whether the item is what that release would have put there. `alike`: whether both would
    have put the same item there; `drawable`: whether the challenger's could have been drawn.
    """

    user: npt.NDArray[np.int64]
    propensity: Floats
    clicked: npt.NDArray[np.bool_]
    champion: npt.NDArray[np.bool_]
    challenger: npt.NDArray[np.bool_]
    alike: npt.NDArray[np.bool_]
    drawable: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class OffPolicyEstimate:
    """Clicks a place with either release, their difference and its bounds (`confidence`, two-sided, over users).

    `support`: the share of places that are judged, since the challenger's choice could have been drawn there.
    `effective_users`: how many users with one such place each those are worth where its own choice was drawn. All but
    `champion` are NaN where that never was.
    """

    users: int
    places: int
    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    confidence: float
    support: float
    effective_users: float

    def sentence(self) -> str:
        """Return what was found in one sentence."""
        drawn = f"{self.support:.0%} of the challenger's choices could have been drawn"
        where = f"{self.places:,} places of {self.users:,} users"
        if np.isnan(self.difference):
            return f"Nothing is known of the challenger: of its own choices none was drawn in {where}; {drawn}."
        return (
            f"{self.challenger:.4f} clicks a place with the challenger, {self.champion:.4f} with the champion: "
            f"{self.difference:+.4f} ({self.confidence:.0%} bounds {self.low:+.4f} … {self.high:+.4f}), from "
            f"{where}, where its own choices were drawn as if for {self.effective_users:,.0f} of them; {drawn}."
        )


def choices(shown: Sequence[str], ranking: Sequence[str]) -> list[str | None]:
    """Return for each place of a shown slate what a release with this ranking would have put there; None: nothing."""
    above, found = set[str](), list[str | None]()
    for item in shown:
        found.append(next((each for each in ranking if each not in above), None))
        above.add(item)
    return found


def estimate(places: LoggedPlaces, confidence: float = 0.95, samples: int = 2_000, seed: int = 0) -> OffPolicyEstimate:
    """Estimate both releases from the same places.

    Bounds are those of drawing the users again (percentile bootstrap) or, where they are wider, the exact ones of the
    clicks on the challenger's choices (Clopper and Pearson, Biometrika 1934): of a handful without a click the
    bootstrap draws none either.
    """
    weight = 1 / places.propensity
    own = places.drawable & ~places.alike
    sums = _user_sums(places, np.stack([weight * (own & places.champion), weight * (own & places.challenger)]), own)
    part, rate, difference = _difference(sums.sum(axis=-1))
    champion = _rate(weight * places.champion, places.clicked)
    if part > 0:  # by the same parts as the challenger, so that no share falls below 0
        at_own, elsewhere = (_rate(weight * (places.champion & kept), places.clicked) for kept in (own, ~own))
        champion = part * at_own + ((1 - part) * elsewhere if part < 1 else 0.0)
    effective = float(sums[3].sum() ** 2 / max((sums[3] ** 2).sum(), 1e-12))
    if places.alike.all():
        difference = 0.0
    tail = (1 - confidence) / 2
    low, high = _redrawn(sums, tail, samples, seed)
    least, most = _exact(rate, effective, tail)
    return OffPolicyEstimate(
        users=len(np.unique(places.user)),
        places=len(places.user),
        champion=champion,
        challenger=champion + difference,
        difference=difference,
        low=0.0 if difference == 0 and not own.any() else min(low, difference + part * (least - rate)),
        high=0.0 if difference == 0 and not own.any() else max(high, difference + part * (most - rate)),
        confidence=confidence,
        support=float((places.alike | places.drawable).mean()) if len(places.user) else float("nan"),
        effective_users=effective,
    )


def _user_sums(places: LoggedPlaces, weights: Floats, own: npt.NDArray[np.bool_]) -> Floats:
    """Return per user, [6, users]: clicks and weights of champion and challenger, places that differ, all places."""
    count = int(places.user.max(initial=-1)) + 1
    rows = [each for weight in weights for each in (weight * places.clicked, weight)]
    return np.stack([np.bincount(places.user, each, count) for each in (*rows, own, np.ones(len(own)))])


def _difference(sums: Floats) -> tuple[float, float, float]:
    """Return the share of places that differ, the challenger's clicks a place there, and what it gains over all."""
    ours, our_weight, theirs, their_weight, own, count = sums
    if not our_weight or not their_weight:
        return float("nan"), float("nan"), float("nan")
    part, rate = own / count, theirs / their_weight
    return float(part), float(rate), float(part * (rate - ours / our_weight))


def _redrawn(sums: Floats, tail: float, samples: int, seed: int) -> tuple[float, float]:
    random, count = np.random.default_rng(seed), sums.shape[1]
    chances = np.full(count, 1 / max(count, 1))
    drawn = [_difference(sums @ random.multinomial(count, chances))[2] for _ in range(samples if count else 0)]
    if np.isnan(drawn).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def _exact(rate: float, count: float, tail: float) -> tuple[float, float]:
    """Return the bounds of a share of `count` that was found to be `rate`."""
    found = rate * count
    least = float(betaincinv(found, count - found + 1, tail)) if found > 0 else 0.0
    most = float(betaincinv(found + 1, count - found, 1 - tail)) if found < count else 1.0
    return least, most


def _rate(weight: Floats, clicked: npt.NDArray[np.bool_]) -> float:
    """Return clicks over weights; NaN without weights."""
    return float((weight * clicked).sum() / weight.sum()) if weight.any() else float("nan")
