"""Diversity: the candidates in an order that weighs how good an item is against how like the ones before it it is.

Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998) over the release's item vectors. What it costs in NDCG:
`python -m benchmarks.diversity`.
"""

import numpy as np
import numpy.typing as npt

from serving.item_index import Ranking


def diversify(vectors: npt.NDArray[np.float32], ranking: Ranking, places: int, strength: float) -> Ranking:
    """Return the candidates, the first `places` of them chosen one by one; the others follow as they were.

    Each next item has the largest (1 − strength) · relevance − strength · (largest cosine to an item chosen). Relevance
    is the score, scaled so that the candidates have 0 to 1. `strength` 0 to 1; 0 changes nothing.
    """
    positions, scores = ranking
    count = len(positions)
    if strength <= 0 or count < 3:
        return ranking
    spread = float(scores.max() - scores.min())
    relevance = (1.0 - strength) * (scores - scores.min()) / (spread if spread > 0 else 1.0)
    own = np.asarray(vectors[positions])
    nearest, left = np.zeros(count, np.float32), np.ones(count, np.bool_)
    order = list[int]()
    for _ in range(min(places, count)):
        best = int(np.where(left, relevance - strength * nearest, -np.inf).argmax())
        order.append(best)
        left[best] = False
        np.maximum(nearest, own @ own[best], out=nearest)
    whole = np.array([*order, *np.flatnonzero(left).tolist()], np.int64)
    return positions[whole], scores[whole]
