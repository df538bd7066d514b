"""How soon an event changes the next answer, measured as a shopper sees it, and drawn against the goal.

The probe's shoppers are our own (user ids aisle-probe:N): serving keeps what they do in files that nobody lands, so no
model, no feature and no count ever sees it.
"""

import base64
import io
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import matplotlib.figure
from matplotlib.dates import ConciseDateFormatter

from flows.settings import Settings
from flows.storefront_client import ask_for_slate, push_event

PROBE_PREFIX = "aisle-probe:"
#: Shoppers take turns, so that the online store does not grow.
SHOPPERS = 1_000
GOAL_MS = 200.0
PATIENCE_SECONDS = 5.0
RUNS_KEPT = 1_000
K = 10
_AROUND = timedelta(hours=1)


@dataclass(frozen=True)
class FreshnessRun:
    """What one run of the probe found: milliseconds from post to changed answer, and events that changed none."""

    at: str
    events: int
    unseen: int
    p50_ms: float
    p99_ms: float

    @property
    def within_goal(self) -> bool:
        """Every event changed the answer, 99 of 100 soon enough."""
        return self.unseen == 0 and self.p99_ms <= GOAL_MS


def probe(settings: Settings, events: int, first: int) -> FreshnessRun:
    """Post events as shoppers number `first` and on, one after the other. Raises ServingUnreachable."""
    took = [_seconds_until_seen(settings, f"{PROBE_PREFIX}{(first + number) % SHOPPERS}") for number in range(events)]
    seen = sorted(1e3 * seconds for seconds in took if seconds is not None)
    return FreshnessRun(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        events=events,
        unseen=events - len(seen),
        p50_ms=percentile(seen, 0.50),
        p99_ms=percentile(seen, 0.99),
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed; nan of none."""
    if not ordered:
        return float("nan")
    # Rounded, so that 0.07 of 100 values is the seventh: 0.07 * 100 is a little more than 7.
    return ordered[max(math.ceil(round(share * len(ordered), 9)) - 1, 0)]


def keep_run(settings: Settings, run: FreshnessRun) -> list[FreshnessRun]:
    """Add a run to those of before, and return the newest thousand, oldest first."""
    path = settings.home / "freshness.jsonl"
    runs = [*_runs(path), run][-RUNS_KEPT:]
    fresh = path.with_suffix(".part")
    fresh.write_text("".join(json.dumps(asdict(each)) + "\n" for each in runs))
    fresh.replace(path)
    return runs


def freshness_page(runs: Sequence[FreshnessRun]) -> str:
    """Return the SLO as markdown: the newest run, the share of runs within the goal, and their history as a picture."""
    newest, good = runs[-1], sum(run.within_goal for run in runs)
    picture = base64.b64encode(_picture(runs)).decode()
    verdict = "within the goal" if newest.within_goal else "MISSED"
    return (
        f"# From an event to a changed answer\n\nGoal: p99 at most {GOAL_MS:.0f} ms, every event seen.\n\n"
        f"| | newest run ({newest.at[:16].replace('T', ' ')} UTC) |\n|---|---:|\n| events | {newest.events} |\n"
        f"| changed no answer in {PATIENCE_SECONDS:.0f} s | {newest.unseen} |\n| p50 | {newest.p50_ms:.1f} ms |\n"
        f"| p99 | {newest.p99_ms:.1f} ms |\n| verdict | {verdict} |\n\n"
        f"Runs within the goal: {good} of the last {len(runs)}.\n\n"
        f"![p50 and p99 of the last runs against the goal](data:image/png;base64,{picture})\n"
    )


def _seconds_until_seen(settings: Settings, user: str) -> float | None:
    url, key = settings.services.serving_url, settings.api_key
    before = ask_for_slate(url, {"user_id": user}, K, key)
    # The item whose reason is not yet this shopper's own deed: looking at it says something new.
    item = next((each for each in before["slate"][::-1] if each["reason"]["kind"] not in _DEEDS), before["slate"][-1])
    started = time.perf_counter()
    push_event(url, {"user_id": user, "item_id": item["item_id"], "event_type": "view"}, key)
    while time.perf_counter() - started < PATIENCE_SECONDS:
        if _seen(ask_for_slate(url, {"user_id": user}, K, key)) != _seen(before):
            return time.perf_counter() - started
    return None


_DEEDS = ("history", "habit")


def _seen(answer: dict[str, Any]) -> object:
    places = [(item["item_id"], item["score"], item["reason"]["text"]) for item in answer["slate"]]
    return answer["source"], places


def _runs(path: Path) -> list[FreshnessRun]:
    if not path.exists():
        return []
    return [FreshnessRun(**json.loads(line)) for line in path.read_text().splitlines()]


def _picture(runs: Sequence[FreshnessRun]) -> bytes:
    written = io.BytesIO()
    history_figure(runs).savefig(written, format="png", dpi=80)
    return written.getvalue()


def history_figure(runs: Sequence[FreshnessRun]) -> matplotlib.figure.Figure:
    """Draw p50 and p99 of runs over time, beside the goal."""
    figure = matplotlib.figure.Figure(figsize=(8, 3), layout="tight")
    axes = figure.subplots()
    moments = [datetime.fromisoformat(run.at) for run in runs]
    axes.plot(moments, [run.p99_ms for run in runs], marker=".", label="p99", color="#c2703d")
    axes.plot(moments, [run.p50_ms for run in runs], marker=".", label="p50", color="#3b82a0")
    axes.axhline(GOAL_MS, linestyle="--", color="#808b96", label=f"goal {GOAL_MS:.0f} ms")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("ms to the changed answer")
    if len(runs) == 1:  # one moment alone would be given years around it
        axes.set_xlim(moments[0] - _AROUND, moments[0] + _AROUND)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
    axes.set_xlabel("UTC")
    axes.legend(loc="upper left", frameon=False, ncols=3)
    return figure
