"""What a challenger's slates would have been worth, from slates of which some places were drawn with a known chance.

In place p, given the items above, the log drew item i with probability e. The challenger's choice there is c: the best
of its ranking that is not above already. The click counts where i = c, weighted by 1/e (inverse propensity: Horvitz and
Thompson, JASA 1952; for places of a slate: Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay and Wen, Offline evaluation
of ranking policies with click models, KDD 2018). That is right where a click depends on an item and its place alone.
The sum is divided by that of the weights (self-normalised: Swaminathan and Joachims, NIPS 2015).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LoggedPlaces:
    """Places of logged slates (arrays over places): whose slate, by user number; the chance of its item; the click.

    `champion`, `challenger`: whether the item is what that release would have put there.
    """

    user: npt.NDArray[np.int64]
    propensity: Floats
    clicked: npt.NDArray[np.bool_]
    champion: npt.NDArray[np.bool_]
    challenger: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class OffPolicyEstimate:
    """Clicks a place with either release, their difference and its bounds (`confidence`, two-sided, over users).

    `support`: the part of the challenger's choices that could have been drawn at all (the mean of its weights, 1 where
    all could); what could not is not judged. `effective_places`: how many evenly weighted ones its weights are worth.
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
    effective_places: float

    def sentence(self) -> str:
        """Return what was found in one sentence."""
        return (
            f"{self.challenger:.4f} clicks a place with the challenger, {self.champion:.4f} with the champion: "
            f"{self.difference:+.4f} ({self.confidence:.0%} bounds {self.low:+.4f} … {self.high:+.4f}), from "
            f"{self.places:,} places of {self.users:,} users that are worth {self.effective_places:,.0f}; "
            f"{min(self.support, 1):.0%} of the challenger's choices could have been drawn."
        )


def matches(shown: Sequence[str], ranking: Sequence[str]) -> list[bool]:
    """Say for each place of a shown slate whether a release with this ranking would have put that item there."""
    above, found = set[str](), list[bool]()
    for item in shown:
        choice = next((each for each in ranking if each not in above), None)
        found.append(choice == item)
        above.add(item)
    return found


def estimate(places: LoggedPlaces, confidence: float = 0.95, samples: int = 2_000, seed: int = 0) -> OffPolicyEstimate:
    """Estimate both releases from the same places; bounds by drawing the users again (percentile bootstrap).

    NaN where a release's choice was never drawn.
    """
    count = int(places.user.max(initial=-1)) + 1
    sums = []
    for match in (places.champion, places.challenger):
        weight = match / places.propensity
        sums.append(np.stack([np.bincount(places.user, each, count) for each in (weight * places.clicked, weight)]))
    both = np.stack(sums)
    values = _ratio(both.sum(axis=-1))
    random, drawn = np.random.default_rng(seed), []
    for _ in range(samples):
        often = random.multinomial(count, np.full(count, 1 / count)) if count else np.zeros(0)
        champion, challenger = _ratio(both @ often)
        drawn.append(challenger - champion)
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail]) if not np.isnan(drawn).all() else (np.nan, np.nan)
    weight = places.challenger / places.propensity
    return OffPolicyEstimate(
        users=len(np.unique(places.user)),
        places=len(places.user),
        champion=float(values[0]),
        challenger=float(values[1]),
        difference=float(values[1] - values[0]),
        low=float(low),
        high=float(high),
        confidence=confidence,
        support=float(weight.mean()) if len(weight) else float("nan"),
        effective_places=float(weight.sum() ** 2 / max((weight**2).sum(), 1e-12)),
    )


def _ratio(sums: Floats) -> Floats:
    """Return clicks over weights of each release, `sums` [release, (clicks, weights)]; NaN without weights."""
    clicks, weights = sums[:, 0], sums[:, 1]
    return np.asarray(np.where(weights > 0, clicks / np.where(weights > 0, weights, 1), np.nan))
