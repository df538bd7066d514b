"""From questions to slates: features, model, reasons; and the steps down when something is missing.

personalised (the user's features, and this visit) → session (this visit alone) → popular. Each answer says which.
Questions of the same moment are answered together: one read, one run of the model.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from serving.arrangement import NO_LIMITS
from serving.candidate_sources import candidate_sources
from serving.catalogue import Conditions, allowed_items
from serving.clock import shop_time
from serving.contract import CandidateSource, Reason, Recommendations, Source
from serving.history import Interaction, UserRow
from serving.item_index import Ranking
from serving.metrics import Metrics
from serving.model_inputs import KnownRow, known_row, sequences_of
from serving.online_rows import OnlineStoreUnavailable
from serving.phrases import PHRASES, Language
from serving.placement import NO_WISHES, Asker, Places, Wishes, candidates_for, place_items
from serving.reasons import Evidence, citations, gather_evidence, is_own, reason_for
from serving.release import Release
from serving.removal import Removals, remove_everything, try_removals
from serving.scorer import best_items
from serving.shelf_rules import ActiveRules
from serving.slate_items import slate_of

LOG = logging.getLogger("serving")
NO_CONDITIONS = Conditions()
NOTHING_KNOWN = known_row(UserRow(), {})
#: Items up to which reasons are close unless asked otherwise: a trial costs as much as scoring all of them.
CLOSE_ITEMS = 25_000
UNREADABLE = "The features of users cannot be read now."
UNDRAWN = "No place was drawn: nothing else fits."
UNSCORED = "The model could not score this request."


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks (None: nobody we know), for how many items, under which conditions and wishes, in which visit.

    `close` reasons try the user's items one by one; None: where the catalogue is small enough to do so unasked.
    `timezone` is the shop's: the days that reasons tell are its days.
    """

    pseudonym: str | None
    k: int
    conditions: Conditions = NO_CONDITIONS
    session_items: tuple[str, ...] = ()
    wishes: Wishes = NO_WISHES
    language: Language = "en"
    close: bool | None = None
    timezone: str = "UTC"


@dataclass(slots=True)
class Draft:
    """An answer in the making. `allowed` bool [n + 1] is None where the whole shelf is; `k` is at most what it has.

    `depth` is how many of the best items are looked at to fill k places, `active` what the shop's rules say now.
    """

    question: Question
    row: KnownRow
    source: Source
    active: ActiveRules
    allowed: npt.NDArray[np.bool_] | None
    k: int
    depth: int
    notes: list[str]
    ranking: Ranking | None = None
    places: Places = field(default_factory=Places)
    evidence: Evidence | None = None
    removals: Removals | None = None


def recommend(release: Release, question: Question, now: datetime, metrics: Metrics) -> Recommendations:
    """Answer with at most k items, best first, each with a reason; fewer when fewer fit the conditions."""
    return recommend_many(release, [question], now, metrics)[0]


def recommend_many(
    release: Release,
    questions: Sequence[Question],
    now: datetime,
    metrics: Metrics,
    rows: Sequence[UserRow | None] | None = None,
) -> list[Recommendations]:
    """Answer several questions, in their order, as `recommend` answers each.

    `rows` are the users' stored rows where they have been read already, None in it for one that could not be read.
    """
    found = read_rows(release, questions, metrics) if rows is None else rows
    drafts = [_draft(release, question, row, now) for question, row in zip(questions, found, strict=True)]
    personal = [draft for draft in drafts if draft.source != "popular" and draft.k > 0]
    if personal:
        _rank(release, personal, now, metrics)
    for draft in drafts:
        _place(release, draft, now)
    _try_single_items(release, drafts, now, metrics)
    return [_answer(release, draft, now, metrics) for draft in drafts]


def read_rows(release: Release, questions: Sequence[Question], metrics: Metrics) -> list[UserRow | None]:
    """Return what the online store knows of each asker in one read, None for a row that cannot be read."""
    names = list({question.pseudonym: None for question in questions if question.pseudonym is not None})
    if not names:
        return [UserRow()] * len(questions)
    try:
        if release.online is None:
            raise OnlineStoreUnavailable("the online store could not be opened with this release")
        rows: dict[str, UserRow | None] = dict(zip(names, release.online.read_many(names), strict=True))
    except OnlineStoreUnavailable:
        rows = dict.fromkeys(names)
    if None in rows.values():
        metrics.online_store_errors.labels("read").inc()
    return [UserRow() if question.pseudonym is None else rows[question.pseudonym] for question in questions]


