"""The gate: a challenger is released only if it is sound and better than the incumbent on the same users.

Better: over the users of the test cut, the lower one-sided bound of the mean difference in NDCG@10 is above 0 (paired
bootstrap over users: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13; for ranking systems: Sakai,
Evaluating evaluation metrics based on the bootstrap, SIGIR 2006). Both are ranked by their model.onnx, as served.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from training import metrics
from training.dataset import Catalogue, Cut
from training.gate_checks import GateCheck, GateLimits, sanity_checks
from training.onnx_ranking import Contender, rank

K = 10


@dataclass(frozen=True)
class Comparison:
    """Challenger against incumbent on the same users: mean NDCG@10 and Recall@10 of both, difference in NDCG@10.

    `low` is the lower one-sided bound at `confidence`, `high` the upper. `users_better` have a higher NDCG@10 with it.
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
    confidence: float
    users_better: int
    users_worse: int


@dataclass(frozen=True)
class GateReport:
    """The verdict with its evidence. `reasons` is empty exactly when the challenger passed."""

    challenger: str
    passed: bool
    reasons: tuple[str, ...]
    checks: tuple[GateCheck, ...]
    comparison: Comparison | None

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain dictionaries, for gate.json."""
        return asdict(self)


def judge(
    challenger: Contender,
    module: torch.nn.Module,
    incumbent: Contender | None,
    catalogue: Catalogue,
    cut: Cut,
    limits: GateLimits | None = None,
) -> GateReport:
    """Judge the challenger's file on the cut: all sanity checks, then the comparison with the incumbent.

    Without an incumbent (a first release of the simplest model) only the sanity checks decide. A challenger that fails
    a sanity check is not compared: its figures would mean nothing.
    """
    limits = limits or GateLimits()
    checks = sanity_checks(challenger, module, catalogue.item_ids, cut.queries, limits)
    reasons = [
        f"{check.name}: expected {check.expected}, came {check.observed}" for check in checks if not check.passed
    ]
    comparison = None
    if incumbent is not None and not reasons:
        comparison = compare(challenger, incumbent, catalogue, cut, limits)
        reasons += _not_better(comparison)
    return GateReport(challenger.name, not reasons, tuple(reasons), checks, comparison)


def compare(
    challenger: Contender, incumbent: Contender, catalogue: Catalogue, cut: Cut, limits: GateLimits
) -> Comparison:
    """Rank the same users, those with a truth, with both files, and bootstrap the paired difference in NDCG@10."""
    rows = np.flatnonzero(cut.truth.counts() > 0)
    queries, wanted = cut.queries.rows(rows), cut.truth.counts()[rows]
    starts = np.concatenate(([0], np.cumsum(wanted)))
    items = np.concatenate([cut.truth.row(int(row)) for row in rows]) if len(rows) else cut.truth.items[:0]
    scored = []
    for contender in (challenger, incumbent):
        hit = metrics.hits(rank(contender, queries, catalogue.item_ids, K), starts, items)
        scored.append((metrics.ndcg(hit, wanted, K), metrics.recall(hit, wanted, K)))
    (ours, our_recall), (theirs, their_recall) = scored
    difference = ours - theirs
    low, high = paired_bounds(difference, limits)
    return Comparison(
        incumbent=incumbent.name,
        users=len(rows),
        ndcg10=metrics.mean(ours),
        incumbent_ndcg10=metrics.mean(theirs),
        recall10=metrics.mean(our_recall),
        incumbent_recall10=metrics.mean(their_recall),
        difference=metrics.mean(difference),
        low=low,
        high=high,
        confidence=limits.confidence,
        users_better=int((difference > 0).sum()),
        users_worse=int((difference < 0).sum()),
    )


def paired_bounds(difference: np.ndarray, limits: GateLimits, seed: int = 0) -> tuple[float, float]:
    """Return the lower and the upper one-sided bound of the mean of a difference per user (percentile bootstrap)."""
    if not len(difference):
        return float("nan"), float("nan")
    random = np.random.default_rng(seed)
    chances = np.full(len(difference), 1 / len(difference))
    means = [
        random.multinomial(len(difference), chances, size=min(500, limits.bootstrap_samples)) @ difference
        for _ in range(max(1, limits.bootstrap_samples // 500))
    ]
    low, high = np.quantile(np.concatenate(means) / len(difference), [1 - limits.confidence, limits.confidence])
    return float(low), float(high)


def _not_better(comparison: Comparison) -> list[str]:
    """Return the reason why the challenger is not better, if it is not."""
    if comparison.users and comparison.low > 0:
        return []
    return [
        f"not better than {comparison.incumbent}: NDCG@10 {comparison.ndcg10:.4f} against "
        f"{comparison.incumbent_ndcg10:.4f} on the same {comparison.users} users; the difference must be above 0 with "
        f"{comparison.confidence:.0%} confidence, its lower bound is {comparison.low:+.4f}"
    ]


def render_markdown(report: GateReport) -> str:
    """Render the report as markdown for an artifact or a page: verdict, reasons, comparison, checks."""
    verdict = "passed" if report.passed else "refused"
    lines = [f"# Gate: {report.challenger} {verdict}", ""]
    lines += [f"- {reason}" for reason in report.reasons] + ([""] if report.reasons else [])
    if report.comparison is not None:
        lines += _comparison_lines(report.challenger, report.comparison)
    lines += ["| check | expected | came | |", "|---|---|---|---|"]
    for check in report.checks:
        came = check.observed.replace("|", "/").replace("\n", " ")
        lines.append(f"| {check.name} | {check.expected} | {came} | {'passed' if check.passed else '**failed**'} |")
    return "\n".join(lines) + "\n"


def _comparison_lines(challenger: str, comparison: Comparison) -> list[str]:
    return [
        f"The same {comparison.users} users, ranked by both model files over the whole catalogue:",
        "",
        "| model | NDCG@10 | Recall@10 |",
        "|---|---:|---:|",
        f"| {challenger} (challenger) | {comparison.ndcg10:.4f} | {comparison.recall10:.4f} |",
        f"| {comparison.incumbent} | {comparison.incumbent_ndcg10:.4f} | {comparison.incumbent_recall10:.4f} |",
        "",
        f"Difference in NDCG@10 {comparison.difference:+.4f}; {comparison.confidence:.0%} bounds "
        f"{comparison.low:+.4f} … {comparison.high:+.4f} (paired bootstrap over users). "
        f"Better for {comparison.users_better} users, worse for {comparison.users_worse}.",
        "",
    ]
