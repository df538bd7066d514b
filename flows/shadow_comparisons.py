"""What a shadow experiment has shown: how alike the slates of both releases are, and what the challenger's cost."""

from dataclasses import dataclass

import numpy as np
import pyarrow.dataset as ds

from feature_repo.experiments import Experiment
from feature_repo.schema import SHADOWS
from flows import lake
from flows.settings import Settings


@dataclass(frozen=True)
class ShadowComparisons:
    """All slates asked of the challenger, in the order of the answers (arrays over slates).

    `correlation` is NaN where there is none. `failed`, `fallback`, `champion_fallback` are bools; `seconds` is the time
    of the challenger's answer.
    """

    overlap: np.ndarray
    correlation: np.ndarray
    seconds: np.ndarray
    failed: np.ndarray
    fallback: np.ndarray
    champion_fallback: np.ndarray

    def answered(self) -> "ShadowComparisons":
        """Return those that the challenger answered: a slate that it failed at is none to compare."""
        return ShadowComparisons(**{name: column[~self.failed] for name, column in vars(self).items()})

    def sentence(self) -> str:
        """Return what was found in one sentence."""
        if not len(self.overlap):
            return "No slate has been compared yet."
        good = self.answered()
        failed = len(self.overlap) - len(good.overlap)
        if not len(good.overlap):
            return f"No slate has been compared: the challenger failed at each of {failed:,}."
        same = np.mean((good.overlap == 1) & ~(good.correlation < 1))
        slates = f"{len(good.overlap):,} {'slate' if len(good.overlap) == 1 else 'slates'}"
        more = f", and the challenger failed at {failed:,} more" if failed else ""
        return (
            f"Of {slates} compared {same:.1%} are the same; {good.overlap.mean():.1%} of the items are in both{more}."
        )


def comparisons_of(settings: Settings, experiment: Experiment) -> ShadowComparisons:
    """Read the comparisons of a shadow experiment; what serving has logged must have landed."""
    wanted = ds.field("experiment_id") == experiment.experiment_id
    columns = ["answered_at", "overlap", "correlation", "seconds", "error", "fallback", "champion_fallback"]
    table = lake.arrow_dataset(settings, SHADOWS.name).to_table(columns=columns, filter=wanted)
    table = table.sort_by("answered_at")
    numbers = {
        name: table[name].to_numpy().astype(np.float64, copy=False) for name in ("overlap", "correlation", "seconds")
    }
    flags = {name: np.array(table[name].to_pylist(), dtype=bool) for name in ("fallback", "champion_fallback")}
    failed = np.array([error is not None for error in table["error"].to_pylist()], dtype=bool)
    return ShadowComparisons(**numbers, **flags, failed=failed)


def comparison_table(found: ShadowComparisons) -> tuple[tuple[str, ...], ...]:
    """Return the figures as rows of a table, header first."""
    header = ("slates of the challenger, unseen", "")
    if not len(found.overlap):
        return (header, ("compared", "0"))
    good = found.answered()
    tau, failed = good.correlation[~np.isnan(good.correlation)], len(found.overlap) - len(good.overlap)
    times = 1000 * good.seconds
    return (
        header,
        ("compared", f"{len(good.overlap):,}"),
        ("failed", f"{failed:,} of {len(found.overlap):,} ({found.failed.mean():.2%})"),
        ("items in both slates, mean", f"{good.overlap.mean():.1%}" if len(times) else ""),
        ("rank correlation of those, mean (Kendall)", f"{tau.mean():.3f}" if len(tau) else ""),
        ("not personal: challenger, champion", f"{found.fallback.mean():.2%}, {found.champion_fallback.mean():.2%}"),
        ("ms: median, p99", f"{np.median(times):.1f}, {np.quantile(times, 0.99):.1f}" if len(times) else ""),
    )
