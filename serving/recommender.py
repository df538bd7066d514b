"""From one question to one slate: features, model, reasons; and the steps down when something is missing.

personalised (the user's features, and this visit) → session (this visit alone) → popular. Each answer says which.
"""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt

from serving.catalogue import Conditions, allowed_items
from serving.contract import Reason, Recommendations, SimilarItems, SlateItem, Source
from serving.history import Interaction, UserRow
from serving.metrics import Metrics
from serving.model_inputs import model_inputs
from serving.online_rows import OnlineStoreUnavailable
from serving.reasons import SIMILAR_COSINE, gather_evidence, readable, reason_for
from serving.release import Release
from serving.scorer import best_items

NO_CONDITIONS = Conditions()
#: Candidates looked at for similar items.
SIMILAR_DEPTH = 400
Ranking = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Question:
    """Who asks (None: nobody we know), for how many items, under which conditions, in which visit."""

    pseudonym: str | None
    k: int
    conditions: Conditions = NO_CONDITIONS
    session_items: tuple[str, ...] = ()


def recommend(release: Release, question: Question, now: datetime, metrics: Metrics) -> Recommendations:
    """Answer with at most k items, best first, each with a reason; fewer when fewer fit the conditions."""
    notes: list[str] = []
    row = stored_row(release, question.pseudonym, metrics, notes)
    visit = _visit(release, question.session_items, now, notes)
    source = _source(release, row, visit)
    allowed = allowed_items(release.catalogue, question.conditions)
    k = min(question.k, int(allowed.sum()))
    if k < question.k:
        notes.append("No item fits the conditions." if k == 0 else f"Only {k} items fit the conditions.")
    seen = replace(row, history=(*row.history, *visit))
    ranking = None if source == "popular" or k == 0 else _personal(release, seen, allowed, k, now, metrics)
    if ranking is None:
        if source != "popular" and k > 0:
            notes.append("The model could not score this request.")
            source = "popular"
        ranking = _popular(release, allowed, k)
    metrics.slates.labels(source).inc()
    evidence = gather_evidence(release, seen, now)
    reasons = [reason_for(int(position), evidence) for position in ranking[0]]
    return Recommendations(
        release_id=release.release_id,
        source=source,
        user=question.pseudonym,
        as_of=now,
        slate=_slate(release, ranking, reasons),
        notes=notes,
    )


def similar_items(release: Release, item_id: str, k: int) -> SimilarItems:
    """Return up to k available items like a known one: by vectors, else by co-purchase; fewer when few are near."""
    position = release.catalogue.index[item_id]
    title = readable(release.catalogue.items[position].title)
    allowed = allowed_items(release.catalogue, Conditions(exclude=(item_id,)))
    cosines = release.vectors @ release.vectors[position]
    scores = np.where(allowed & (cosines >= SIMILAR_COSINE), cosines, -np.inf).astype(np.float32)
    reason = Reason(kind="similar", text=f"Similar to {title}.", because=[item_id])
    if not (scores > 0).any():
        scores = np.full(len(allowed), -np.inf, np.float32)
        neighbours = release.neighbour_items[position]
        scores[neighbours] = release.neighbour_scores[position]
        scores[~allowed] = -np.inf
        reason = Reason(kind="co_purchase", text=f"Often bought with {title}.", because=[item_id])
    ranking = _other_titles_first(release, position, _top(scores, min(SIMILAR_DEPTH, int((scores > 0).sum()))), k)
    slate = _slate(release, ranking, [reason] * len(ranking[0]))
    return SimilarItems(release_id=release.release_id, item_id=item_id, slate=slate)


def _other_titles_first(release: Release, position: int, ranking: Ranking, k: int) -> Ranking:
    # A catalogue may hold one title many times (sizes, colours, makers): each comes once before any comes again.
    items = release.catalogue.items
    seen = {items[position].title}
    again = []
    for candidate in ranking[0].tolist():
        again.append(items[candidate].title in seen)
        seen.add(items[candidate].title)
    order = np.argsort(again, kind="stable")[:k]
    return ranking[0][order], ranking[1][order]


def stored_row(release: Release, pseudonym: str | None, metrics: Metrics, notes: list[str]) -> UserRow:
    """Return what the online store knows of the user; nothing, with a note, when it does not answer."""
    if pseudonym is None:
        return UserRow()
    try:
        if release.online is None:
            raise OnlineStoreUnavailable("the online store could not be opened with this release")
        return release.online.read(pseudonym)
    except OnlineStoreUnavailable:
        metrics.online_store_errors.labels("read").inc()
        notes.append("The features of users cannot be read now.")
        return UserRow()


def _visit(release: Release, session_items: tuple[str, ...], now: datetime, notes: list[str]) -> list[Interaction]:
    known = [item_id for item_id in session_items if item_id in release.catalogue.index]
    if len(known) < len(session_items):
        notes.append(f"{len(session_items) - len(known)} session items are not in the catalogue.")
    return [Interaction(item_id, "view", int(now.timestamp())) for item_id in known]


def _source(release: Release, row: UserRow, visit: list[Interaction]) -> Source:
    index = release.catalogue.index
    if any(entry.item_id in index for entry in row.history) or any(habit.item_id in index for habit in row.habits):
        return "personalised"
    return "session" if visit else "popular"


def _personal(
    release: Release,
    row: UserRow,
    allowed: npt.NDArray[np.bool_],
    k: int,
    now: datetime,
    metrics: Metrics,
) -> Ranking | None:
    try:
        ranking = best_items(release.scorer, model_inputs(row, release.catalogue.index, allowed, now), k)
    except Exception:  # whatever the model does, a shopper gets an answer
        metrics.scorer_errors.inc()
        return None
    return ranking if len(ranking[0]) else None


def _popular(release: Release, allowed: npt.NDArray[np.bool_], k: int) -> Ranking:
    return _top(np.where(allowed, release.popularity, -np.inf).astype(np.float32), k)


def _top(scores: npt.NDArray[np.float32], k: int) -> Ranking:
    if k == 0:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    # Equal scores keep the vocabulary's order, so that the same question has the same answer.
    threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
    candidates = np.flatnonzero(scores >= threshold)
    best = candidates[np.argsort(-scores[candidates], kind="stable")][:k]
    return best, scores[best]


def _slate(release: Release, ranking: Ranking, reasons: list[Reason]) -> list[SlateItem]:
    slate = []
    found = zip(ranking[0].tolist(), ranking[1].tolist(), reasons, strict=True)
    for rank, (position, score, reason) in enumerate(found, start=1):
        item = release.catalogue.items[position]
        slate.append(
            SlateItem(
                rank=rank,
                item_id=item.item_id,
                title=item.title,
                category=item.category,
                brand=item.brand,
                price=item.price,
                currency=item.currency or release.currency,
                score=score,
                reason=reason,
            )
        )
    return slate
