"""A shop of any size for the serving benchmark: items, a Transformer with random weights, and users' online rows.

Everything is drawn from a seed; nothing is read from outside. Items are met as shops meet them: few often, most rarely.
"""

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from feature_repo.features import CO_PURCHASE_LENGTH, HABIT_LENGTH, HISTORY_LENGTH, USER_HABITS, USER_HISTORY
from feature_repo.schema import INTERACTION_TYPES
from feature_repo.store import StoreAddress, apply_definitions, open_store
from flows.releases import publish
from flows.settings import Settings
from serving.feast_values import registry_project, write_list
from serving.row_store import RowStore, WrittenRow
from serving.settings import OnlineStoreSettings
from serving.stored_rows import open_row_store
from training.copy_head import CopyHead
from training.export import write_model
from training.item_index import INDEXED_FROM, IndexFound, write_index
from training.transformer import UserEncoder
from training.transformer_scorer import TransformerScorer

AS_OF = datetime(2024, 6, 1, tzinfo=UTC)
NOW = int(AS_OF.timestamp())
WIDTH, TEXT_WIDTH = 64, 128
CATEGORIES, BRANDS = 200, 500
_SHELVES = ("Dairy", "Produce", "Bakery", "Drinks", "Household")


@dataclass(frozen=True)
class ShopSize:
    """How large the shop is, and the seed it is drawn from."""

    users: int
    items: int
    seed: int = 7


def item_id(index: int) -> str:
    """Return the id of the item at a vocabulary index."""
    return f"sku{index:07d}"


def pseudonym_of(number: int) -> str:
    """Return the pseudonym of a user of the shop."""
    return f"u_{number:024x}"


def module_of(size: ShopSize) -> TransformerScorer:
    """Return the scorer: the released Transformer's shape (width 64, 2 blocks, 50 of the history), random weights."""
    torch.manual_seed(size.seed)
    encoder = UserEncoder(WIDTH, 2, 2, 0.2, 50)
    torch.nn.init.ones_(encoder.final_norm.weight)
    ranks = torch.arange(1, size.items + 1, dtype=torch.float32)
    popularity = torch.cat([torch.zeros(1), -torch.log(ranks)])
    head = CopyHead(popularity, torch.rand(size.items + 1))
    vectors = torch.nn.functional.normalize(torch.randn(size.items + 1, WIDTH), dim=1)
    return TransformerScorer(encoder, head, vectors, torch.zeros(size.items + 1), np.array([1, 0.5, 0.5, 0.1])).eval()


def publish_shop(
    settings: Settings, size: ShopSize, folder: Path, indexed_from: int = INDEXED_FROM
) -> IndexFound | None:
    """Write a whole release into `folder` and make it champion; return what its item index finds, if it has one."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(size.seed)
    rows = size.items + 1
    module = module_of(size)
    write_model(module, size.items, folder / "model.onnx")
    found = write_index(module, folder) if size.items >= indexed_from else None
    vectors = generator.normal(size=(rows, TEXT_WIDTH)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[0] = 0
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "popularity.npy", np.concatenate(([0], 1e5 / np.arange(1, rows))).astype(np.float32))
    neighbours = _often(generator, size.items, (rows, CO_PURCHASE_LENGTH)).astype(np.int32)
    neighbours[0] = 0
    scores = -np.sort(-generator.random(neighbours.shape).astype(np.float32), axis=1)
    np.savez(folder / "neighbours.npz", items=neighbours, scores=scores, bought=scores > 0.5)
    _write_items(folder / "items.jsonl.gz", size)
    store = open_store(store_address(settings))
    apply_definitions(store, str(settings.home / "offline"))
    (folder / "registry.db").write_bytes(Path(settings.feature_store.registry_path).read_bytes())
    names = "\n".join(item_id(index) for index in range(1, rows))
    manifest = {
        "schema": 1,
        "as_of": AS_OF.isoformat(),
        "currency": "EUR",
        "source": "benchmark",
        "model": {"name": "transformer", "kind": "learned"},
        "features": {},
        "vocabulary_sha256": hashlib.sha256(names.encode()).hexdigest(),
    }
    publish(settings, folder, manifest, None)
    return found


def fill_online_store(settings: Settings, size: ShopSize) -> None:
    """Write history and habits of every user: 5 to 100 interactions and up to 100 habits each."""
    place = settings.feature_store
    online = OnlineStoreSettings(place.online_type, place.online_path, place.redis_url)
    project = registry_project(Path(place.registry_path))
    store = open_row_store(online, project, (USER_HISTORY, USER_HABITS))
    generator = np.random.default_rng(size.seed + 1)
    for number in range(size.users):
        for row in _user_rows(generator, size.items, pseudonym_of(number)):
            store.write(row)


def read_store(settings: Settings) -> RowStore:
    """Open the online store for reading, bare."""
    place = settings.feature_store
    online = OnlineStoreSettings(place.online_type, place.online_path, place.redis_url)
    return open_row_store(online, registry_project(Path(place.registry_path)), (USER_HISTORY, USER_HABITS))


def _user_rows(generator: np.random.Generator, items: int, user: str) -> Iterator[WrittenRow]:
    length = int(generator.integers(5, HISTORY_LENGTH + 1))
    kinds = generator.choice(len(INTERACTION_TYPES), length, p=(0.6, 0.15, 0.2, 0.02, 0.01, 0.01, 0.01))
    history = (
        [item_id(index) for index in _often(generator, items, length).tolist()],
        [INTERACTION_TYPES[kind] for kind in kinds.tolist()],
        np.sort(NOW - generator.integers(1, 364 * 86_400, length)).tolist(),
    )
    bought = np.unique(_often(generator, items, int(generator.integers(0, HABIT_LENGTH + 1))))
    habits = (
        [item_id(index) for index in bought.tolist()],
        generator.integers(1, 20, len(bought)).astype(float).tolist(),
        (NOW - generator.integers(1, 364 * 86_400, len(bought))).tolist(),
    )
    for view, lists in ((USER_HISTORY, history), (USER_HABITS, habits)):
        values = {f.name: write_list(f.dtype, column) for f, column in zip(view.features, lists, strict=True)}
        yield WrittenRow(view, user, values, NOW * 1_000_000, NOW * 1_000_000)


def _often(generator: np.random.Generator, items: int, shape: int | tuple[int, ...]) -> np.ndarray:
    """Draw vocabulary indices, low ones often: index ∝ 1 / rank over the catalogue."""
    return np.minimum((items + 1) ** generator.random(shape), items).astype(np.int64)


def _write_items(path: Path, size: ShopSize) -> None:
    with gzip.open(path, "wt", compresslevel=1) as lines:
        for index in range(1, size.items + 1):
            shelf = index % CATEGORIES
            row = {
                "item_id": item_id(index),
                "title": f"{_SHELVES[shelf % len(_SHELVES)]} article {index}",
                "category": f"{_SHELVES[shelf % len(_SHELVES)]} > Shelf {shelf}",
                "brand": f"Maker {index % BRANDS}",
                "price": round(0.5 + index % 997 / 10, 2),
                "currency": "EUR",
                "available": True,
            }
            lines.write(json.dumps(row) + "\n")


def store_address(settings: Settings) -> StoreAddress:
    """Return where the shop's feature store is."""
    place = settings.feature_store
    return StoreAddress(place.registry_path, place.online_type, place.online_path, place.redis_url)
