"""Whose rows a load put online: a row whose user has left the lake since is emptied by the next load."""

import hashlib
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.features import CREATED_TIMESTAMP, EVENT_TIMESTAMP, FeatureView
from flows.settings import Settings


def keys_online(settings: Settings, view: str, store: str) -> set[str]:
    """Return the keys of a view's rows that loads put into an online store."""
    path = _path(settings, view, store)
    return set(pq.read_table(path)["key"].to_pylist()) if path.exists() else set()


def note_keys(settings: Settings, view: str, store: str, keys: Iterable[str]) -> None:
    """Keep the keys of a view's rows in an online store."""
    path = _path(settings, view, store)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    pq.write_table(pa.table({"key": pa.array(sorted(keys), pa.string())}), fresh)
    fresh.replace(path)


def empty_rows(view: FeatureView, keys: Iterable[str], schema: pa.Schema, moment: datetime) -> pa.Table:
    """Return rows of a view that say nothing of these keys: lists are empty, numbers null."""
    nothing = {feature.name: [] if feature.dtype.startswith("list<") else None for feature in view.features}
    times = {EVENT_TIMESTAMP: moment, CREATED_TIMESTAMP: moment}
    return pa.Table.from_pylist([{view.key: key, **nothing, **times} for key in sorted(keys)], schema=schema)


def _path(settings: Settings, view: str, store: str) -> Path:
    name = f"{view}-{hashlib.sha256(store.encode()).hexdigest()[:12]}.parquet"
    return Path(settings.feature_store.registry_path).with_name("online_keys") / name
