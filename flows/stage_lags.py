"""Freshness: how far behind each stage is, from the events that came to the features that answer; kept as a history."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows import lake
from flows.object_client import ObjectStoreError
from flows.online_rows import loaded_moment, newest_complete_moment
from flows.releases import read_manifest, read_pointer
from flows.settings import Settings
from flows.watch_policy import WatchPolicy

#: Measurements kept; an hourly one for eight weeks.
KEPT = 24 * 56


@dataclass(frozen=True)
class StageLag:
    """One stage: the newest event it has, how far behind that is and its limit (seconds); None: nothing yet."""

    stage: str
    newest: datetime | None
    behind: float | None
    limit: float

    @property
    def over(self) -> bool:
        """The stage is further behind than its limit."""
        return self.behind is not None and self.behind > self.limit

    @property
    def words(self) -> str:
        """How far behind, and the limit."""
        if self.behind is None or self.newest is None:
            return f"{self.stage}: nothing yet"
        return (
            f"{self.stage}: newest {self.newest:%Y-%m-%d %H:%M} UTC, {span_words(self.behind)} behind "
            f"(limit {span_words(self.limit)})"
        )


def measure_freshness(settings: Settings, policy: WatchPolicy, now: datetime) -> list[StageLag]:
    """Measure each stage: by the clock 'stages' against the lake, by 'wall' against `now`.

    Pushed events come in by the clock on the wall whatever the others go by: the lake has all of before the first of
    them that waits.
    """
    newest = {
        "lake": _newest_event(settings),
        "features": _features(settings),
        "online store": loaded_moment(settings),
        "release": _release(settings),
    }
    against = dict.fromkeys(newest, newest["lake"])
    waiting = _first_waiting(settings)
    if waiting is not None:
        newest["pushed events in the lake"], against["pushed events in the lake"] = waiting, now
    limits = {"release": policy.release_slo.total_seconds()}
    lags = []
    for name, moment in newest.items():
        reference = now if policy.clock == "wall" else against[name]
        behind = None if moment is None or reference is None else max((reference - moment).total_seconds(), 0.0)
        lags.append(StageLag(name, moment, behind, limits.get(name, policy.slo.total_seconds())))
    return lags


def read_history(settings: Settings) -> list[dict[str, Any]]:
    """Return earlier measurements, oldest first: at, behind (stage → seconds), over (stages)."""
    path = _path(settings)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def fresh_breaches(history: Sequence[dict[str, Any]], lags: Sequence[StageLag]) -> list[StageLag]:
    """Return the stages over their limit that were not when last measured: a breach is told once."""
    return [lag for lag in lags if lag.over and not _was_over(history, lag.stage)]


def _was_over(history: Sequence[dict[str, Any]], stage: str) -> bool:
    """A stage that could not be measured (null) is as it was; one that is not named had nothing to be behind with."""
    measured = (each for each in reversed(history) if each["behind"].get(stage, 0.0) is not None)
    return stage in next(measured, {"over": []})["over"]


def remember(settings: Settings, now: datetime, lags: Sequence[StageLag]) -> list[dict[str, object]]:
    """Add a measurement to the history, and return it whole."""
    entry = {
        "at": now.isoformat(),
        "behind": {lag.stage: lag.behind for lag in lags},
        "over": [lag.stage for lag in lags if lag.over],
    }
    history = [*read_history(settings), entry][-KEPT:]
    path = _path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text("".join(json.dumps(each) + "\n" for each in history), encoding="utf-8")
    fresh.replace(path)
    return history


def span_words(seconds: float) -> str:
    """A span in the unit that suits it."""
    minutes = seconds / 60
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 60 * 48 else f"{minutes / 60 / 24:.0f} days"


def _newest_event(settings: Settings) -> datetime | None:
    try:
        return lake.watermark(settings)
    except LookupError:
        return None


def _features(settings: Settings) -> datetime | None:
    try:
        return newest_complete_moment(settings)
    except LookupError:
        return None


def _release(settings: Settings) -> datetime | None:
    try:
        pointer = read_pointer(settings)
        manifest = read_manifest(settings, pointer.release_id) if pointer else None
    except ObjectStoreError:
        return None
    return datetime.fromisoformat(manifest["as_of"]).astimezone(UTC) if manifest else None


def _first_waiting(settings: Settings) -> datetime | None:
    """When the first of the pushed events came in that wait to be landed; probes of our own are never landed."""
    arrivals = []
    for path in settings.spool_path.glob("events-*.jsonl"):
        with suppress(FileNotFoundError), path.open("rb") as file:  # it may land meanwhile
            if line := file.readline():
                arrivals.append(_arrival(line) or datetime.fromtimestamp(path.stat().st_mtime, UTC))
    return min(arrivals, default=None)


def _arrival(line: bytes) -> datetime | None:
    try:
        return datetime.fromisoformat(json.loads(line)["known_at"]).astimezone(UTC)
    except (ValueError, KeyError, TypeError):
        return None


def _path(settings: Settings) -> Path:
    return settings.home / "watch" / "freshness.jsonl"
