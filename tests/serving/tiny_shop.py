"""A shop of 24 items whose right answers are known, as a real release: ONNX, Feast registry, vectors, items, manifest.

The model gives each item: popularity / 1000 + the sum over the history of e^(-age/7) × relation(history item, item)
+ habit count / 10. The relation is 2 for the item itself, 1 for its co-purchased item, 0.2 within a category.
"""

import gzip
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from feature_repo.features import HABIT_LENGTH, HISTORY_LENGTH, USER_HABITS, USER_HISTORY
from feature_repo.schema import pseudonym
from feature_repo.store import StoreAddress, apply_definitions, open_store
from flows.release_signatures import signature_of
from flows.settings import public_key_of

AS_OF = datetime(2018, 1, 1, tzinfo=UTC)
KEY = b"a key of the tests"
#: Who signs the tiny shop's releases, and the public half that its servers are given.
SIGNING_KEY = "07" * 32
PUBLIC_KEY = public_key_of(SIGNING_KEY)
SHELVES = {
    "Dairy": ["Milk", "Butter", "Yoghurt", "Cheddar", "Cream", "Feta"],
    "Produce": ["Bananas", "Apples", "Carrots", "Onions", "Limes", "Kale"],
    "Bakery": ["Bread", "Bagels", "Croissants", "Rye loaf", "Muffins", "Scones"],
    "Drinks": ["Coffee", "Green tea", "Cola", "Lemonade", "Tonic", "Oat drink"],
}
ITEMS = [
    {
        "item_id": f"i{number:02d}",
        "title": title,
        "category": f"GROCERY > {shelf}",
        "brand": "Maker" if number % 2 else None,
        "price": round(0.99 + 0.25 * number, 2),
        "currency": "USD",
        "available": title != "Scones",
    }
    for number, (shelf, title) in enumerate(
        ((shelf, title) for shelf, titles in SHELVES.items() for title in titles), start=1
    )
]
COUNT = len(ITEMS)
MILK, BREAD, COFFEE, SCONES = "i01", "i13", "i19", "i18"
REGULAR = pseudonym("regular", KEY)
STRANGER = pseudonym("stranger", KEY)


def relations() -> np.ndarray:
    """Return the model's relation matrix, float32 [n+1, n+1]; the co-purchased item of i is i + 12."""
    table = np.zeros((COUNT + 1, COUNT + 1), np.float32)
    for i in range(1, COUNT + 1):
        for j in range(1, COUNT + 1):
            table[i, j] = 2.0 if i == j else 1.0 if partner(i) == j else 0.2 if (i - 1) // 6 == (j - 1) // 6 else 0.0
    return table


def partner(i: int) -> int:
    """Return the item most bought with item i."""
    return i + 12 if i <= 12 else i - 12


def popularity() -> np.ndarray:
    """Return recent interactions, falling from item 1 to item n."""
    return np.array([0, *range(COUNT, 0, -1)], np.float32)


def write_model(path: Path, factor: float = 1.0) -> None:
    """Write the model; `factor` scales the relations, so that two releases differ."""
    weights = {
        "relation": relations() * factor,
        "prior": (popularity() / 1000)[None, :],
        "eye": np.eye(COUNT + 1, dtype=np.float32) / 10,
        "minus_week": np.array(-7, np.float32),
        "nothing": np.array(-np.inf, np.float32),
        "last": np.array([-1], np.int64),
        "places": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Div", ["history_ages", "minus_week"], ["weeks"]),
        helper.make_node("Exp", ["weeks"], ["fading"]),
        helper.make_node("Unsqueeze", ["fading", "last"], ["weight"]),
        helper.make_node("Gather", ["relation", "history_items"], ["related"]),
        helper.make_node("Mul", ["related", "weight"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "places"], ["by_history"], keepdims=0),
        helper.make_node("Gather", ["eye", "habit_items"], ["habitual"]),
        helper.make_node("Unsqueeze", ["habit_counts", "last"], ["count"]),
        helper.make_node("Mul", ["habitual", "count"], ["counted"]),
        helper.make_node("ReduceSum", ["counted", "places"], ["by_habit"], keepdims=0),
        helper.make_node("Add", ["by_history", "by_habit"], ["personal"]),
        helper.make_node("Add", ["personal", "prior"], ["all_scores"]),
        helper.make_node("Where", ["allowed", "all_scores", "nothing"], ["masked"]),
        helper.make_node("TopK", ["masked", "k"], ["scores", "items"]),
    ]
    inputs, outputs = door()
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))