def unread_rows(questions: Sequence[Question], metrics: Metrics) -> list[UserRow | None]:
    """Return the rows of askers for whom nobody waits for the online store: None for each that it may know."""
    if any(question.pseudonym is not None for question in questions):
        metrics.online_store_errors.labels("read").inc()
    return [UserRow() if question.pseudonym is None else None for question in questions]


def _draft(release: Release, question: Question, row: UserRow | None, now: datetime) -> Draft:
    notes = [] if row is not None else [UNREADABLE]
    known = known_row(row or UserRow(), release.catalogue.index)
    source: Source = "personalised" if known.history_indices or known.habit_indices else "popular"
    if question.session_items:
        visit = _visit(release, question.session_items, now, notes)
        if visit and source == "popular":
            source = "session"
        seen = UserRow((*known.history, *visit), known.habits)
        known = known_row(seen, release.catalogue.index)
    active = release.rules.at(now)
    allowed, available = None, active.allowed_count
    if question.conditions != NO_CONDITIONS:
        allowed = allowed_items(release.catalogue, question.conditions, active.allowed)
        available = int(np.count_nonzero(allowed))
    held = _not_again(known, active, question.k)
    if held:
        allowed = active.allowed.copy() if allowed is None else allowed
        allowed[held] = False
        available = int(np.count_nonzero(allowed))
    k = min(question.k, available)
    if k < question.k:
        some = f"Only {k} {'item fits' if k == 1 else 'items fit'} the conditions."
        notes.append(some if k else "No item fits the conditions.")
    depth = min(candidates_for(question.k, question.wishes, active), available)
    return Draft(question, known, source, active, allowed, k, depth, notes)


def _not_again(row: KnownRow, active: ActiveRules, k: int) -> list[int]:
    """Return the items that this user has had or seen and that do not come again, by vocabulary index.

    What the shop pins to one of the k places does: it said so of this item itself.
    """
    held_back = active.held_back
    if held_back is None:
        return []
    deeds = row.history.columns[1]
    bought = {*row.habit_indices}
    bought.update(index for index, deed in zip(row.history_indices, deeds, strict=True) if deed == "purchase")
    held = [index for index in bought if held_back.bought[index]]
    held += [index for index in {*row.history_indices} - bought if held_back.seen[index]]
    pinned = {position for place, position in active.pins if place <= k}
    return [index for index in held if index not in pinned]


def _visit(release: Release, session_items: tuple[str, ...], now: datetime, notes: list[str]) -> list[Interaction]:
    known = [item_id for item_id in session_items if item_id in release.catalogue.index]
    if len(known) < len(session_items):
        notes.append(f"{len(session_items) - len(known)} session items are not in the catalogue.")
    return [Interaction(item_id, "view", int(now.timestamp())) for item_id in known]


def _rank(release: Release, drafts: Sequence[Draft], now: datetime, metrics: Metrics) -> None:
    """Give each draft its ranking by the model, None where the model fails: whatever it does, a shopper is answered."""
    everything = drafts[0].active.allowed
    allowed = everything[None, :]
    if any(draft.allowed is not None for draft in drafts):
        allowed = np.stack([everything if draft.allowed is None else draft.allowed for draft in drafts])
    try:
        inputs = sequences_of([draft.row for draft in drafts], now)
        rankings = best_items(release.scorer, inputs, allowed, max(draft.depth for draft in drafts))
    except Exception:
        if len(drafts) > 1:  # one of them may be the cause
            for draft in drafts:
                _rank(release, [draft], now, metrics)
        else:
            metrics.scorer_errors.inc()
        return
    for draft, ranking in zip(drafts, rankings, strict=True):
        if len(ranking[0]):
            draft.ranking = ranking[0][: draft.depth], ranking[1][: draft.depth]


