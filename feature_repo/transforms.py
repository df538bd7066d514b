"""The meaning of every feature: one plain function a view, `view(connection, as_of) -> table`.

A connection has the relations `events` and `items` (schema.py's columns); `prepare` it once, then call any view at any
as_of. Only events before as_of are read.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from feature_repo import features, item_transforms, prepared_events, schema, sequence_transforms, user_transforms
from feature_repo.prepared_events import prepare

Transform = Callable[[duckdb.DuckDBPyConnection, datetime], pa.Table]

#: View name → its transform.
TRANSFORMS: dict[str, Transform] = {
    "user_activity": user_transforms.user_activity,
    "user_affinity": user_transforms.user_affinity,
    "user_channels": user_transforms.user_channels,
    "user_rhythm": user_transforms.user_rhythm,
    "user_coupons": user_transforms.user_coupons,
    "user_history": sequence_transforms.user_history,
    "user_habits": sequence_transforms.user_habits,
    "item_popularity": item_transforms.item_popularity,
    "item_price": item_transforms.item_price,
    "item_repeat": item_transforms.item_repeat,
    "item_co_purchase": item_transforms.item_co_purchase,
}
_SOURCES = (features, schema, prepared_events, user_transforms, sequence_transforms, item_transforms)

__all__ = ["TRANSFORMS", "Transform", "code_hash", "prepare"]


def code_hash() -> str:
    """Return a hash of all code that gives features their meaning: when it changes, every snapshot is built again."""
    digest = hashlib.sha256(duckdb.__version__.encode())
    for module in _SOURCES:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:16]