def door() -> tuple[list[onnx.ValueInfoProto], list[onnx.ValueInfoProto]]:
    """Return the model's inputs and outputs; this one needs no types and no habit ages."""
    whole, real = TensorProto.INT64, TensorProto.FLOAT
    inputs = [
        helper.make_tensor_value_info("history_items", whole, ["batch", HISTORY_LENGTH]),
        helper.make_tensor_value_info("history_ages", real, ["batch", HISTORY_LENGTH]),
        helper.make_tensor_value_info("habit_items", whole, ["batch", HABIT_LENGTH]),
        helper.make_tensor_value_info("habit_counts", real, ["batch", HABIT_LENGTH]),
        helper.make_tensor_value_info("allowed", TensorProto.BOOL, ["batch", COUNT + 1]),
        helper.make_tensor_value_info("k", whole, [1]),
    ]
    outputs = [
        helper.make_tensor_value_info("items", whole, ["batch", "k"]),
        helper.make_tensor_value_info("scores", real, ["batch", "k"]),
    ]
    return inputs, outputs


def write_release(
    folder: Path,
    registry: Path,
    release_id: str,
    factor: float = 1.0,
    spoil: Callable[[onnx.ModelProto], None] | None = None,
) -> str:
    """Write a whole release into `folder` and return the sha256 of its manifest; `spoil` may change its model."""
    folder.mkdir(parents=True)
    write_model(folder / "model.onnx", factor)
    if spoil is not None:
        model = onnx.load(str(folder / "model.onnx"))
        spoil(model)
        onnx.save(model, str(folder / "model.onnx"))
    vectors = np.zeros((COUNT + 1, 4), np.float32)
    for i in range(1, COUNT + 1):
        vectors[i, (i - 1) // 6] = 1.0
        vectors[i] += 0.01 * i / COUNT
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "popularity.npy", popularity())
    partners = np.zeros((COUNT + 1, 20), np.int32)
    partners[1:, 0] = [partner(i) for i in range(1, COUNT + 1)]
    np.savez(folder / "neighbours.npz", items=partners, scores=(partners > 0).astype(np.float32), bought=partners > 0)
    with gzip.open(folder / "items.jsonl.gz", "wt") as lines:
        lines.writelines(json.dumps(item) + "\n" for item in ITEMS)
    (folder / "registry.db").write_bytes(registry.read_bytes())
    content = json.dumps(manifest(folder, release_id)).encode()
    (folder / "manifest.json").write_bytes(content)
    (folder / "manifest.sig").write_bytes(signature_of(content, SIGNING_KEY))
    return hashlib.sha256(content).hexdigest()


def manifest(folder: Path, release_id: str) -> dict[str, Any]:
    """Return the manifest of what is in the folder."""
    files = {
        path.name: {"size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.iterdir())
        if path.name != "manifest.sig"
    }
    return {
        "schema": 1,
        "release_id": release_id,
        "as_of": AS_OF.isoformat(),
        "currency": "USD",
        "files": files,
        "vocabulary_sha256": hashlib.sha256("\n".join(item["item_id"] for item in ITEMS).encode()).hexdigest(),
        "sample_users": [
            {"pseudonym": REGULAR, "label": "A regular"},
            {"pseudonym": STRANGER, "label": "Someone never seen"},
        ],
    }


def publish(client: Any, bucket: str, folder: Path, manifest_sha256: str) -> None:
    """Upload a release as its writer does: files, manifest, pointer."""
    names = sorted(path.name for path in folder.iterdir() if path.name != "manifest.json")
    release_id = json.loads((folder / "manifest.json").read_text())["release_id"]
    for name in (*names, "manifest.json"):
        client.put_object(Bucket=bucket, Key=f"releases/{release_id}/{name}", Body=(folder / name).read_bytes())
    point_to(client, bucket, release_id, manifest_sha256)


def point_to(client: Any, bucket: str, release_id: str, manifest_sha256: str) -> None:
    """Make a release the champion."""
    pointer = {"release_id": release_id, "manifest_sha256": manifest_sha256, "promoted_at": AS_OF.isoformat()}
    client.put_object(Bucket=bucket, Key="champion.json", Body=json.dumps(pointer).encode())


def fill_online_store(address: StoreAddress) -> None:
    """Register the features and write the online row of the regular user through Feast."""
    store = open_store(address)
    apply_definitions(store, str(Path(address.registry_path).parent / "offline"))
    bought = [(MILK, 40), (BREAD, 30), (MILK, 20), (COFFEE, 10), (MILK, 5)]
    moments = {"event_timestamp": [AS_OF], "created_timestamp": [AS_OF]}
    lists = (
        [item_id for item_id, _ in bought],
        ["purchase"] * len(bought),
        [AS_OF - timedelta(days=days) for _, days in bought],
    )
    history = {name: [column] for name, column in zip(USER_HISTORY.feature_names, lists, strict=True)}
    store.write_to_online_store("user_history", inputs={"user_id": [REGULAR], **history, **moments})
    lists = ([MILK, COFFEE, BREAD], [3.0, 1.0, 1.0], [AS_OF - timedelta(days=days) for days in (5, 10, 30)])
    habits = {name: [column] for name, column in zip(USER_HABITS.feature_names, lists, strict=True)}
    store.write_to_online_store("user_habits", inputs={"user_id": [REGULAR], **habits, **moments})
