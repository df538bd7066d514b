"""The gate: a challenger is released only if it is sound, honest, and better than the incumbent on the same users.

Better: over the users of the test cut, the lower one-sided bound of the mean difference in NDCG@10 is above 0 and
Recall@10 has not surely fallen (paired bootstrap over users: Efron and Tibshirani, An Introduction to the Bootstrap,
1993, ch. 13; for ranking systems: Sakai, Evaluating evaluation metrics based on the bootstrap, SIGIR 2006), and no
slice of users or items surely lost more than the bound. Of few users an exact sign test must agree: the bootstrap of a
handful is too sure of itself. Both are ranked by their model.onnx, as served.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from training import metrics
from training.bootstrap import paired_bounds, sign_chance
from training.dataset import Catalogue, Cut, TrainingSet
from training.gate_behaviour import behaviour_checks, whole_lists
from training.gate_checks import GateCheck, GateLimits, sanity_checks
from training.gate_inputs import input_checks
from training.gate_slices import K, Ranked, SliceComparison, compare_slices
from training.onnx_ranking import Contender, rank

#: Of fewer users who wanted something a sign test must agree with the bootstrap.
FEW_USERS = 50


@dataclass(frozen=True)
class Comparison:
    """Challenger against incumbent on the same users: mean NDCG@10 and Recall@10 of both, difference in NDCG@10.

    `low` is the lower one-sided bound at `confidence`, `high` the upper; `recall_low`, `recall_high` are those of the
    difference in Recall@10. `users_better` have a higher NDCG@10 with it; `sign_chance` is how likely that many or more
    of those who differ would have, were both models equally good.
    """

    incumbent: str
    users: int
    ndcg10: float
    incumbent_ndcg10: float
    recall10: float
    incumbent_recall10: float
    difference: float
    low: float
    high: float
    recall_low: float
    recall_high: float
    confidence: float
    users_better: int
    users_worse: int
    sign_chance: float


@dataclass(frozen=True)
class GateReport:
    """The verdict with its evidence. `reasons` is empty exactly when the challenger passed."""

    challenger: str
    passed: bool
    reasons: tuple[str, ...]
    checks: tuple[GateCheck, ...]
    comparison: Comparison | None
    slices: tuple[SliceComparison, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain dictionaries, for gate.json."""
        return asdict(self)


def judge(
    challenger: Contender,
    module: torch.nn.Module,
    incumbent: Contender | None,
    training_set: TrainingSet,
    limits: GateLimits | None = None,
    channels: Mapping[str, np.ndarray] | None = None,
) -> GateReport:
    """Judge the challenger's file on the test cut: soundness of file and inputs first, then beside the incumbent.

    `channels`: channel → bool [test queries], the users who are mostly there. Without an incumbent (a first release of
    the simplest model) only soundness decides. A challenger that is not sound is not compared: its figures would mean
    nothing.
    """
    limits = limits or GateLimits()
    catalogue, cut = training_set.catalogue, training_set.test
    checks = (
        *input_checks(training_set, limits),
        *((_not_older(challenger, incumbent),) if incumbent else ()),
        *sanity_checks(challenger, module, catalogue.item_ids, cut.queries, limits),
    )
    reasons = _failures(checks)
    if incumbent is None or reasons:
        return GateReport(challenger.name, not reasons, tuple(reasons), checks, None)
    ranked = rank_both(challenger, incumbent, catalogue, cut)
    comparison = compare(incumbent.name, ranked, limits)
    slices = compare_slices(ranked, catalogue, cut, channels or {}, limits)
    beside = (
        *behaviour_checks(whole_lists(challenger, incumbent, catalogue, cut), ranked, catalogue, cut.queries, limits),
        _not_too_good(ranked, rank_both(challenger, incumbent, catalogue, training_set.validation), limits),
    )
    reasons = [*_not_better(comparison), *_fallen(slices, limits), *_failures(beside)]
    return GateReport(challenger.name, not reasons, tuple(reasons), (*checks, *beside), comparison, slices)


def with_check(report: GateReport, check: GateCheck) -> GateReport:
    """Return the report with one more check, which may turn the verdict."""
    reasons = (*report.reasons, *_failures((check,)))
    return replace(report, checks=(*report.checks, check), reasons=reasons, passed=not reasons)


def rank_both(challenger: Contender, incumbent: Contender, catalogue: Catalogue, cut: Cut) -> Ranked:
    """Rank the users of a cut who have a truth with both files."""
    rows = np.flatnonzero(cut.truth.counts() > 0)
    queries = cut.queries.rows(rows)
    starts = np.concatenate(([0], np.cumsum(cut.truth.counts()[rows])))
    items = np.concatenate([cut.truth.row(int(row)) for row in rows]) if len(rows) else cut.truth.items[:0]
    ours, theirs = (rank(each, queries, catalogue.item_ids, K) for each in (challenger, incumbent))
    return Ranked(rows, ours, theirs, starts, items)


