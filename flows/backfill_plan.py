"""A backfill's plan: the span cut into chunks of whole windows, and a record of the chunks that have landed.

The record makes a killed backfill go on where it stopped; without it, or with a lake that was put back, every chunk is
done again, which changes nothing.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from feature_repo.schema import TABLES
from flows import lake
from flows.settings import Settings
from flows.sources.export_files import files_of
from flows.sources.mapping import Mapping
from flows.sources.staging import Export

#: Windows landed in one go, by the mapping's window: about a month.
WINDOWS_A_CHUNK = {"hour": 24 * 7, "day": 28, "week": 4, "month": 1}
_STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}


class SpanError(ValueError):
    """The span of a backfill cannot be meant: it has no end, ends before it begins, or beyond all calendars."""


@dataclass(frozen=True)
class Chunk:
    """Tables and event times that are landed in one go; without bounds, the whole tables."""

    number: int
    tables: tuple[str, ...]
    since: datetime | None = None
    until: datetime | None = None

    @property
    def name(self) -> str:
        """The chunk in words."""
        if self.since is None or self.until is None:
            return " and ".join(self.tables)
        return f"{self.since:%Y-%m-%d %H:%M} to {self.until:%Y-%m-%d %H:%M}"


@dataclass(frozen=True)
class BackfillRecord:
    """Which chunks of which backfill have landed; `lake` is what it was after the last of them (`_lake_now`)."""

    key: str
    started_at: str
    done: tuple[int, ...] = ()
    lake: dict[str, tuple[str, int]] = field(default_factory=dict)


def plan_chunks(mapping: Mapping, since: datetime, until: datetime) -> tuple[Chunk, ...]:
    """Cut [since, until) at the mapping's windows (UTC).

    A catalogue of its own lands first, one that is made of events lands with them. Raises SpanError.
    """
    if since >= until:
        raise SpanError(f"--from must lie before --to, but {since.isoformat()} is not before {until.isoformat()}.")
    implied = any(section.from_events for section in mapping.sections)
    catalogue = tuple(name for name in mapping.tables if name != "events")
    chunks = [Chunk(0, catalogue)] if catalogue and not implied else []
    tables = ("events", *catalogue) if implied else ("events",)
    try:
        edges = list(_edges(mapping.window, since, until))
    except OverflowError as error:
        raise SpanError(f"--to must lie before the last month of the year 9999, came {until.isoformat()}.") from error
    for start, stop in pairwise(edges):
        chunks.append(Chunk(len(chunks), tables, start, stop))
    return tuple(chunks)


def backfill_key(export: Export) -> str:
    """Name a backfill by all that its end state depends on: mapping, span, and the files as they are now."""
    mapping = export.mapping
    readings = [*mapping.inputs.values(), *(each.reading for each in mapping.sections if each.reading is not None)]
    files = {_on_disk(Path(file)) for reading in readings for file in files_of(mapping, reading, export.path)}
    described = sorted((str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    made_of = (mapping.source, mapping.digest, str(export.since), str(export.until), described)
    return hashlib.sha256(repr(made_of).encode()).hexdigest()[:12]


def open_record(settings: Settings, key: str) -> BackfillRecord:
    """Return what a former run of this backfill left, or a new record."""
    path = _path(settings, key)
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        then = {name: (str(made), int(version)) for name, (made, version) in found.get("lake", {}).items()}
        if then and _goes_on(then, _lake_now(settings)):
            return BackfillRecord(key, found["started_at"], tuple(found["done"]), then)
    return BackfillRecord(key, datetime.now(UTC).isoformat())


def record_chunk(settings: Settings, record: BackfillRecord, chunk: Chunk) -> BackfillRecord:
    """Keep that a chunk has landed; the last step of each."""
    grown = BackfillRecord(record.key, record.started_at, (*record.done, chunk.number), _lake_now(settings))
    path = _path(settings, record.key)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    content = {"started_at": grown.started_at, "done": grown.done, "lake": grown.lake}
    fresh.write_text(json.dumps(content), encoding="utf-8")
    fresh.replace(path)
    return grown


def drop_record(settings: Settings, record: BackfillRecord) -> None:
    """A backfill that is done keeps no record: run again, it looks at every window again."""
    _path(settings, record.key).unlink(missing_ok=True)


def _lake_now(settings: Settings) -> dict[str, tuple[str, int]]:
    """Which tables the lake has, each with the id that it was made with and its version."""
    tables = {name: lake.open_table(settings, name) for name in TABLES}
    return {name: (str(table.metadata().id), int(table.version())) for name, table in tables.items() if table}


def _goes_on(then: dict[str, tuple[str, int]], now: dict[str, tuple[str, int]]) -> bool:
    """Whether the lake is that of then, or came after it: neither made anew nor put back."""
    return all(name in now and now[name][0] == made and now[name][1] >= at for name, (made, at) in then.items())


def _on_disk(file: Path) -> Path:
    """The file itself, or the zip that it is a member of."""
    return next(path for path in (file, *file.parents) if path.exists())


def _path(settings: Settings, key: str) -> Path:
    return settings.home / "backfills" / f"{key}.json"


def _edges(window: str, since: datetime, until: datetime) -> Iterator[datetime]:
    """`since`, each border of a chunk of windows within the span, `until`."""
    yield since
    edge = _window_start(window, since)
    while (edge := _step(window, edge)) < until:
        yield edge
    yield until


def _window_start(window: str, moment: datetime) -> datetime:
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if window == "hour":
        return moment.replace(minute=0, second=0, microsecond=0)
    if window == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if window == "month" else day


def _step(window: str, edge: datetime) -> datetime:
    if window == "month":
        return (edge.replace(day=1) + timedelta(days=32)).replace(day=1)
    return edge + _STEPS[window] * WINDOWS_A_CHUNK[window]