def _place(release: Release, draft: Draft, now: datetime) -> None:
    """Give the places of one slate, and gather what its reasons may cite."""
    if draft.ranking is None:
        if draft.source != "popular" and draft.k > 0:
            draft.notes.append(UNSCORED)
            draft.source = "popular"
        draft.ranking = _popular(release, draft)
    wishes, allowed = draft.question.wishes, draft.active.allowed if draft.allowed is None else draft.allowed
    asker = Asker(draft.question.pseudonym, draft.row.past)
    draft.places = place_items(release, draft.active, draft.ranking, draft.k, wishes, allowed, asker)
    if len(draft.places.positions) < draft.k and wishes.limits != NO_LIMITS:
        count = len(draft.places.positions)
        draft.notes.append(f"Only {count} {'item was' if count == 1 else 'items were'} found within the limits.")
    if draft.places.none_drawn():
        draft.notes.append(UNDRAWN)
    # What no model has looked at is no reason for anything.
    heard = draft.source != "popular" and release.scorer.hears_users
    here = shop_time(now, draft.question.timezone)
    draft.evidence = gather_evidence(release, draft.row if heard else NOTHING_KNOWN, here, draft.question.language)
    new = [each for each in draft.places.positions if not is_own(each, draft.evidence)] if heard else []
    new = [each for each in new if each not in draft.places.pinned]
    if new:
        close = draft.question.close
        close = len(release.catalogue.items) <= CLOSE_ITEMS if close is None else close
        found = {position: citations(position, draft.evidence) if close else () for position in new}
        draft.removals = Removals(draft.row, draft.ranking, allowed, found, close)
        remove_everything(release, draft.removals)


def _try_single_items(release: Release, drafts: Sequence[Draft], now: datetime, metrics: Metrics) -> None:
    """Find out what the items new to their users rest on; a model that fails here costs the reasons only."""
    removals = [draft.removals for draft in drafts if draft.removals is not None and draft.removals.close]
    try:
        try_removals(release, removals, now)
    except Exception:
        metrics.scorer_errors.inc()
        LOG.exception("reasons could not be tried")


def _answer(release: Release, draft: Draft, now: datetime, metrics: Metrics) -> Recommendations:
    # A model that looks at nothing of a user tells everybody the same, whatever is known of this one.
    source: Source = draft.source if release.scorer.hears_users else "popular"
    metrics.slates[source].inc()
    places = draft.places
    return Recommendations(
        release_id=release.release_id,
        source=source,
        user=draft.question.pseudonym,
        as_of=now,
        slate=slate_of(release, places, _reasons(draft), _sources(release, draft, places)),
        rules_id=release.rules.rules_id,
        exploration_seed=draft.question.wishes.exploration.seed if places.propensities else None,
        notes=draft.notes,
    )


def _reasons(draft: Draft) -> list[Reason]:
    assert draft.evidence is not None
    pinned = Reason(kind="pinned", text=PHRASES[draft.question.language].pinned)
    proven = {} if draft.removals is None else draft.removals.proven
    return [
        pinned if position in draft.places.pinned else reason_for(position, draft.evidence, proven.get(position))
        for position in draft.places.positions
    ]


def _sources(release: Release, draft: Draft, places: Places) -> list[list[CandidateSource]]:
    found = candidate_sources(release, draft.row, places.positions, draft.source != "popular")
    named: tuple[tuple[set[int], CandidateSource], ...] = (
        (places.boosted, "boost"),
        (places.pinned, "pin"),
        (places.drawn, "exploration"),
    )
    for those, name in named:
        for place, position in enumerate(places.positions if those else ()):
            if position in those:
                found[place].append(name)
    return found


def _popular(release: Release, draft: Draft) -> Ranking:
    allowed = draft.active.allowed if draft.allowed is None else draft.allowed
    return top_of(np.where(allowed, release.popularity, -np.inf).astype(np.float32), draft.depth)


def top_of(scores: npt.NDArray[np.float32], k: int) -> Ranking:
    """Return the k best of a row of scores; equal scores keep the vocabulary's order."""
    if k == 0:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
    candidates = np.flatnonzero(scores >= threshold)
    best = candidates[np.argsort(-scores[candidates], kind="stable")][:k]
    return best, scores[best]
