"""Serving's own reading and writing of the online store equals that of Feast's SDK: values, keys, rows, all stores."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from feast import FeatureStore
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import _redis_key
from feast.protos.feast.core.Registry_pb2 import Registry
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import python_values_to_proto_values
from feast.value_type import ValueType
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.features import USER_ACTIVITY, USER_CHANNELS, USER_VIEWS, FeatureView
from feature_repo.online_format import entity_key, redis_key
from feature_repo.store import StoreAddress, apply_definitions, open_store
from serving.feast_values import read_timestamp, read_value, registry_project, write_list, write_timestamp
from serving.row_store import WrittenRow
from serving.settings import OnlineStoreSettings
from serving.stored_rows import open_row_store

DATABASE = 8
NOON = datetime(2024, 2, 29, 12, 30, 15, 123_457, UTC)
whole = st.integers(-(2**63), 2**63 - 1)
small = st.integers(-(2**31), 2**31 - 1)
single = st.floats(width=32, allow_nan=False)
SCALARS = {
    "bytes": st.binary(),
    "string": st.text(),
    "int32": small,
    "int64": whole,
    "double": st.floats(allow_nan=False),
    "float": single,
    "bool": st.booleans(),
    "unix_timestamp": whole,
}
one_value = st.one_of(
    *(st.tuples(st.just(f"{kind}_val"), values) for kind, values in SCALARS.items()),
    *(st.tuples(st.just(f"{kind}_list_val"), st.lists(values)) for kind, values in SCALARS.items()),
)


@given(one_value)
def test_every_scalar_and_list_reads_as_feast_reads_it(kind_and_value: tuple[str, Any]):
    kind, meant = kind_and_value
    stored = Value(**{kind: {"val": meant} if kind.endswith("_list_val") else meant})
    theirs = getattr(Value.FromString(stored.SerializeToString()), kind)
    assert read_value(stored.SerializeToString()) == (list(theirs.val) if kind.endswith("_list_val") else theirs)


def test_null_and_nothing_read_as_none_and_other_kinds_are_refused():
    assert read_value(Value(null_val=0).SerializeToString()) is None
    assert read_value(Value().SerializeToString()) is None
    for other in (Value(json_val="{}"), Value(uuid_val="1"), Value(string_set_val={"val": ["a"]})):
        with pytest.raises(ValueError, match="kind of value"):
            read_value(other.SerializeToString())
    with pytest.raises(ValueError, match="expected a Feast value"):
        read_value(b"\xff\xff\xff garbage")


@given(st.lists(st.text()), st.lists(st.floats(allow_nan=False)), st.lists(st.integers(0, 2**40)))
def test_lists_are_written_byte_for_byte_as_feast_writes_them(texts: list, numbers: list, moments: list):
    types = {
        "string": ValueType.STRING_LIST,
        "float": ValueType.DOUBLE_LIST,
        "timestamp": ValueType.UNIX_TIMESTAMP_LIST,
    }
    times = [datetime.fromtimestamp(moment % 4_000_000_000, UTC) for moment in moments]
    for dtype, ours, theirs in (
        ("string", texts, texts),
        ("float", numbers, numbers),
        ("timestamp", [int(time.timestamp()) for time in times], times),
    ):
        (expected,) = python_values_to_proto_values([theirs], types[dtype])
        assert write_list(f"list<{dtype}>", ours) == expected.SerializeToString()


@given(st.text(), st.integers(0, 4_000_000_000_000_000))
def test_keys_and_moments_are_feasts(user: str, microseconds: int):
    key = EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=user)])
    assert entity_key("user_id", user) == serialize_entity_key(key, entity_key_serialization_version=3)
    assert redis_key("aisle", entity_key("user_id", user)) == _redis_key("aisle", key, 3)
    moment = Timestamp()
    moment.FromMicroseconds(microseconds)
    assert write_timestamp(microseconds) == moment.SerializeToString()
    assert read_timestamp(moment.SerializeToString()) == microseconds


def test_a_registry_of_no_project_or_two_is_refused(tmp_path: Path):
    two, path = Registry(), tmp_path / "registry.db"
    for project in ("one", "two"):
        two.feature_views.add().spec.project = project
    for content in (b"no registry", b"", two.SerializeToString()):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="expected"):
            registry_project(path)


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> StoreAddress:
    redis_url = ""
    postgres_url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    if request.param == "redis":
        host_and_port = request.getfixturevalue("redis_url")
        redis.Redis.from_url(f"redis://{host_and_port}/{DATABASE}").flushdb()
        redis_url = f"{host_and_port},db={DATABASE}"
    paths = str(tmp_path / "registry.db"), request.param, str(tmp_path / "online.db")
    return StoreAddress(*paths, redis_url, postgres_url)


def serving_settings(address: StoreAddress) -> OnlineStoreSettings:
    return OnlineStoreSettings(address.online_type, address.online_path, address.redis_url, address.postgres_url)


def random_column(generator: random.Random, dtype: str, nullable: bool) -> Any:
    if nullable and generator.random() < 0.3:
        return None
    if dtype.startswith("list<"):
        return [random_column(generator, dtype[5:-1], False) for _ in range(generator.choice([0, 1, 7, 100]))]
    return {
        "string": "".join(generator.choices("aé水 🛒\n", k=generator.randrange(9))),
        "float": generator.choice([0.0, -1.5, 1e300, generator.random()]),
        "timestamp": NOON - timedelta(seconds=generator.randrange(10**9)),
    }[dtype]


def write_random(store: FeatureStore, users: Sequence[str], seed: int) -> None:
    """Give every user rows of a random half of the views, so that some rows are missing."""
    generator = random.Random(seed)
    for view in USER_VIEWS:
        for user in users:
            if generator.random() < 0.5:
                values = {f.name: [random_column(generator, f.dtype, f.nullable)] for f in view.features}
                moments = {"event_timestamp": [NOON], "created_timestamp": [NOON]}
                store.write_to_online_store(view.name, inputs={"user_id": [user], **values, **moments})


def as_feast_reads(store: FeatureStore, view: FeatureView, users: Sequence[str]) -> list[dict[str, Any]]:
    """Each user's values of a view by the SDK, None where there is none, as stored: timestamps in seconds."""
    names = [f"{view.name}:{name}" for name in view.feature_names]
    answer = store.get_online_features(names, [{"user_id": user} for user in users]).proto
    rows: list[dict[str, Any]] = [{} for _ in users]
    for name, result in zip(answer.metadata.feature_names.val, answer.results, strict=True):
        for row, value in zip(rows, result.values, strict=True):
            kind = value.WhichOneof("val")
            found = getattr(value, kind) if kind and kind != "null_val" else None
            row[name] = list(found.val) if kind and kind.endswith("_list_val") else found
    return [{name: row[name] for name in view.feature_names} for row in rows]


