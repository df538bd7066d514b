"""The picture of an experiment: the effect with its interval, the evidence, and the arms' shares, user after user."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flows.shadow_comparisons import ShadowComparisons
from training.experiment_analysis import (
    RATIO_EVIDENCE,
    VERDICT_EVIDENCE,
    ExperimentAnalysis,
    PreferenceAnalysis,
)
from training.sequential import Bools, Floats

_OURS, _THEIRS, _LIMIT, _QUIET = "#1f5f8b", "#8a6d3b", "#b3261e", "#888888"
#: Points of one line; more than these nobody sees.
POINTS = 400


def arms_picture(found: ExperimentAnalysis, challenged: Bools, clicked: Bools, share: float) -> bytes:
    """Return a PNG of an experiment in which each user met one arm."""
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    effect, evidence, rates, ratio = figure.subplots(2, 2).flat
    users = np.arange(1, len(challenged) + 1)
    shown = _points(len(challenged))
    finite = shown[np.isfinite(found.low[shown]) & np.isfinite(found.high[shown])]
    effect.fill_between(users[finite], found.low[finite], found.high[finite], color=_OURS, alpha=0.2, linewidth=0)
    effect.plot(users[finite], found.effect[finite], color=_OURS)
    effect.axhline(0, color=_QUIET, linewidth=1)
    if len(finite):
        late = finite[len(finite) // 4 :]  # the first intervals are so wide that they would flatten the others
        effect.set_ylim(min(found.low[late].min(), 0), max(found.high[late].max(), 0))
    _told(effect, "Challenger minus champion, share of users who clicked", "users")
    _evidence(evidence, users, shown, (found.better, found.worse))
    for arm, colour, name in ((challenged, _OURS, "challenger"), (~challenged, _THEIRS, "champion")):
        seen, good = np.cumsum(arm), np.cumsum(arm & clicked)
        rates.plot(users[shown], good[shown] / np.maximum(seen[shown], 1), color=colour, label=name)
    rates.legend(frameon=False, fontsize=8)
    rates.set_ylim(bottom=0)
    _told(rates, "Share of users who clicked", "users")
    ratio.plot(users[shown], np.cumsum(challenged)[shown] / users[shown], color=_OURS)
    ratio.axhline(share, color=_QUIET, linewidth=1)
    if (found.ratio > RATIO_EVIDENCE).any():
        ratio.axvline(int((found.ratio > RATIO_EVIDENCE).argmax()) + 1, color=_LIMIT, linestyle="--")
    ratio.set_ylim(0, 1)
    _told(ratio, "Share of users with the challenger, and what it should be", "users")
    return _png(figure)


def preference_picture(found: PreferenceAnalysis, preferred: Floats) -> bytes:
    """Return a PNG of an experiment with interleaved slates."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    counts, evidence = figure.subplots(1, 2)
    users, shown = np.arange(1, len(preferred) + 1), _points(len(preferred))
    for sign, colour, name in ((1, _OURS, "challenger"), (-1, _THEIRS, "champion")):
        counts.plot(users[shown], np.cumsum(preferred == sign)[shown], color=colour, label=name)
    counts.legend(frameon=False, fontsize=8)
    _told(counts, "Users who clicked more of its items", "users")
    _evidence(evidence, users, shown, (found.better, found.worse))
    return _png(figure)


def shadow_picture(found: ShadowComparisons) -> bytes:
    """Return a PNG of a shadow experiment: how alike the slates are, and how long the challenger takes.

    Slates that it failed at are not among them.
    """
    found = found.answered()
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    overlap, correlation, times = figure.subplots(1, 3)
    overlap.hist(found.overlap, bins=np.linspace(0, 1, 21), color=_OURS)
    _told(overlap, "Share of items in both slates", "slates by share")
    correlation.hist(found.correlation[~np.isnan(found.correlation)], bins=np.linspace(-1, 1, 21), color=_OURS)
    _told(correlation, "Rank correlation of those items", "slates by Kendall's tau")
    shown = _points(len(found.seconds))
    times.plot(shown + 1, 1000 * found.seconds[shown], ".", color=_OURS, markersize=3)
    times.set_ylim(bottom=0)
    _told(times, "Time of the challenger's answer (ms)", "slates")
    return _png(figure)


def data_uri(png: bytes) -> str:
    """Return a picture as the address of an image."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _points(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, POINTS)).astype(int)) if count else np.zeros(0, int)


def _evidence(axes: Axes, users: np.ndarray, shown: np.ndarray, sides: Sequence[Floats]) -> None:
    for side, colour, name in zip(sides, (_OURS, _THEIRS), ("better", "worse"), strict=True):
        axes.plot(users[shown], side[shown] / np.log(10), color=colour, label=f"the challenger is {name}")
    axes.axhline(VERDICT_EVIDENCE / np.log(10), color=_LIMIT, linestyle="--", linewidth=1)
    axes.legend(frameon=False, fontsize=8)
    _told(axes, "Evidence (powers of ten), and where it is enough", "users")


def _told(axes: Axes, title: str, label: str) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(label, fontsize=8)
    axes.tick_params(labelsize=8)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80, metadata={"Software": None})
    return buffer.getvalue()
