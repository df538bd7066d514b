"""The spool's files seen from the lake: sealed before an ingest reads them, put away when all of them has landed.

A sealed file is never written again: serving appends under a lock on the file and begins another when its own has been
sealed. Landed files are kept for two days, so that a server that starts again knows a repeated event.
"""

import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from flows.file_lock import file_lock

#: The mapping that reads the spool.
LIVE_SOURCE = "live"
KEPT_SECONDS = 2 * 86_400
LANDED = "landed"
_SEALED = ".sealed.jsonl"


@contextmanager
def only_reader(folder: Path, kind: str, waiting: Callable[[], object]) -> Iterator[None]:
    """Let one process at a time seal, read and put away the files of a kind: it would miss what another takes away."""
    if not folder.is_dir():
        yield
        return
    with file_lock(folder / f"{kind}.lock", waiting):
        yield


def seal_spool(folder: Path, kind: str = "events") -> tuple[Path, ...]:
    """Give every file of a kind a name that nobody writes to; return all sealed ones, those of before too."""
    for path in sorted(folder.glob(f"{kind}-*.jsonl")):
        if not path.name.endswith(_SEALED):
            _seal(path)
    return tuple(sorted(folder.glob(f"{kind}-*{_SEALED}")))


def put_away(sealed: Sequence[Path], landed: bool) -> None:
    """Take sealed files out of the next ingest's way, once the ledger has said that all of them `landed`.

    Files that landed, or that a probe wrote, more than two days ago are removed.
    """
    if not sealed or not landed:
        return
    folder = sealed[0].parent
    away = folder / LANDED
    away.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in sealed:
        path.replace(away / path.name)
    for path in (*away.glob("events-*.jsonl"), *folder.glob("probe-*.jsonl")):
        if time.time() - path.stat().st_mtime > KEPT_SECONDS:
            path.unlink(missing_ok=True)


def _seal(path: Path) -> None:
    file = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        path.rename(path.with_name(f"{path.stem}.{secrets.token_hex(4)}{_SEALED}"))
    finally:
        os.close(file)
