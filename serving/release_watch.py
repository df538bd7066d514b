"""The champion in use: loaded at start, swapped when the pointer moves, kept when the new one fails.

A release is loaded whole beside the old one; the swap is one assignment, so a request sees one release only.
"""

import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving.metrics import Metrics
from serving.release import Release, ReleaseRejected, load_release
from serving.release_store import (
    POINTER,
    Pointer,
    StoreUnavailable,
    fetch_release,
    forget_old_releases,
    open_store,
    parse_pointer,
    read_pointer,
    verify_folder,
)
from serving.settings import Settings

LOG = logging.getLogger("serving")


@dataclass
class Champion:
    """The release in use and its pointer, None before the first; `problem` says why there is no newer one."""

    release: Release | None = None
    pointer: Pointer | None = None
    problem: str | None = None
    stopping: threading.Event = field(default_factory=threading.Event)


def refresh(champion: Champion, settings: Settings, metrics: Metrics, client: Any) -> bool:
    """Look at the pointer once and swap when it moved; return whether all is well. Never raises."""
    try:
        pointer = read_pointer(client, settings.object_store.bucket)
        if pointer != champion.pointer:
            folder = fetch_release(client, settings.object_store.bucket, pointer, settings.cache_path)
            _swap(champion, load_release(folder, settings.online_store), pointer, metrics)
            _remember(settings.cache_path, folder.name, champion)
        champion.problem = None
        return True
    except (StoreUnavailable, ReleaseRejected) as error:
        if isinstance(error, ReleaseRejected):
            metrics.releases_refused.inc()
        if str(error) != champion.problem:
            in_use = champion.release.release_id if champion.release else "none"
            LOG.warning("champion stays %s: %s", in_use, error)
        champion.problem = str(error)
    except Exception as error:
        LOG.exception("could not look for a new champion")
        champion.problem = f"{type(error).__name__}"
    return False


def start(champion: Champion, settings: Settings, metrics: Metrics) -> threading.Thread:
    """Load the champion (from the store, or the one kept on disk) and watch the pointer from a thread."""
    client = open_store(settings.object_store)
    if not refresh(champion, settings, metrics, client):
        _load_kept(champion, settings, metrics)
    thread = threading.Thread(
        target=_watch, args=(champion, settings, metrics, client), name="release-watch", daemon=True
    )
    thread.start()
    return thread


def _watch(champion: Champion, settings: Settings, metrics: Metrics, client: Any) -> None:
    wait = settings.poll_seconds
    while not champion.stopping.wait(wait):
        well = refresh(champion, settings, metrics, client)
        wait = settings.poll_seconds if well else min(wait * 2, max(60.0, settings.poll_seconds))


def _swap(champion: Champion, release: Release, pointer: Pointer, metrics: Metrics) -> None:
    champion.release, champion.pointer = release, pointer
    metrics.release.clear()
    metrics.release.labels(release.release_id).set(1)
    metrics.release_as_of.set(release.as_of.timestamp())
    LOG.info("answering from release %s", release.release_id)


def _remember(cache: Path, release_id: str, champion: Champion) -> None:
    pointer = champion.pointer
    assert pointer is not None
    fresh = cache / f".{POINTER}.{release_id}"
    fresh.write_text(f'{{"release_id": "{pointer.release_id}", "manifest_sha256": "{pointer.manifest_sha256}"}}')
    fresh.replace(cache / POINTER)
    forget_old_releases(cache, {release_id})


def _load_kept(champion: Champion, settings: Settings, metrics: Metrics) -> None:
    try:
        pointer = parse_pointer((settings.cache_path / POINTER).read_bytes())
        folder = settings.cache_path / pointer.release_id
        verify_folder(folder, pointer)
        _swap(champion, load_release(folder, settings.online_store), pointer, metrics)
    except FileNotFoundError:
        LOG.warning("no release on disk either; waiting for one")
    except ReleaseRejected as error:
        LOG.warning("the release kept on disk is not whole: %s", error)
