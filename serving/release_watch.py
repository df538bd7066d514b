"""The champion in use: loaded at start, swapped when the pointer moves, kept when the new one fails.

A release is loaded whole beside the old one; the swap is one assignment, so a request sees one release only.
"""

import logging
import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any

from feature_repo.slate_rules import PublishedRules
from serving.experiment_watch import ExperimentSource
from serving.lease import give_up, own_lease, renew
from serving.memory import settle_memory
from serving.metrics import Metrics
from serving.online_rows import OpenOnlineRows
from serving.release import Release, ReleaseRejected, load_release
from serving.release_store import (
    POINTER,
    NoChampion,
    Pointer,
    StoreUnavailable,
    fetch_release,
    forget_old_releases,
    keep_pointer,
    open_store,
    parse_pointer,
    read_pointer,
    verify_folder,
)
from serving.rule_watch import RuleSource
from serving.settings import Settings
from serving.shelf_rules import bind_rules
from serving.trial import Trial

#: A release that did not load is fetched again after this many looks at the pointer.
RETRY_POLLS = 6
#: Seconds that a start waits for the object store before it turns to the release kept on disk.
FIRST_LOOK_SECONDS = 5.0
LOG = logging.getLogger("serving")


@dataclass
class Champion:
    """The release in use and its pointer, None before the first; `problem` says why there is no newer one.

    `waits_for` says the same in words that name no address and no release, for those who ask before the first.
    `rules` are the shop's own as they were published; the release in use has them tied to its items. `refused` is the
    pointer whose release did not load, not tried again before `retry_at` (monotonic seconds). `trial` is the experiment
    that its shoppers take part in.
    """

    release: Release | None = None
    pointer: Pointer | None = None
    problem: str | None = None
    waits_for: str = "its first look at the object store"
    rules: PublishedRules | None = None
    refused: Pointer | None = None
    retry_at: float = 0.0
    trial: Trial | None = None
    stopping: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Watch:
    """What is needed to keep the champion fresh."""

    settings: Settings
    champion: Champion
    metrics: Metrics
    open_online: OpenOnlineRows


def start(watch: Watch) -> threading.Thread:
    """Watch the pointer from a thread; return after its first look, or from the release kept on disk after a moment.

    A store that hangs holds up neither the start nor, later, a shopper.
    """
    source = RuleSource(watch.settings.object_store.bucket, watch.settings.cache_path)
    watch.champion.rules = source.from_disk()
    looked = threading.Event()
    thread = threading.Thread(target=_keep_fresh, args=(watch, source, looked), name="release-watch", daemon=True)
    thread.start()
    looked.wait(FIRST_LOOK_SECONDS)
    if watch.champion.release is None:
        _load_kept(watch)
    return thread


def refresh(watch: Watch, client: Any) -> bool:
    """Look at the pointer once and swap when it moved; return whether it names the release in use. Never raises."""
    champion = watch.champion
    try:
        return _follow_pointer(watch, client)
    except (StoreUnavailable, ReleaseRejected) as error:
        if isinstance(error, ReleaseRejected):
            watch.metrics.releases_refused.inc()
        if str(error) != champion.problem:
            in_use = champion.release.release_id if champion.release else "none"
            LOG.warning("champion stays %s: %s", in_use, error)
        champion.problem, champion.waits_for = str(error), _lacking(error)
    except Exception as error:
        LOG.exception("could not look for a new champion")
        champion.problem = type(error).__name__
    return False


def _lacking(error: StoreUnavailable | ReleaseRejected) -> str:
    if isinstance(error, NoChampion):
        return "a first release: train one (`aisle pipeline`)"
    if isinstance(error, StoreUnavailable):
        return "the object store, which does not give it the release"
    return "a release that it can use: the newest was refused"


def refresh_rules(watch: Watch, source: RuleSource, client: Any) -> None:
    """Use the shop's rules as they are published now; what cannot be read or used changes nothing."""
    champion = watch.champion
    try:
        found = source.newer(client, champion.rules)
        if found is not None:
            champion.rules = found
            if champion.release is not None:
                champion.release = _with_rules(champion, champion.release)
            LOG.info("rules %s are in use", found.rules_id)
    except Exception:
        LOG.exception("could not look for new rules")


def _keep_fresh(watch: Watch, source: RuleSource, looked: threading.Event) -> None:
    client, bucket = open_store(watch.settings.object_store), watch.settings.object_store.bucket
    champion, lease = watch.champion, own_lease(watch.settings.port)
    experiments = ExperimentSource(watch.settings, watch.metrics)
    refresh_rules(watch, source, client)
    refresh(watch, client)
    looked.set()
    champion.trial = experiments.trial_beside(client, champion.release, champion.rules)
    stopped = False
    while not stopped:
        renew(client, bucket, lease, champion.release.release_id if champion.release else None)
        stopped = champion.stopping.wait(watch.settings.poll_seconds)
        if not stopped:
            refresh(watch, client)
            refresh_rules(watch, source, client)
            champion.trial = experiments.trial_beside(client, champion.release, champion.rules)
    experiments.close()
    give_up(client, bucket, lease)


def _with_rules(champion: Champion, release: Release) -> Release:
    return replace(release, rules=bind_rules(champion.rules, release.catalogue, release.rules.learned))


def _follow_pointer(watch: Watch, client: Any) -> bool:
    champion, bucket, cache = watch.champion, watch.settings.object_store.bucket, watch.settings.cache_path
    pointer = read_pointer(client, bucket)
    if pointer == champion.refused and time.monotonic() < champion.retry_at:
        return False
    if pointer != champion.pointer:
        try:
            keys, most = watch.settings.release_keys, watch.settings.max_release_bytes
            folder = fetch_release(client, bucket, pointer, cache, keys, most)
            release = load_release(folder, watch.open_online)
        except ReleaseRejected:
            champion.refused, champion.retry_at = pointer, time.monotonic() + RETRY_POLLS * watch.settings.poll_seconds
            raise
        _swap(watch, release, pointer)
        keep_pointer(cache, pointer)
        forget_old_releases(cache, {pointer.release_id, *_challengers(champion)})
    champion.problem = None
    return True


def _challengers(champion: Champion) -> set[str]:
    return set() if champion.trial is None else {champion.trial.experiment.challenger}


def _load_kept(watch: Watch) -> None:
    cache = watch.settings.cache_path
    try:
        pointer = parse_pointer((cache / POINTER).read_bytes())
        folder = cache / pointer.release_id
        verify_folder(folder, pointer, watch.settings.release_keys)
        _swap(watch, load_release(folder, watch.open_online), pointer)
    except FileNotFoundError:
        LOG.warning("no release on disk either; waiting for one")
    except ReleaseRejected as error:
        LOG.warning("the release kept on disk is not whole: %s", error)


def _swap(watch: Watch, release: Release, pointer: Pointer) -> None:
    if watch.champion.release is not None:
        watch.metrics.release.labels(watch.champion.release.release_id).set(0)
    watch.champion.release, watch.champion.pointer = _with_rules(watch.champion, release), pointer
    watch.metrics.release.labels(release.release_id).set(1)
    watch.metrics.release_as_of.set(release.as_of.timestamp())
    LOG.info("answering from release %s", release.release_id)
    settle_memory()