def compare(incumbent: str, ranked: Ranked, limits: GateLimits) -> Comparison:
    """Compare both models on the same users, and bootstrap the paired differences in NDCG@10 and Recall@10."""
    (ours, our_recall), (theirs, their_recall) = (scores_of(ranked, top) for top in (ranked.ours, ranked.theirs))
    difference = ours - theirs
    low, high = paired_bounds(difference, limits.confidence, limits.bootstrap_samples)
    recall_low, recall_high = paired_bounds(our_recall - their_recall, limits.confidence, limits.bootstrap_samples)
    better, worse = int((difference > 0).sum()), int((difference < 0).sum())
    return Comparison(
        incumbent=incumbent,
        users=len(ranked.rows),
        ndcg10=metrics.mean(ours),
        incumbent_ndcg10=metrics.mean(theirs),
        recall10=metrics.mean(our_recall),
        incumbent_recall10=metrics.mean(their_recall),
        difference=metrics.mean(difference),
        low=low,
        high=high,
        recall_low=recall_low,
        recall_high=recall_high,
        confidence=limits.confidence,
        users_better=better,
        users_worse=worse,
        sign_chance=sign_chance(better, worse),
    )


def scores_of(ranked: Ranked, top: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return NDCG@10 and Recall@10 a user."""
    hit = metrics.hits(top, ranked.starts, ranked.items)
    return metrics.ndcg(hit, ranked.wanted, K), metrics.recall(hit, ranked.wanted, K)


def _failures(checks: tuple[GateCheck, ...]) -> list[str]:
    return [f"{check.name}: expected {check.expected}, came {check.observed}" for check in checks if not check.passed]


def _not_better(comparison: Comparison) -> list[str]:
    """Return the reasons why the challenger is not better, if it is not."""
    reasons = []
    if not (comparison.users and comparison.low > 0):
        reasons.append(
            f"not better than {comparison.incumbent}: NDCG@10 {comparison.ndcg10:.4f} against "
            f"{comparison.incumbent_ndcg10:.4f} on the same {comparison.users} users; the difference must be above 0 "
            f"with {comparison.confidence:.0%} confidence, its lower bound is {comparison.low:+.4f}"
        )
    elif comparison.users < FEW_USERS and not comparison.sign_chance < 1 - comparison.confidence:
        reasons.append(
            f"not surely better than {comparison.incumbent} by {comparison.users} users: better for "
            f"{comparison.users_better}, worse for {comparison.users_worse}; by chance that comes in "
            f"{comparison.sign_chance:.1%} of such comparisons (sign test), and must in less than "
            f"{1 - comparison.confidence:.0%}"
        )
    if comparison.recall_high < 0:
        reasons.append(
            f"Recall@10 fell: {comparison.recall10:.4f} against {comparison.incumbent_recall10:.4f} on the same users; "
            f"the upper bound of the difference is {comparison.recall_high:+.4f}"
        )
    return reasons


def _fallen(slices: tuple[SliceComparison, ...], limits: GateLimits) -> list[str]:
    return [
        f"slice {each.name}: expected to lose at most {limits.slice_fall:.0%} of NDCG@10, came {each.ndcg10:.4f} "
        f"against {each.incumbent_ndcg10:.4f} on {each.users} users"
        for each in slices
        if each.fell
    ]


def _not_older(challenger: Contender, incumbent: Contender) -> GateCheck:
    """A model of older data than the champion's is stale, however good it looks."""
    ours, theirs = challenger.as_of, incumbent.as_of
    known = ours is not None and theirs is not None
    return GateCheck(
        "data as new as the incumbent's",
        not known or ours >= theirs,  # type: ignore[operator]
        f"data up to {theirs:%Y-%m-%d %H:%M} or later" if theirs else "the same data",
        f"data up to {ours:%Y-%m-%d %H:%M}" if ours else "no moment was told",
    )


def _not_too_good(test: Ranked, validation: Ranked, limits: GateLimits) -> GateCheck:
    """The lead over the incumbent may not be much larger on the test week: who has seen that week knows it by heart."""
    leads = []
    for ranked in (test, validation):
        leads.append(scores_of(ranked, ranked.ours)[0] - scores_of(ranked, ranked.theirs)[0])
    low, _ = paired_bounds(leads[0], limits.confidence, limits.bootstrap_samples)
    _, high = paired_bounds(leads[1], limits.confidence, limits.bootstrap_samples)
    allowed = limits.jump + 1.5 * max(high, 0.0)
    return GateCheck(
        "too good",
        not low > allowed,
        f"a lead over the incumbent on the test week that the validation week explains (≤ {allowed:+.4f} NDCG@10)",
        f"surely more than {low:+.4f} on the test week, {metrics.mean(leads[1]):+.4f} on the validation week",
    )
