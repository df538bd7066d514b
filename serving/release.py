"""A release in memory: everything an answer depends on, loaded from a verified folder and tried before it is used."""

import hashlib
import mmap
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from serving.catalogue import Catalogue, first_category, read_catalogue
from serving.history import UserRow
from serving.model_inputs import known_row, sequences_of
from serving.online_rows import OnlineRows, OnlineStoreUnavailable, OpenOnlineRows
from serving.repeat_policy import POLICIES, read_policies
from serving.scorer import Scorer, best_items, open_scorer
from serving.shelf_rules import ShelfRules, bind_rules

MANIFEST_SCHEMA = 1
UNIT_TOLERANCE = 1e-3


class ReleaseRejected(Exception):
    """The release is not whole, not what its manifest says, or does not answer."""


@dataclass(frozen=True)
class SampleUser:
    """A user to try the storefront with."""

    pseudonym: str
    label: str


@dataclass(frozen=True)
class Release:
    """One loaded release. Arrays are over the vocabulary, n + 1 rows, row 0 padding.

    `vectors` float32 [n+1, d] of length 1 (0 where an item has none), `neighbour_items` int32 [n+1, 20] co-purchased
    items (0 = none), `neighbour_scores` float32 alike, `neighbour_bought` bool alike (both were bought in one visit, in
    at least two; False in releases from before that was counted), `popularity` float32 [n+1] recent interactions,
    `category_places` int32 [n+1] how many others of the same first category are at least as popular: of equals,
    none stands before another. `rules` are the shop's
    own, tied to this release's items. `nobody_places` int32 [n+1] is where the model puts each item for a user of whom
    nothing is known, 0 the best; n + 1 for one that is not available.
    """

    release_id: str
    as_of: datetime
    currency: str | None
    sample_users: tuple[SampleUser, ...]
    catalogue: Catalogue
    scorer: Scorer
    vectors: npt.NDArray[np.float32]
    neighbour_items: npt.NDArray[np.int32]
    neighbour_scores: npt.NDArray[np.float32]
    neighbour_bought: npt.NDArray[np.bool_]
    popularity: npt.NDArray[np.float32]
    category_places: npt.NDArray[np.int32]
    online: OnlineRows | None
    rules: ShelfRules
    nobody_places: npt.NDArray[np.int32]


def load_release(folder: Path, open_online: OpenOnlineRows) -> Release:
    """Load the files of a verified release folder and answer one request with them as a trial.

    An online store that cannot be opened leaves `online` None: answers then come from the session or popularity.
    Raises ReleaseRejected with the file and what is wrong with it.
    """
    try:
        manifest = orjson.loads((folder / "manifest.json").read_bytes())
        release = _assemble(folder, manifest, _online(open_online, folder))
        _check_vocabulary(release, manifest)
        _try(release)
        return replace(release, nobody_places=_nobody_places(release))
    except ReleaseRejected:
        raise
    except Exception as error:
        raise ReleaseRejected(f"release in {folder.name}: {type(error).__name__}: {error}") from error


def _assemble(folder: Path, manifest: dict[str, Any], online: OnlineRows | None) -> Release:
    if manifest.get("schema") != MANIFEST_SCHEMA:
        raise ReleaseRejected(f"expected manifest schema {MANIFEST_SCHEMA}, but found {manifest.get('schema')!r}")
    with np.load(folder / "neighbours.npz", allow_pickle=False) as neighbours:
        neighbour_items = neighbours["items"].astype(np.int32, copy=False)
        neighbour_scores = neighbours["scores"].astype(np.float32, copy=False)
        neighbour_bought = np.zeros(neighbour_items.shape, np.bool_)
        if "bought" in neighbours:
            neighbour_bought = neighbours["bought"].astype(np.bool_, copy=False)
    catalogue = read_catalogue(folder / "items.jsonl.gz", manifest.get("currency"))
    popularity = np.load(folder / "popularity.npy", allow_pickle=False).astype(np.float32)
    return Release(
        release_id=str(manifest["release_id"]),
        as_of=_moment(manifest["as_of"]),
        currency=manifest.get("currency"),
        sample_users=tuple(
            SampleUser(str(user["pseudonym"]), str(user["label"])) for user in manifest.get("sample_users", [])
        ),
        catalogue=catalogue,
        scorer=open_scorer(folder / "model.onnx"),
        vectors=_unit_vectors(folder / "vectors.npy"),
        neighbour_items=neighbour_items,
        neighbour_scores=neighbour_scores,
        neighbour_bought=neighbour_bought,
        popularity=popularity,
        category_places=category_places(catalogue, popularity),
        online=online,
        rules=bind_rules(None, catalogue, read_policies(folder / POLICIES, catalogue)),
        nobody_places=np.zeros(0, np.int32),
    )


