"""Text vectors of items, kept by the hash of the text, so that a text is embedded once in its life."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.settings import Settings
from training.item_text import DIMENSIONS, ENCODER_NAME, item_text, text_vectors

#: Texts embedded between two saves: what a kill can cost (~10 s).
TEXTS_PER_SAVE = 2048
ITEM_TEXT_COLUMNS = ("title", "category", "brand", "description")


def vectors_of_items(settings: Settings, items: pa.Table, progress: Callable[[int], None] | None = None) -> np.ndarray:
    """Return float32 [n, 384], one row an item of `items` (title, category, brand, description), in its order.

    Vectors known from before are read from settings.home/text_vectors; new ones are added there in small files, each
    whole or absent. `progress` is called with the number of new texts done since its last call.
    """
    columns = [items[name].to_pylist() for name in ITEM_TEXT_COLUMNS]
    texts = [item_text(*parts) for parts in zip(*columns, strict=True)]
    hashes = {text: _hash(text) for text in set(texts)}
    folder = settings.home / "text_vectors"
    known = _read(folder)
    missing = sorted(text for text, text_hash in hashes.items() if text_hash not in known)
    for start in range(0, len(missing), TEXTS_PER_SAVE):
        part = missing[start : start + TEXTS_PER_SAVE]
        vectors = text_vectors(part, progress)
        _write(folder, [hashes[text] for text in part], vectors)
        known.update({hashes[text]: vector for text, vector in zip(part, vectors, strict=True)})
    return np.stack([known[hashes[text]] for text in texts]) if texts else np.zeros((0, DIMENSIONS), np.float32)


def _hash(text: str) -> str:
    return hashlib.sha256(f"{ENCODER_NAME}\n{text}".encode()).hexdigest()


def _read(folder: Path) -> dict[str, np.ndarray]:
    known: dict[str, np.ndarray] = {}
    for path in sorted(folder.glob("*.parquet")):
        table = pq.read_table(path)
        vectors = table["vector"].combine_chunks().values.to_numpy().reshape(-1, DIMENSIONS)
        known.update(zip(table["text_hash"].to_pylist(), vectors, strict=True))
    return known


def _write(folder: Path, hashes: list[str], vectors: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    flat = pa.array(vectors.ravel(), pa.float32())
    table = pa.table({"text_hash": hashes, "vector": pa.FixedSizeListArray.from_arrays(flat, DIMENSIONS)})
    name = hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]
    temporary = folder / f"{name}.{os.getpid()}.part"
    pq.write_table(table, temporary)
    temporary.rename(folder / f"{name}.parquet")
