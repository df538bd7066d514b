"""What a release holds beside its model: items, vectors, neighbours, popularity, policies, registry, the manifest."""

import gzip
import json
import math
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_repo.features import (
    CO_PURCHASE_LENGTH,
    CO_PURCHASE_MINIMUM,
    HABIT_LENGTH,
    HISTORY_LENGTH,
    ITEM_VIEWS,
    MODEL_INPUTS,
    MODEL_OUTPUTS,
)
from flows.feature_rows import historical_rows
from flows.feature_tables import build_tables
from flows.release_pins import code_pins, contract_pins, data_pins, feature_pins, rules_pins, validation_pins
from flows.releases import POLICIES_NAME
from flows.repeat_policy import repeat_policies
from flows.settings import Settings
from flows.training_set import TrainingTables, judged_rows
from training.gate_checks import vocabulary_sha256
from training.item_vectors import whitened_text

MANIFEST_SCHEMA = 1
#: What serving says of an item, in this order.
ITEM_FIELDS = ("item_id", "title", "description", "category", "brand", "price", "currency", "image", "available")
#: The users a newcomer tries first: label and quantile of events in the last year among users of the test cut.
SAMPLE_USERS = (
    ("a heavy user", 0.98),
    ("a light user", 0.10),
    ("a typical user", 0.50),
    ("a frequent user", 0.80),
    ("an occasional user", 0.25),
)


def write_contents(
    settings: Settings,
    folder: Path,
    tables: TrainingTables,
    text_vectors: np.ndarray,
    as_of: datetime,
    source: str | None,
) -> None:
    """Write every file of a release but model.onnx and the reports; arrays have n + 1 rows in vocabulary order.

    Popularity and neighbours are as of the release's moment; their feature tables are built if they are missing.
    `text_vectors` float32 [n + 1, d].
    """
    build_tables(settings, {view.name: (as_of,) for view in ITEM_VIEWS}, source)
    features = historical_rows(settings, (as_of,), ITEM_VIEWS)
    item_ids = tables.items["item_id"].combine_chunks()
    rows = features.take(pc.fill_null(pc.index_in(item_ids, features["item_id"].combine_chunks()), 0))
    known = pc.is_valid(pc.index_in(item_ids, features["item_id"].combine_chunks())).to_numpy(zero_copy_only=False)
    _write_items(folder / "items.jsonl.gz", tables.items)
    np.save(folder / "vectors.npy", whitened_text(text_vectors))
    np.save(folder / "popularity.npy", _popularity(rows, known))
    items, scores, bought = _neighbours(rows, known, item_ids)
    np.savez(folder / "neighbours.npz", items=items, scores=scores, bought=bought)
    policies = json.dumps(repeat_policies(settings, as_of, source, tables.items), indent=1, ensure_ascii=False)
    (folder / POLICIES_NAME).write_text(policies, encoding="utf-8")
    shutil.copyfile(settings.feature_store.registry_path, folder / "registry.db")


def manifest_of(
    settings: Settings,
    tables: TrainingTables,
    as_of: datetime,
    source: str | None,
    model: Mapping[str, Any],
    evidence: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the manifest but for id, moment of creation and files, which publishing adds.

    `model`: name, kind. `evidence`: metrics, gate, seeds, hyper_parameters, inputs_sha256, cost.
    """
    item_ids = tables.items["item_id"].to_pylist()
    content = {
        "schema": MANIFEST_SCHEMA,
        "as_of": as_of.isoformat(),
        "source": source or "all",
        "currency": _most_common(tables.items["currency"]),
        "model": {
            **model,
            "inputs": list(MODEL_INPUTS),
            "outputs": list(MODEL_OUTPUTS),
            "item_count": len(item_ids),
            "history_length": HISTORY_LENGTH,
            "habit_length": HABIT_LENGTH,
        },
        "vocabulary_sha256": vocabulary_sha256(item_ids),
        "features": feature_pins(),
        "lake": dict(tables.lake),
        "data": data_pins(settings, tables),
        "contract": contract_pins(),
        "validation": validation_pins(settings),
        "rules": rules_pins(settings),
        "code": code_pins(),
        **evidence,
        "sample_users": sample_users(tables.histories),
    }
    whole: dict[str, Any] = without_nan(content)
    return whole


def sample_users(histories: pa.Table) -> list[dict[str, str]]:
    """Return users to try, each with a label; the heavy one first, then the light one."""
    cut = judged_rows(histories)
    events = pc.fill_null(cut["event_count_364d"], 0)
    cut = cut.append_column("events", events).sort_by([("events", "ascending"), ("user_id", "ascending")])
    users = cut["user_id"].to_pylist()
    found: dict[str, str] = {}
    for label, quantile in SAMPLE_USERS:
        if users:
            found.setdefault(users[round(quantile * (len(users) - 1))], label)
    return [{"pseudonym": user, "label": label} for user, label in found.items()]


def without_nan(content: Any) -> Any:
    """Return the content with null for NaN and infinity, which JSON does not have."""
    if isinstance(content, Mapping):
        return {key: without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [without_nan(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content


def _write_items(path: Path, items: pa.Table) -> None:
    """One JSON a line; without the moment of writing in the header, so that the same items give the same bytes."""
    rows = items.select(list(ITEM_FIELDS)).to_pylist()
    lines = "".join(json.dumps(without_nan(row), ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(gzip.compress(lines.encode(), mtime=0))


def _popularity(rows: pa.Table, known: np.ndarray) -> np.ndarray:
    """Return interactions in the last 28 days, float32 [n + 1]."""
    counts = pc.fill_null(rows["interaction_count_28d"], 0).to_numpy().astype(np.float32)
    return np.concatenate(([0], np.where(known, counts, 0))).astype(np.float32)


def _neighbours(rows: pa.Table, known: np.ndarray, item_ids: pa.Array) -> tuple[np.ndarray, ...]:
    """Return the items met most together with each, [n + 1, 20]: indices int32, 0 = none; cosines float32.

    The third, bool, says where both were bought in visits enough to tell it.
    """
    lists = rows["co_purchase_item_ids"].combine_chunks()
    parent = pc.list_parent_indices(lists).to_numpy()
    index = pc.fill_null(pc.add(pc.index_in(pc.list_flatten(lists), item_ids), 1), 0).to_numpy()
    cosine, visits = (
        pc.list_flatten(rows[name].combine_chunks()).to_numpy() for name in ("co_purchase_scores", "co_purchase_bought")
    )
    keep = (index > 0) & known[parent]
    parent, index, cosine, visits = parent[keep], index[keep], cosine[keep], visits[keep]
    place = np.arange(len(parent)) - np.searchsorted(parent, parent)
    first = place < CO_PURCHASE_LENGTH
    at = parent[first] + 1, place[first]
    items = np.zeros((len(known) + 1, CO_PURCHASE_LENGTH), dtype=np.int32)
    scores, bought = np.zeros(items.shape, dtype=np.float32), np.zeros(items.shape, dtype=np.bool_)
    items[at], scores[at], bought[at] = index[first], cosine[first], visits[first] >= CO_PURCHASE_MINIMUM
    return items, scores, bought


def _most_common(column: pa.ChunkedArray) -> str | None:
    counts = {row["values"]: row["counts"] for row in pc.value_counts(column.drop_null()).to_pylist()}
    return max(counts, key=lambda value: (counts[value], value)) if counts else None