def _online(open_online: OpenOnlineRows, folder: Path) -> OnlineRows | None:
    try:
        return open_online(folder / "registry.db")
    except OnlineStoreUnavailable:
        return None


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _unit_vectors(path: Path) -> npt.NDArray[np.float32]:
    """Map the file as it is where its rows are float32 of length 1 or 0: processes of one machine then share it.

    A release writes them so; others are read and made so.
    """
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    vectors: npt.NDArray[np.float32] = np.asarray(mapped)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    if vectors.dtype == np.float32 and bool(((np.abs(lengths - 1) < UNIT_TOLERANCE) | (lengths == 0)).all()):
        mapped._mmap.madvise(mmap.MADV_DONTNEED)  # read once, whole; from here on row by row
        return vectors
    unit: npt.NDArray[np.float32] = (vectors / np.where(lengths > 0, lengths, 1.0)[:, None]).astype(np.float32)
    return unit


def category_places(catalogue: Catalogue, popularity: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """Return how many others of its first category are at least as popular as each item."""
    places = np.zeros(len(popularity), np.int32)
    groups: dict[str | None, list[int]] = defaultdict(list)
    for position, item in enumerate(catalogue.items[: len(popularity)]):
        groups[first_category(item.category)].append(position)
    for members in groups.values():
        counts = popularity[members]
        places[members] = len(counts) - np.searchsorted(np.sort(counts), counts, side="left") - 1
    return places


def _check_vocabulary(release: Release, manifest: dict[str, Any]) -> None:
    item_ids = [item.item_id for item in release.catalogue.items[1:]]
    found = hashlib.sha256("\n".join(item_ids).encode()).hexdigest()
    if found != manifest["vocabulary_sha256"]:
        raise ReleaseRejected(f"items.jsonl.gz: expected vocabulary {manifest['vocabulary_sha256']}, but found {found}")
    rows = len(item_ids) + 1
    tables = {
        "vectors.npy": release.vectors,
        "neighbours.npz items": release.neighbour_items,
        "neighbours.npz scores": release.neighbour_scores,
        "neighbours.npz bought": release.neighbour_bought,
        "popularity.npy": release.popularity,
    }
    for name, table in tables.items():
        if len(table) != rows:
            raise ReleaseRejected(f"{name}: expected {rows} rows (items + 1), but found {len(table)}")
    if release.neighbour_items.min(initial=0) < 0 or release.neighbour_items.max(initial=0) >= rows:
        raise ReleaseRejected(f"neighbours.npz: expected indices of 0..{rows - 1}")
    for name in ("vectors.npy", "popularity.npy"):
        if not np.isfinite(tables[name]).all():
            raise ReleaseRejected(f"{name}: expected finite numbers only")


def _try(release: Release) -> None:
    if not release.catalogue.available.any():
        raise ReleaseRejected("items.jsonl.gz: expected at least one available item, but found none")
    k = min(10, release.catalogue.available_count)
    items = _for_nobody(release, k)
    if release.online is not None:
        with suppress(OnlineStoreUnavailable):  # it may come back; the first read is the slow one
            release.online.read("u_" + "0" * 24)
    if len(items) != k or len(set(items.tolist())) != k:
        raise ReleaseRejected(f"model.onnx: expected {k} different items as a trial answer, but found {items.tolist()}")


def _nobody_places(release: Release) -> npt.NDArray[np.int32]:
    count = len(release.catalogue.items)
    places = np.full(count, count, np.int32)
    ranked = _for_nobody(release, release.catalogue.available_count)
    places[ranked] = np.arange(len(ranked))
    return places


def _for_nobody(release: Release, k: int) -> npt.NDArray[np.int64]:
    """Return the model's first k items for a user of whom nothing is known."""
    nobody = sequences_of([known_row(UserRow(), release.catalogue.index)], release.as_of)
    ((items, _),) = best_items(release.scorer, nobody, release.catalogue.available[None, :], k)
    return items
