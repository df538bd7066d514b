"""Shoppers whose tastes are known, and two releases that see them more or less clearly."""

from dataclasses import dataclass

import numpy as np

from feature_repo.experiments import CHALLENGER
from serving.interleaving import team_draft

ITEMS, PLACES, DRAFTS = 40, 10, 2
#: How blurred each release sees what a shopper likes (standard deviation, in logits).
CHAMPION_BLUR, CHALLENGER_BLUR = 1.8, 1.3
#: The chance that a shopper looks at a place.
LOOKS = 1 / np.log2(np.arange(2, PLACES + 2))


@dataclass(frozen=True)
class Shoppers:
    """Chances of a click, [shoppers, places], in each release's slate; and in drafts of both with who chose each item.

    `drafts` [shoppers, drafts, places], `ours` alike: +1 an item of the challenger's, -1 of the champion's.
    """

    champion: np.ndarray
    challenger: np.ndarray
    drafts: np.ndarray
    ours: np.ndarray


def shoppers(random: np.random.Generator, count: int) -> Shoppers:
    """Return `count` shoppers."""
    logits = random.normal(-5.0, 1.2, (count, ITEMS))
    chances = 1 / (1 + np.exp(-logits))
    ranked = [
        np.argsort(-(logits + random.normal(0, blur, logits.shape)), axis=1)[:, :PLACES]
        for blur in (CHAMPION_BLUR, CHALLENGER_BLUR)
    ]
    drafts, ours = np.zeros((count, DRAFTS, PLACES)), np.zeros((count, DRAFTS, PLACES))
    for shopper in range(count):
        names = [[str(item) for item in each[shopper]] for each in ranked]
        for draft in range(DRAFTS):
            chosen = team_draft(names[0], names[1], PLACES, f"{shopper}/{draft}")
            drafts[shopper, draft] = chances[shopper, [int(item) for item, _ in chosen]] * LOOKS
            ours[shopper, draft] = [1 if team == CHALLENGER else -1 for _, team in chosen]
    rows = np.arange(count)[:, None]
    return Shoppers(chances[rows, ranked[0]] * LOOKS, chances[rows, ranked[1]] * LOOKS, drafts, ours)


def preferences(random: np.random.Generator, pool: Shoppers, who: np.ndarray) -> np.ndarray:
    """Let shoppers click in a draft each; return whose items they clicked more of: 1 the challenger's, -1, or 0."""
    draft = random.integers(0, DRAFTS, len(who))
    clicks = random.random((len(who), PLACES)) < pool.drafts[who, draft]
    return np.asarray(np.sign((clicks * pool.ours[who, draft]).sum(axis=1)))
