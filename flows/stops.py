"""The stop: a record in AISLE_HOME that makes features and training refuse to go on until a person acknowledges it."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from flows.settings import Settings


@dataclass(frozen=True)
class Stop:
    """Why everything after the lake stands still: which shop, since when, the breaches in words."""

    source: str
    stopped_at: str
    reasons: tuple[str, ...]


class Stopped(RuntimeError):
    """A breach stopped the flows, and nobody has acknowledged it yet. Nothing was computed."""

    def __init__(self, stops: Sequence[Stop]):
        told = "; ".join(f"{stop.source}: {', '.join(stop.reasons)}" for stop in stops)
        super().__init__(
            f"Stopped since {stops[0].stopped_at} by the watch ({told}). The last release goes on answering. Look at "
            "the artifacts drift-* in Prefect, mend the data or accept the change, then: aisle drift acknowledge"
        )


def put_stop(settings: Settings, source: str, reasons: Sequence[str]) -> None:
    """Stop features and training; a stop of the same shop that is there already gets the new reasons too."""
    known = {stop.source: stop for stop in read_stops(settings)}
    before = known.get(source)
    kept = before.reasons if before else ()
    since = before.stopped_at if before else f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    known[source] = Stop(source, since, (*kept, *(reason for reason in reasons if reason not in kept)))
    _write(settings, list(known.values()))


def read_stops(settings: Settings) -> list[Stop]:
    """Return the stops that nobody has acknowledged, oldest first."""
    path = _path(settings)
    if not path.exists():
        return []
    return [
        Stop(each["source"], each["stopped_at"], tuple(each["reasons"]))
        for each in json.loads(path.read_text(encoding="utf-8"))
    ]


def acknowledge(settings: Settings) -> list[Stop]:
    """Let the flows go on; return what was acknowledged."""
    stops = read_stops(settings)
    _path(settings).unlink(missing_ok=True)
    return stops


def raise_if_stopped(settings: Settings) -> None:
    """Raise Stopped while a stop stands."""
    stops = read_stops(settings)
    if stops:
        raise Stopped(stops)


def _path(settings: Settings) -> Path:
    return settings.home / "watch" / "stops.json"


def _write(settings: Settings, stops: Sequence[Stop]) -> None:
    path = _path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps([asdict(stop) for stop in stops], indent=1), encoding="utf-8")
    fresh.replace(path)
