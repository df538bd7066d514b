"""Feast's stored values without Feast: its protobuf messages, declared here by their wire numbers.

Importing Feast for them costs 6 s of CPU and 190 MB (pandas, pyarrow, sqlalchemy). tests/serving/test_feast_values.py
holds that both read and write the same bytes.
"""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_BYTES, _STRING, _INT32, _INT64, _DOUBLE, _FLOAT, _BOOL, _MESSAGE, _NULL = 12, 9, 5, 3, 1, 2, 8, 11, 13
#: Kind of a Value → (its number, its protobuf type); a list's number is that of the scalar + 10.
_SCALARS = {
    "bytes": (1, _BYTES),
    "string": (2, _STRING),
    "int32": (3, _INT32),
    "int64": (4, _INT64),
    "double": (5, _DOUBLE),
    "float": (6, _FLOAT),
    "bool": (7, _BOOL),
    "unix_timestamp": (8, _INT64),
}
#: Type of a column in features.py → the kind that Feast keeps it as; timestamps in lists are whole seconds.
_KINDS = {
    "list<string>": "string_list_val",
    "list<float>": "double_list_val",
    "list<timestamp>": "unix_timestamp_list_val",
}


def read_value(stored: bytes) -> Any:
    """Return a stored value: a scalar, a list, or None where Feast keeps null. Raises ValueError for another kind.

    Timestamps are whole seconds since 1970, as they are stored.
    """
    try:
        value = _from_string()(stored)
    except Exception as error:  # protobuf's own class of it differs by implementation
        raise ValueError(f"expected a Feast value, but found {len(stored)} other bytes") from error
    kind = value.WhichOneof("val")
    if kind is None:
        if stored:
            raise ValueError("expected a scalar, a list or null, but found a kind of value that is not read here")
        return None
    if kind == "null_val":
        return None
    found = getattr(value, kind)
    return found.val[:] if kind.endswith("_list_val") else found


def write_list(dtype: str, values: Sequence[Any]) -> bytes:
    """Return the stored form of a list column of type `dtype` (features.py); timestamps are seconds since 1970."""
    value = _messages()["Value"]()
    kept = getattr(value, _KINDS[dtype])
    kept.SetInParent()
    kept.val.extend(values)
    stored: bytes = value.SerializeToString()
    return stored


def read_timestamp(stored: bytes) -> int:
    """Return a stored protobuf timestamp in microseconds since 1970. Raises ValueError for other bytes."""
    try:
        moment = _messages()["Timestamp"].FromString(stored)
    except Exception as error:  # protobuf's own class of it differs by implementation
        raise ValueError(f"expected a stored timestamp, but found {len(stored)} other bytes") from error
    return int(moment.seconds) * 1_000_000 + int(moment.nanos) // 1000


def write_timestamp(microseconds: int) -> bytes:
    """Return the stored form of a moment in microseconds since 1970."""
    seconds, rest = divmod(microseconds, 1_000_000)
    stored: bytes = _messages()["Timestamp"](seconds=seconds, nanos=rest * 1000).SerializeToString()
    return stored


def registry_project(path: Path) -> str:
    """Return the one Feast project whose feature views are in a registry file.

    Raises ValueError when it is no registry or holds several projects, OSError when it cannot be read.
    """
    try:
        registry = _messages()["Registry"].FromString(path.read_bytes())
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"{path.name}: expected a Feast registry") from error
    names = {view.spec.project for view in registry.feature_views}
    if len(names) != 1:
        raise ValueError(f"expected the feature views of one Feast project in {path.name}, but found {sorted(names)}")
    return str(names.pop())


@cache
def _from_string() -> Callable[[bytes], Any]:
    read: Callable[[bytes], Any] = _messages()["Value"].FromString
    return read


@cache
def _messages() -> dict[str, Any]:
    """Return the message classes by name, from a pool of our own, so that Feast's may stand beside it."""
    file = descriptor_pb2.FileDescriptorProto(name="feast_stored_values.proto", package="stored", syntax="proto3")
    value = file.message_type.add(name="Value")
    value.oneof_decl.add(name="val")
    for name, (number, kind) in _SCALARS.items():
        _field(value, f"{name}_val", number, kind, oneof=True)
        _field(value, f"{name}_list_val", number + 10, _MESSAGE, f"List{number}", oneof=True)
        _field(file.message_type.add(name=f"List{number}"), "val", 1, kind, repeated=True)
    # Feast's null is an enum with the one value 0; on the wire that is an unsigned number.
    _field(value, "null_val", 19, _NULL, oneof=True)
    moment = file.message_type.add(name="Timestamp")
    _field(moment, "seconds", 1, _INT64)
    _field(moment, "nanos", 2, _INT32)
    _field(file.message_type.add(name="Spec"), "project", 2, _STRING)
    _field(file.message_type.add(name="View"), "spec", 1, _MESSAGE, "Spec")
    _field(file.message_type.add(name="Registry"), "feature_views", 6, _MESSAGE, "View", repeated=True)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    names = ("Value", "Timestamp", "Registry")
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"stored.{name}")) for name in names}


def _field(
    message: Any, name: str, number: int, kind: int, of: str = "", oneof: bool = False, repeated: bool = False
) -> None:
    field = message.field.add(name=name, number=number, type=kind, label=3 if repeated else 1)
    if of:
        field.type_name = f".stored.{of}"
    if oneof:
        field.oneof_index = 0
