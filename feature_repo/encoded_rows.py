"""Rows of a feature table in the bytes that Feast keeps online, a column at a time.

Feast's own conversion handles each value by itself: at 1.4 million users it and its reading back took half an hour,
this takes minutes. tests/feature_repo/test_encoded_rows.py holds that both give the same bytes.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from feast import FeatureView as FeastView
from feast import RepoConfig
from feast.protos.feast.types.Value_pb2 import DoubleList, Int64List, StringList, Value

from feature_repo.features import CREATED_TIMESTAMP, EVENT_TIMESTAMP, FeatureView
from feature_repo.online_format import entity_key

#: Feast's null: a Value without content.
_NULL = b""
#: A Value's double_val on the wire: field 5, eight bytes little-endian.
_DOUBLE_TAG, _DOUBLE_BYTES = 5 << 3 | 1, 9
_MICROSECONDS = pa.timestamp("us", tz="UTC")


class EncodedRow(NamedTuple):
    """One row online: its entity's key, (event, created) in microseconds since 1970, stored values by feature."""

    key: bytes
    moment: tuple[int, int]
    values: dict[str, bytes]


class RowDoor(Protocol):
    """What our online stores have beside Feast's: whole rows in and their moments out, without Feast's conversion."""

    def write_rows(self, config: RepoConfig, table: FeastView, rows: list[EncodedRow]) -> None:
        """Write rows of one view; a row older than the stored one is left out."""

    def event_times(self, config: RepoConfig, table: FeastView, keys: list[bytes]) -> list[int | None]:
        """Return the event time of each key's row in microseconds since 1970; None where there is no row."""


def encode_rows(view: FeatureView, table: pa.Table) -> list[EncodedRow]:
    """Return the rows of a feature table as they are kept online. Raises ValueError for a type that has no form."""
    names = view.feature_names
    columns = [_encoded(feature.dtype, _whole(table[feature.name])) for feature in view.features]
    keys = [entity_key(view.key, value) for value in table[view.key].to_pylist()]
    moments = zip(_moments(table[EVENT_TIMESTAMP]), _moments(table[CREATED_TIMESTAMP]), strict=True)
    rows = zip(keys, moments, zip(*columns, strict=True), strict=True)
    return [EncodedRow(key, moment, dict(zip(names, values, strict=True))) for key, moment, values in rows]


def newest_rows(rows: Iterable[EncodedRow]) -> list[EncodedRow]:
    """Return one row a key, its newest (of equal ones the last), in the order of keys."""
    newest: dict[bytes, EncodedRow] = {}
    for row in rows:
        if row.key not in newest or row.moment >= newest[row.key].moment:
            newest[row.key] = row
    return [newest[key] for key in sorted(newest)]


def _whole(column: pa.ChunkedArray) -> pa.Array:
    chunks = column.combine_chunks()
    return chunks.chunk(0) if isinstance(chunks, pa.ChunkedArray) else chunks


def _moments(column: pa.ChunkedArray) -> list[int]:
    filled: list[int] = pc.fill_null(column.cast(_MICROSECONDS).cast(pa.int64()), 0).to_pylist()
    return filled


def _encoded(dtype: str, column: pa.Array) -> list[bytes]:
    if dtype not in _FORMS:
        raise ValueError(f"expected a feature of type {', '.join(_FORMS)}, but came {dtype}: it has no form online yet")
    return _FORMS[dtype](column)


def _doubles(column: pa.Array) -> list[bytes]:
    values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    stored = np.empty((len(values), _DOUBLE_BYTES), np.uint8)
    stored[:, 0] = _DOUBLE_TAG
    stored[:, 1:] = values.astype("<f8").view(np.uint8).reshape(-1, 8)
    content = stored.tobytes()
    cells = (content[start : start + _DOUBLE_BYTES] for start in range(0, len(content), _DOUBLE_BYTES))
    return [_NULL if null else cell for cell, null in zip(cells, np.isnan(values).tolist(), strict=True)]


def _strings(column: pa.Array) -> list[bytes]:
    return _lists(column, lambda entries: entries.fill_null("").to_pylist(), _string_list)


def _double_lists(column: pa.Array) -> list[bytes]:
    return _lists(column, lambda entries: entries.cast(pa.float64()).fill_null(0.0).to_pylist(), _double_list)


def _second_lists(column: pa.Array) -> list[bytes]:
    return _lists(column, _whole_seconds, _second_list)


def _lists(
    column: pa.ListArray, entries_of: Callable[[pa.Array], list[Any]], encode: Callable[[list[Any]], bytes]
) -> list[bytes]:
    """Encode each list of a column; `entries_of` makes Python's values of the entries of all lists at once."""
    bounds = column.offsets.to_numpy()
    entries = entries_of(column.values.slice(bounds[0], bounds[-1] - bounds[0]))
    starts = (bounds - bounds[0]).tolist()
    spans = zip(starts[:-1], starts[1:], column.is_null().to_pylist(), strict=True)
    return [_NULL if null else encode(entries[start:end]) for start, end, null in spans]


def _whole_seconds(entries: pa.Array) -> list[int]:
    moments = entries.cast(_MICROSECONDS).cast(pa.int64()).to_numpy(zero_copy_only=False)
    seconds: list[int] = np.trunc(moments / 1e6).astype(np.int64).tolist()
    return seconds


def _string_list(entries: list[str]) -> bytes:
    stored: bytes = Value(string_list_val=StringList(val=entries)).SerializeToString()
    return stored


def _double_list(entries: list[float]) -> bytes:
    stored: bytes = Value(double_list_val=DoubleList(val=entries)).SerializeToString()
    return stored


def _second_list(entries: list[int]) -> bytes:
    stored: bytes = Value(unix_timestamp_list_val=Int64List(val=entries)).SerializeToString()
    return stored


#: Type of a feature (features.py) → how its column is encoded.
_FORMS: dict[str, Callable[[pa.Array], list[bytes]]] = {
    "float": _doubles,
    "list<string>": _strings,
    "list<float>": _double_lists,
    "list<timestamp>": _second_lists,
}
