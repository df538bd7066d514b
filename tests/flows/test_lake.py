"""The lake's readers and its one write: a window, whole or not at all, read back before it counts."""

from dataclasses import replace
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from feature_repo.schema import EVENTS
from flows import lake
from flows.settings import Settings
from flows.window_merge import merge_window

NOW = datetime(2026, 11, 1, tzinfo=UTC)
EARLIER = datetime(2026, 10, 1, tzinfo=UTC)
WINDOW = lake.Window("events", "shop", "2026-10-01")


def _event(event_id: str, hour: int = 9, price: float = 1.0, known_at: datetime | None = None) -> dict[str, object]:
    row: dict[str, object] = dict.fromkeys(EVENTS.column_names)
    moment = datetime(2026, 10, 1, hour, tzinfo=UTC)
    return row | {
        "event_id": event_id,
        "event_time": moment,
        "known_at": known_at,
        "user_id": "u_1",
        "event_type": "search",
        "channel": "web",
        "unit_price": price,
        "source": "shop",
    }


def _rows(*events: dict[str, object]) -> pa.Table:
    schema = pa.schema([field for field in lake.arrow_schema(EVENTS) if field.name != "window"])
    return pa.Table.from_pylist(list(events), schema=schema)


def test_an_empty_lake_reads_as_empty_tables_and_says_so_when_asked_for_its_watermark(settings: Settings):
    assert lake.open_table(settings, "events") is None
    assert lake.table_version(settings, "events") == -1
    assert lake.read_events(settings).num_rows == 0
    with pytest.raises(LookupError, match=r"no events yet.*aisle ingest"):
        lake.watermark(settings)


def test_a_window_is_replaced_whole_and_its_neighbours_stay(settings: Settings):
    other = replace(WINDOW, name="2026-10-02")
    lake.write_window(settings, WINDOW, _rows(_event("a"), _event("b")))
    lake.write_window(settings, other, _rows(_event("c")))
    version = lake.write_window(settings, WINDOW, _rows(_event("d", hour=11)))
    assert lake.table_version(settings, "events") == version
    assert sorted(lake.read_events(settings)["event_id"].to_pylist()) == ["c", "d"]
    assert lake.watermark(settings) == datetime(2026, 10, 1, 11, tzinfo=UTC)
    old = lake.arrow_dataset(settings, "events", version=version - 1).to_table(columns=["event_id"])
    assert sorted(old["event_id"].to_pylist()) == ["a", "b", "c"]


def test_events_are_read_from_since_on_and_before_until(settings: Settings):
    lake.write_window(settings, WINDOW, _rows(*(_event(str(hour), hour=hour) for hour in range(5))))
    since, until = datetime(2026, 10, 1, 1, tzinfo=UTC), datetime(2026, 10, 1, 3, tzinfo=UTC)
    assert lake.read_events(settings, until, since)["event_id"].to_pylist() == ["1", "2"]


def test_a_write_that_does_not_read_back_is_an_error_and_no_success(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    lake.write_window(settings, WINDOW, _rows(_event("a")))
    monkeypatch.setattr(lake, "write_deltalake", lambda *arguments, **named: None)
    with pytest.raises(RuntimeError, match=r"events shop 2026-10-01: wrote 2 rows but read back 1"):
        lake.write_window(settings, WINDOW, _rows(_event("a"), _event("b")))


def test_a_write_over_what_another_writer_has_changed_since_is_refused_and_loses_nothing(settings: Settings):
    lake.write_window(settings, WINDOW, _rows(_event("a")))
    _, read_at = lake.read_window(settings, WINDOW)
    lake.write_window(settings, replace(WINDOW, name="2026-10-02"), _rows(_event("elsewhere")))
    lake.write_window(settings, WINDOW, _rows(_event("a"), _event("b")), read_at)  # a neighbour is no hindrance
    with pytest.raises(lake.LakeError, match="run the same command again"):
        lake.write_window(settings, WINDOW, _rows(_event("a"), _event("c")), read_at)
    assert sorted(lake.read_events(settings)["event_id"].to_pylist()) == ["a", "b", "elsewhere"]


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    before=st.dictionaries(st.sampled_from("abcde"), st.floats(0, 9)),
    good=st.dictionaries(st.sampled_from("abcde"), st.floats(0, 9)),
    bad=st.sets(st.sampled_from("abcde")),
)
def test_a_merge_is_what_a_plain_loop_says(before: dict[str, float], good: dict[str, float], bad: set[str]):
    connection = duckdb.connect()
    connection.register("incoming", _rows(*(_event(key, price=price) for key, price in good.items())))
    connection.register("replaced", _rows(*(_event(key) for key in {*good, *bad})))
    existing = _rows(*(_event(key, price=price, known_at=EARLIER) for key, price in before.items()))
    merged = merge_window(connection, existing, WINDOW, NOW).to_pylist()
    expected = {key: (price, EARLIER) for key, price in before.items() if key not in {*good, *bad}}
    for key, price in good.items():
        expected[key] = (price, EARLIER if key in before else NOW)
    assert {row["event_id"]: (row["unit_price"], row["known_at"]) for row in merged} == expected
    assert len(merged) == len(expected)
