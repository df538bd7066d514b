"""The column-wise form of a feature table is byte for byte what Feast makes of it."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from feast import FeatureView as FeastView
from feast.utils import _convert_arrow_to_proto
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.encoded_rows import EncodedRow, encode_rows, newest_rows
from feature_repo.feature_definitions import definitions
from feature_repo.features import CREATED_TIMESTAMP, EVENT_TIMESTAMP, FEATURE_VIEWS, FeatureView
from feature_repo.online_store import encoded
from feature_repo.schema import Column
from feature_repo.store import StoreAddress, open_store

MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))
NUMBERS = st.floats(allow_nan=False, width=64)
CELLS = {
    "float": st.none() | NUMBERS | st.just(float("nan")),
    "list<string>": st.none() | st.lists(st.text(max_size=5), max_size=4),
    "list<float>": st.none() | st.lists(NUMBERS, max_size=4),
    "list<timestamp>": st.none() | st.lists(MOMENTS, max_size=3),
}
TYPES = {
    "float": pa.float64(),
    "list<string>": pa.list_(pa.string()),
    "list<float>": pa.list_(pa.float64()),
    "list<timestamp>": pa.list_(pa.timestamp("us", tz="UTC")),
}


@st.composite
def tables(draw, view: FeatureView) -> pa.Table:
    rows = draw(st.integers(1, 6))
    columns = {view.key: pa.array(draw(st.lists(st.text(max_size=4), min_size=rows, max_size=rows)), pa.string())}
    for feature in view.features:
        cells = draw(st.lists(CELLS[feature.dtype], min_size=rows, max_size=rows))
        columns[feature.name] = pa.array(cells, TYPES[feature.dtype])
    for name in (EVENT_TIMESTAMP, CREATED_TIMESTAMP):
        moments = draw(st.lists(MOMENTS, min_size=rows, max_size=rows))
        columns[name] = pa.array(moments, TYPES["list<timestamp>"].value_type)
    return pa.table(columns)


@pytest.fixture(scope="module")
def feast_views() -> dict[str, FeastView]:
    return {each.name: each for each in definitions("unused") if isinstance(each, FeastView)}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoded")
    return open_store(StoreAddress(str(folder / "registry.db"), "sqlite", str(folder / "online.db"), "")).config


@pytest.mark.parametrize("name", FEATURE_VIEWS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_part_of_any_table_is_encoded_as_feast_does_it(name, feast_views, config, data):
    view, own = FEATURE_VIEWS[name], feast_views[name]
    table = data.draw(tables(view))
    part = table.slice(data.draw(st.integers(0, len(table) - 1)))
    keys = {entity.name: entity.dtype.to_value_type() for entity in own.entity_columns}
    by_feast = _convert_arrow_to_proto(pa.Table.from_pandas(part.to_pandas()), own, keys)
    assert encode_rows(view, part) == encoded(config, by_feast)


def test_a_type_that_has_no_form_is_named():
    view = FeatureView("odd", "user", (Column("n", "int", "a number"),))
    moment = [datetime(2026, 1, 1, tzinfo=UTC)]
    table = pa.table({"user_id": ["u"], "n": [1], EVENT_TIMESTAMP: moment, CREATED_TIMESTAMP: moment})
    with pytest.raises(ValueError, match=r"expected a feature of type float, .* but came int"):
        encode_rows(view, table)


def test_of_rows_with_one_key_the_newest_stays_and_of_equal_ones_the_last():
    rows = [EncodedRow(key, (moment, 0), {"n": value}) for key, moment, value in ((b"b", 2, b"x"), (b"a", 1, b"y"))]
    again = [EncodedRow(b"b", (1, 9), {"n": b"old"}), EncodedRow(b"a", (1, 0), {"n": b"last"})]
    assert newest_rows([*rows, *again]) == [again[1], rows[0]]
