"""Small planted training sets for the model tests."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from training import dataset_rows
from training.dataset import TrainingSet

T_VALIDATION = datetime(2024, 3, 4, tzinfo=UTC)
T_TEST = T_VALIDATION + timedelta(days=7)

Row = tuple[str, str, str, datetime]


def build_training_set(
    events: list[Row], items: dict[str, str], step_days: int = 14, snapshots: int = 6
) -> TrainingSet:
    """Build a training set by plain loops from (user, item, event type, time); `items` maps id to text."""
    moments = [(T_VALIDATION - timedelta(days=step_days * n), "train") for n in range(snapshots, 0, -1)]
    moments += [(T_VALIDATION, "validation"), (T_TEST, "test")]
    users = sorted({row[0] for row in events})
    rows = [history_row(events, user, as_of, split) for as_of, split in moments for user in users]
    truths = {}
    for name, start in (("validation", T_VALIDATION), ("test", T_TEST)):
        pairs = sorted({(u, i) for u, i, _, t in events if start <= t < start + timedelta(days=7)})
        truths[name] = pa.table({"user_id": [p[0] for p in pairs], "item_id": [p[1] for p in pairs]})
        truths[name] = truths[name].cast(pa.schema([("user_id", pa.string()), ("item_id", pa.string())]))
    catalogue = pa.table(
        {
            "item_id": list(items),
            "title": list(items.values()),
            "category": [text.split()[0] for text in items.values()],
            "brand": [None] * len(items),
            "price": pa.array([1.0] * len(items)),
        }
    )
    return dataset_rows.from_arrow(
        arrow_histories(rows), catalogue, word_vectors(list(items.values())), truths, "planted"
    )


def history_row(events: list[Row], user: str, as_of: datetime, split: str) -> dict[str, object]:
    """One row as the feature service gives it, by a plain loop."""
    seen = sorted((t, i, kind) for u, i, kind, t in events if u == user and t < as_of)
    last = seen[-100:]
    bought: dict[str, list[datetime]] = {}
    for moment, item, kind in seen:
        if kind == "purchase":
            bought.setdefault(item, []).append(moment)
    ranked = sorted(bought, key=lambda item: (-len(bought[item]), item))[:100]
    return {
        "user_id": user,
        "event_timestamp": as_of,
        "split": split,
        "history_item_ids": [i for _, i, _ in last],
        "history_event_types": [kind for _, _, kind in last],
        "history_event_times": [t for t, _, _ in last],
        "habit_item_ids": ranked,
        "habit_counts": [float(len(bought[item])) for item in ranked],
        "habit_last_times": [max(bought[item]) for item in ranked],
    }


def arrow_histories(rows: list[dict[str, object]]) -> pa.Table:
    """Rows of `history_row` as the Arrow table that `from_arrow` reads."""
    stamp = pa.timestamp("us", tz="UTC")
    kinds = {
        "user_id": pa.string(),
        "event_timestamp": stamp,
        "split": pa.string(),
        "history_item_ids": pa.list_(pa.string()),
        "history_event_types": pa.list_(pa.string()),
        "history_event_times": pa.list_(stamp),
        "habit_item_ids": pa.list_(pa.string()),
        "habit_counts": pa.list_(pa.float64()),
        "habit_last_times": pa.list_(stamp),
    }
    return pa.Table.from_pylist(rows, schema=pa.schema(list(kinds.items())))


def word_vectors(texts: list[str]) -> np.ndarray:
    """A stand-in for a text model: one random direction a word, a text is the mean of its words, length 1."""
    words = {
        word: np.random.default_rng(sum(map(ord, word)) * 31 + len(word)).normal(size=384)
        for text in texts
        for word in text.split()
    }
    vectors = np.stack([np.mean([words[word] for word in text.split()], axis=0) for text in texts])
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def rhythm_events(users: int = 24, items: int = 12) -> list[Row]:
    """A planted pattern: user u buys item u, u+1, u+2 … (mod items), one every 3 days, so the next item is certain."""
    rows: list[Row] = []
    for user in range(users):
        for step in range(34):
            moment = T_TEST + timedelta(days=6, hours=user % 24) - timedelta(days=3 * step)
            rows.append((f"u{user:02d}", f"i{(user - step) % items:02d}", "purchase", moment))
    return rows


def item_texts(items: int = 12) -> dict[str, str]:
    """Names of planted items: the first half is tools, the second half fruit."""
    return {f"i{n:02d}": f"{'tool' if n < items // 2 else 'fruit'} number{n}" for n in range(items)}
