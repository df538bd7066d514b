"""The peer of the serving benchmark, as it is usually built: Feast's feature server, torch eager, pandas, FastAPI.

    python -m benchmarks.serving_peer features PORT
    python -m benchmarks.serving_peer slates PORT FEATURES_PORT USERS ITEMS

The environment (AISLE_*) says where the shop is. It answers `POST /v1/recommendations` with the same items in the same
order, but knows no reasons, filters or events.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import requests
import torch
import uvicorn
from fastapi import FastAPI
from feast.feature_server import get_app
from pydantic import BaseModel

from benchmarks.serving_shop import NOW, ShopSize, module_of, store_address
from feature_repo.features import HABIT_LENGTH, HISTORY_LENGTH, USER_HABITS, USER_HISTORY
from feature_repo.schema import INTERACTION_TYPES
from feature_repo.store import open_store
from flows.settings import load_settings

FEATURES = [f"{view.name}:{name}" for view in (USER_HISTORY, USER_HABITS) for name in view.feature_names]
DAY = 86_400.0


class Question(BaseModel):
    """A request for a slate."""

    pseudonym: str
    k: int = 10


class PeerItem(BaseModel):
    """One place of a slate."""

    item_id: str
    title: str
    category: str | None
    brand: str | None
    price: float | None
    score: float


class Slate(BaseModel):
    """An answer."""

    slate: list[PeerItem]


def features_app() -> FastAPI:
    """Return Feast's own feature server over the benchmark's online store."""
    return get_app(open_store(store_address(load_settings())))


def slates_app(items_path: Path, features_port: int, size: ShopSize) -> FastAPI:
    """Return an app that asks the feature server, scores with torch and describes items with pandas."""
    torch.set_num_threads(1)
    module = module_of(size)
    items = pd.read_json(items_path, lines=True)
    positions = {name: index for index, name in enumerate(items["item_id"], start=1)}
    address = f"http://127.0.0.1:{features_port}/get-online-features"
    session = requests.Session()
    app = FastAPI()

    @app.get("/readyz")
    def readyz() -> dict[str, str]:
        session.get(f"http://127.0.0.1:{features_port}/health", timeout=5).raise_for_status()
        return {"status": "ready"}

    @app.post("/v1/recommendations")
    def recommendations(question: Question) -> Slate:
        answer = session.post(address, json={"features": FEATURES, "entities": {"user_id": [question.pseudonym]}})
        inputs = _inputs(_features(answer.json()), positions)
        with torch.inference_mode():
            scores = module(*inputs)[0]
            scores[0] = -torch.inf
            best = torch.topk(scores, question.k)
        found = items.iloc[(best.indices - 1).numpy()].copy()
        found["score"] = best.values.numpy()
        columns = list(PeerItem.model_fields)
        return Slate(slate=[PeerItem(**row) for row in found[columns].to_dict("records")])

    return app


def _features(answer: dict[str, Any]) -> dict[str, list[Any]]:
    names = answer["metadata"]["feature_names"]
    return {name: column["values"][0] or [] for name, column in zip(names, answer["results"], strict=True)}


def _inputs(row: dict[str, list[Any]], positions: dict[str, int]) -> tuple[torch.Tensor, ...]:
    types = {name: number for number, name in enumerate(INTERACTION_TYPES, start=1)}
    history = pd.DataFrame(
        {
            "items": [positions[name] for name in row["history_item_ids"]],
            "types": [types[name] for name in row["history_event_types"]],
            "ages": _ages(row["history_event_times"]),
        }
    ).tail(HISTORY_LENGTH)
    habits = pd.DataFrame(
        {
            "items": [positions[name] for name in row["habit_item_ids"]],
            "counts": row["habit_counts"],
            "ages": _ages(row["habit_last_times"]),
        }
    ).head(HABIT_LENGTH)
    columns = (
        (history["items"], HISTORY_LENGTH, np.int64),
        (history["types"], HISTORY_LENGTH, np.int64),
        (history["ages"], HISTORY_LENGTH, np.float32),
        (habits["items"], HABIT_LENGTH, np.int64),
        (habits["counts"], HABIT_LENGTH, np.float32),
        (habits["ages"], HABIT_LENGTH, np.float32),
    )
    return tuple(_right_aligned(column.to_numpy(kind), length) for column, length, kind in columns)


def _ages(moments: list[int]) -> np.ndarray:
    return (NOW - np.array(moments, np.float64)) / DAY


def _right_aligned(values: np.ndarray, length: int) -> torch.Tensor:
    row = np.zeros((1, length), values.dtype)
    row[0, length - len(values) :] = values
    return torch.from_numpy(row)


def main() -> None:
    """Serve one half of the peer until stopped."""
    part, port, *rest = sys.argv[1:]
    if part == "features":
        app = features_app()
    else:
        features_port, users, items = map(int, rest)
        app = slates_app(load_settings().home / "shop" / "items.jsonl.gz", features_port, ShopSize(users, items))
    uvicorn.run(app, host="127.0.0.1", port=int(port), access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
