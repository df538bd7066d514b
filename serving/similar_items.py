"""Items like one item: by the release's vectors, else by what is bought together."""

from datetime import datetime
from typing import Literal

import numpy as np

from serving.catalogue import Conditions, allowed_items
from serving.contract import Reason, SimilarItems
from serving.item_index import Ranking
from serving.phrases import PHRASES, Language
from serving.placement import Places
from serving.reasons import SIMILAR_COSINE, bought_together, readable
from serving.recommender import top_of
from serving.release import Release
from serving.slate_items import slate_of

#: Candidates looked at for similar items.
SIMILAR_DEPTH = 400


def similar_items(release: Release, item_id: str, k: int, now: datetime, language: Language = "en") -> SimilarItems:
    """Return up to k available items like a known one: by vectors, else by co-purchase; fewer when few are near."""
    position = release.catalogue.index[item_id]
    title = readable(release.catalogue.items[position].title)
    allowed = allowed_items(release.catalogue, Conditions(exclude=(item_id,)), release.rules.at(now).allowed)
    cosines = release.vectors @ release.vectors[position]
    scores = np.where(allowed & (cosines >= SIMILAR_COSINE), cosines, -np.inf).astype(np.float32)
    way: Literal["similar", "co_purchase"] = "similar"
    if not (scores > 0).any():
        scores = np.full(len(allowed), -np.inf, np.float32)
        neighbours = release.neighbour_items[position]
        scores[neighbours] = release.neighbour_scores[position]
        scores[~allowed] = -np.inf
        way = "co_purchase"
    ranking = _other_titles_first(release, position, top_of(scores, min(SIMILAR_DEPTH, int((scores > 0).sum()))), k)
    places = Places(ranking[0].tolist(), ranking[1].tolist())
    phrases = PHRASES[language]
    forms = [phrases.like] * len(places.positions)
    if way == "co_purchase":
        bought = [bought_together(position, other, release) for other in places.positions]
        forms = [phrases.together_with if each else phrases.looked_at_with for each in bought]
    reasons = [Reason(kind=way, text=form.format(title=title), because=[item_id]) for form in forms]
    slate = slate_of(release, places, reasons, [[way]] * len(ranking[0]))
    return SimilarItems(release_id=release.release_id, item_id=item_id, slate=slate, rules_id=release.rules.rules_id)


def _other_titles_first(release: Release, position: int, ranking: Ranking, k: int) -> Ranking:
    # A catalogue may hold one title many times (sizes, colours, makers): each comes once before any comes again.
    titles = release.catalogue.title_ids
    seen = {titles[position]}
    again = []
    for candidate in ranking[0].tolist():
        again.append(titles[candidate] in seen)
        seen.add(titles[candidate])
    order = np.argsort(again, kind="stable")[:k]
    return ranking[0][order], ranking[1][order]
