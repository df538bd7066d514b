"""The picture of an experiment: the effect with its interval, the evidence, and the arms' shares, user after user."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

from flows.shadow_comparisons import ShadowComparisons
from training.experiment_analysis import (
    RATIO_EVIDENCE,
    VERDICT_EVIDENCE,
    ExperimentAnalysis,
    PreferenceAnalysis,
)
from training.sequential import LEAST_OUTCOMES, Bools, Floats

_OURS, _THEIRS, _LIMIT, _QUIET = "#1f5f8b", "#8a6d3b", "#b3261e", "#888888"
#: Points of one line; more than these nobody sees.
POINTS = 400
#: Up to so many are marked each: a line through one point is not seen.
FEW = 20


def arms_picture(found: ExperimentAnalysis, challenged: Bools, clicked: Bools, share: float) -> bytes:
    """Return a PNG of an experiment in which each user met one arm."""
    return _png(arms_figure(found, challenged, clicked, share))


def preference_picture(found: PreferenceAnalysis, preferred: Floats) -> bytes:
    """Return a PNG of an experiment with interleaved slates."""
    return _png(preference_figure(found, preferred))


def shadow_picture(found: ShadowComparisons) -> bytes:
    """Return a PNG of a shadow experiment."""
    return _png(shadow_figure(found))


def arms_figure(found: ExperimentAnalysis, challenged: Bools, clicked: Bools, share: float) -> Figure:
    """Draw effect, evidence, the arms' shares of clicks and the arms' sizes, user after user."""
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    effect, evidence, rates, ratio = figure.subplots(2, 2).flat
    users = np.arange(1, len(challenged) + 1)
    shown = _points(len(challenged))
    _effect(effect, found, shown)
    _evidence(evidence, users, shown, (found.better, found.worse))
    highest = 0.0
    for arm, colour, name in ((challenged, _OURS, "challenger"), (~challenged, _THEIRS, "champion")):
        seen, good = np.cumsum(arm)[shown], np.cumsum(arm & clicked)[shown]
        share_so_far = np.where(seen > 0, good / np.maximum(seen, 1), np.nan)
        late = share_so_far[len(shown) // 20 :]  # the first users' shares would flatten all others
        highest = max(highest, float(np.nan_to_num(late).max()))
        rates.plot(users[shown], share_so_far, color=colour, label=name, marker=_marker(shown))
    rates.legend(frameon=False, fontsize=8)
    rates.set_ylim(0, 1.15 * highest or 1)
    _told(rates, "Share of users who clicked", "users")
    ratio.plot(users[shown], np.cumsum(challenged)[shown] / users[shown], color=_OURS, marker=_marker(shown))
    ratio.axhline(share, color=_QUIET, linewidth=1)
    if (found.ratio > RATIO_EVIDENCE).any():
        ratio.axvline(int((found.ratio > RATIO_EVIDENCE).argmax()) + 1, color=_LIMIT, linestyle="--")
    ratio.set_ylim(0, 1)
    _told(ratio, "Share of users with the challenger, and what it should be", "users")
    for axes in (rates, ratio):
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    return figure


def preference_figure(found: PreferenceAnalysis, preferred: Floats) -> Figure:
    """Draw how many users preferred which side, and the evidence, user after user."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    counts, evidence = figure.subplots(1, 2)
    users, shown = np.arange(1, len(preferred) + 1), _points(len(preferred))
    for sign, colour, name in ((1, _OURS, "challenger"), (-1, _THEIRS, "champion")):
        sums = np.cumsum(preferred == sign)[shown]
        counts.plot(users[shown], sums, color=colour, label=name, marker=_marker(shown))
    counts.legend(frameon=False, fontsize=8)
    _told(counts, "Users who clicked more of its items", "users")
    _whole(counts.yaxis)
    _evidence(evidence, users, shown, (found.better, found.worse))
    return figure


def shadow_figure(found: ShadowComparisons) -> Figure:
    """Draw how alike the slates are, and how long the challenger takes; slates that it failed at are not among them."""
    found = found.answered()
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    overlap, correlation, times = figure.subplots(1, 3)
    overlap.hist(found.overlap, bins=np.linspace(0, 1, 21), color=_OURS)
    correlation.hist(found.correlation[~np.isnan(found.correlation)], bins=np.linspace(-1, 1, 21), color=_OURS)
    shown = _points(len(found.seconds))
    times.plot(shown + 1, 1000 * found.seconds[shown], ".", color=_OURS, markersize=3)
    times.set_ylim(bottom=0)
    _told(times, "Time of the challenger's answer", "slates, in the order of their answers")
    times.set_ylabel("ms", fontsize=8)
    for axes, title, label in (
        (overlap, "Items in both slates", "share of the slate's items"),
        (correlation, "Order of those items", "rank correlation (Kendall's tau)"),
    ):
        axes.set_title(title, fontsize=9)
        axes.set_xlabel(label, fontsize=8)
        axes.set_ylabel("slates", fontsize=8)
        axes.tick_params(labelsize=8)
        _whole(axes.yaxis)
    overlap.xaxis.set_major_formatter(PercentFormatter(1))
    return figure


def data_uri(png: bytes) -> str:
    """Return a picture as the address of an image."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _points(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, POINTS)).astype(int)) if count else np.zeros(0, int)


def _effect(axes: Axes, found: ExperimentAnalysis, shown: np.ndarray) -> None:
    _told(axes, "Challenger minus champion, share of users who clicked (95%)", "users")
    finite = shown[np.isfinite(found.low[shown]) & np.isfinite(found.high[shown])]
    if not len(finite):
        waits = f"An interval is told once {LEAST_OUTCOMES} users of each arm have clicked."
        axes.text(0.5, 0.5, waits, ha="center", fontsize=8, color=_QUIET, transform=axes.transAxes)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlabel("")
        return
    users = finite + 1
    axes.fill_between(users, found.low[finite], found.high[finite], color=_OURS, alpha=0.2, linewidth=0)
    axes.plot(users, found.effect[finite], color=_OURS, marker=_marker(finite))
    axes.axhline(0, color=_QUIET, linewidth=1)
    late = finite[len(finite) // 4 :]  # the first intervals are so wide that they would flatten the others
    axes.set_ylim(min(found.low[late].min(), 0), max(found.high[late].max(), 0))
    axes.yaxis.set_major_formatter(PercentFormatter(1))


def _evidence(axes: Axes, users: np.ndarray, shown: np.ndarray, sides: Sequence[Floats]) -> None:
    for side, colour, name in zip(sides, (_OURS, _THEIRS), ("better", "worse"), strict=True):
        label = f"the challenger is {name}"
        axes.plot(users[shown], side[shown] / np.log(10), color=colour, label=label, marker=_marker(shown))
    axes.axhline(VERDICT_EVIDENCE / np.log(10), color=_LIMIT, linestyle="--", linewidth=1)
    axes.legend(frameon=False, fontsize=8)
    _told(axes, "Evidence (powers of ten), and where it is enough", "users")


def _told(axes: Axes, title: str, label: str) -> None:
    """Name a chart that goes on user after user (or slate after slate)."""
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(label, fontsize=8)
    axes.tick_params(labelsize=8)
    _whole(axes.xaxis)


def _whole(axis: Axis) -> None:
    """Let an axis count: whole numbers, with separators."""
    axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True, min_n_ticks=1))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _marker(shown: np.ndarray) -> str:
    return "." if len(shown) <= FEW else ""


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=96, metadata={"Software": None})
    return buffer.getvalue()
