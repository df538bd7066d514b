"""Pushed events on disk, acknowledged only when they will not be lost: JSONL, one file a day and process.

Each line has exactly the contract's columns, the user id already a pseudonym; `aisle ingest --source live` lands it.
Ingest seals a file under a lock on it (flows/spool_files.py): a writer that finds its file sealed begins another.
What the probe shopper did goes to files of its own, which nobody lands.
"""

import fcntl
import os
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from feature_repo.schema import EVENTS
from serving.remembered_ids import RememberedIds, no_ids, remember

PROBE_SOURCE = "probe"
#: Event ids remembered at least to know a repeated push; ingest knows all of them.
REMEMBERED_IDS = 50_000
#: Files not written for longer are not read when a server starts.
REMEMBERED_SECONDS = 2 * 86_400


class SpoolFull(Exception):
    """The events could not be written; none of them counts."""


@dataclass
class Spool:
    """The open end of one process's spool."""

    folder: Path
    writing: threading.Lock = field(default_factory=threading.Lock)
    event_ids: RememberedIds = field(default_factory=lambda: no_ids(REMEMBERED_IDS))


def open_spool(folder: Path) -> Spool:
    """Return a spool that remembers the event ids of the last two days in the folder's files, whoever wrote them."""
    spool = Spool(folder)
    # Newest last: those that wait for ingest, and those that have landed lately.
    paths = [*folder.glob("events-*.jsonl"), *folder.glob("landed/events-*.jsonl")]
    written = sorted((path.stat().st_mtime, path) for path in paths)
    for _, path in (each for each in written if time.time() - each[0] < REMEMBERED_SECONDS):
        for line in path.read_bytes().splitlines():
            try:
                remember(spool.event_ids, str(orjson.loads(line)["event_id"]))
            except (ValueError, KeyError, TypeError):
                continue  # half a line that was never acknowledged
    return spool


def append_events(spool: Spool, rows: list[dict[str, Any]]) -> list[bool]:
    """Write the rows whose event_id is new, all or none, and return which were new.

    They are on disk (fsync) when this returns. Raises SpoolFull when they cannot be written.
    """
    for row in rows:
        if tuple(row) != EVENTS.column_names:
            raise ValueError(f"expected the columns {EVENTS.column_names}, but found {tuple(row)}")
    with spool.writing:
        new: list[bool] = []
        in_request: set[str] = set()
        for row in rows:
            event_id = row["event_id"]
            new.append(event_id not in spool.event_ids and event_id not in in_request)
            in_request.add(event_id)
        lines = b"".join(
            orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row, fresh in zip(rows, new, strict=True) if fresh
        )
        if lines:
            try:
                append_lines(spool.folder, "probe" if rows[0]["source"] == PROBE_SOURCE else "events", lines)
            except OSError as error:
                raise SpoolFull(f"cannot write to {spool.folder}: {error}") from error
        for row in rows:
            remember(spool.event_ids, row["event_id"])
        return new


def append_lines(folder: Path, kind: str, lines: bytes) -> None:
    """Add whole lines to this process's file of a kind, on disk (fsync) when this returns. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}-{datetime.now(UTC):%Y-%m-%d}-{os.getpid()}.jsonl"
    fresh = not path.exists()
    file = _open_locked(path)
    try:
        size = _whole_lines(file)
        try:
            _write_all(file, lines)
            os.fsync(file)
        except OSError:
            os.ftruncate(file, size)
            raise
    finally:
        os.close(file)
    if fresh:
        _sync_folder(folder)


def _open_locked(path: Path) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        if path.exists() and os.path.samestat(os.fstat(file), path.stat()):
            return file
        os.close(file)  # it was sealed between our opening and our lock


def _whole_lines(file: int) -> int:
    # An earlier process with this number may have died in the middle of a line, which nobody was told is safe.
    size = os.fstat(file).st_size
    if size == 0 or os.pread(file, 1, size - 1) == b"\n":
        return size
    whole = os.pread(file, size, 0).rfind(b"\n") + 1
    os.ftruncate(file, whole)
    return whole


def _write_all(file: int, lines: bytes) -> None:
    view = memoryview(lines)
    while view:
        view = view[os.write(file, view) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