def test_random_rows_that_feast_wrote_read_the_same_by_both(address: StoreAddress, tmp_path: Path):
    store = open_store(address)
    apply_definitions(store, str(tmp_path / "offline"))
    users = [f"u_{number}" for number in range(12)]
    write_random(store, users, seed=3)
    settings = serving_settings(address)
    ours = open_row_store(settings, registry_project(tmp_path / "registry.db"), USER_VIEWS)
    asked = [*users, "u_never_seen"]
    rows, seen, missing = ours.read(asked), 0, 0
    for place, view in enumerate(USER_VIEWS):
        for user, theirs in zip(rows, as_feast_reads(store, view, asked), strict=True):
            values = user[place].values if user[place] else {}
            found = {name: read_value(values.get(name, b"")) for name in view.feature_names}
            assert found == theirs
            assert user[place] is None or user[place].event_us == NOON.timestamp() * 1_000_000
            seen, missing = seen + (user[place] is not None), missing + (user[place] is None)
    assert seen > 20
    assert missing > 20
    assert rows[-1] == (None,) * len(USER_VIEWS)


def test_rows_that_serving_wrote_are_read_by_feast_and_obey_one_guard(address: StoreAddress, tmp_path: Path):
    store = open_store(address)
    apply_definitions(store, str(tmp_path / "offline"))
    settings = serving_settings(address)
    view = next(view for view in USER_VIEWS if view.name == "user_habits")
    ours = open_row_store(settings, registry_project(tmp_path / "registry.db"), (view,))
    noon = round(NOON.timestamp() * 1_000_000)
    contents = [["a"], [2.0], [1_700_000_000]]
    values = {f.name: write_list(f.dtype, content) for f, content in zip(view.features, contents, strict=True)}
    ours.write(WrittenRow(view, "u_1", values, noon, noon))
    expected = dict(zip(view.feature_names, contents, strict=True))
    assert as_feast_reads(store, view, ["u_1"]) == [expected]
    older = {name: [[]] for name in view.feature_names}
    moments = {"event_timestamp": [NOON - timedelta(seconds=1)], "created_timestamp": [NOON]}
    store.write_to_online_store(view.name, inputs={"user_id": ["u_1"], **older, **moments})
    assert as_feast_reads(store, view, ["u_1"]) == [expected]
    newer = {"event_timestamp": [NOON + timedelta(seconds=1)], "created_timestamp": [NOON]}
    store.write_to_online_store(view.name, inputs={"user_id": ["u_1"], **older, **newer})
    ours.write(WrittenRow(view, "u_1", values, noon, noon + 10**9))
    assert as_feast_reads(store, view, ["u_1"]) == [{name: [] for name in view.feature_names}]


def test_the_views_of_the_random_rows_hold_scalars_nulls_and_lists():
    dtypes = {feature.dtype for view in USER_VIEWS for feature in view.features}
    assert dtypes == {"float", "list<string>", "list<float>", "list<timestamp>"}
    assert any(feature.nullable for feature in USER_ACTIVITY.features)
    assert not any(feature.nullable for feature in USER_CHANNELS.features)
