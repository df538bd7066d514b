import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.features import ITEM_VIEWS, USER_HABITS, USER_HISTORY, USER_VIEWS
from feature_repo.schema import INTERACTION_TYPES
from flows.catalogue_items import catalogue_items
from flows.feature_moments import TrainingMoments, VisitMoments, serving_moment, training_moments
from flows.feature_rows import FeatureRowsLost, historical_rows
from flows.feature_source import event_span, open_events
from flows.feature_tables import build_tables, snapshot_path
from flows.settings import Settings
from flows.training_cuts import training_cuts
from flows.training_set import TrainingTables, build_training_set, build_training_tables, content_hash
from tests.conftest import settings_in
from tests.flows.feature_lake import SERVING, START, fill_items, fill_lake, made_event, made_events, write_events
from training.dataset_rows import from_arrow

USERS = 80
DAY = timedelta(days=1)
TEST, VALIDATION = SERVING - 5 * DAY, SERVING - 9 * DAY


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    settings = settings_in(tmp_path_factory.mktemp("training") / "home")
    fill_lake(settings, USERS)
    return settings


@pytest.fixture(scope="module")
def tables(settings) -> TrainingTables:
    return build_training_tables(settings)


def interactions(until: datetime, since: datetime = START) -> list[dict[str, object]]:
    events = [e for e in made_events(USERS) if e["event_type"] in INTERACTION_TYPES and e["item_id"]]
    return sorted(
        (e for e in events if since <= e["event_time"] < until), key=lambda e: (e["event_time"], e["event_id"])
    )


def test_the_moments_are_two_cuts_a_week_apart_and_snapshots_every_fortnight_before():
    moments = training_moments(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, 4, 5, tzinfo=UTC))
    assert moments.test == datetime(2026, 2, 22, tzinfo=UTC)
    assert moments.validation == datetime(2026, 2, 15, tzinfo=UTC)
    assert moments.training == tuple(datetime(2026, *day, tzinfo=UTC) for day in ((1, 4), (1, 18), (2, 1)))
    assert [moments.split(each) for each in moments.all] == ["train"] * 3 + ["validation", "test"]


def test_serving_asks_at_the_first_midnight_after_the_newest_event_once_that_day_is_over():
    assert serving_moment(datetime(2026, 3, 1, 4, 5, tzinfo=UTC)) == datetime(2026, 3, 2, tzinfo=UTC)
    assert serving_moment(datetime(2026, 3, 1, tzinfo=UTC)) == datetime(2026, 3, 2, tzinfo=UTC)


def test_on_a_day_that_is_not_over_serving_asks_a_minute_after_the_newest_event():
    newest = datetime(2026, 3, 1, 4, 5, 59, tzinfo=UTC)
    assert serving_moment(newest, now=newest + timedelta(hours=2)) == datetime(2026, 3, 1, 4, 6, tzinfo=UTC)
    assert serving_moment(newest, now=datetime(2026, 3, 2, tzinfo=UTC)) == datetime(2026, 3, 2, tzinfo=UTC)


def test_a_past_too_short_for_weeks_is_cut_by_the_most_whole_days_that_leave_three_snapshots():
    nearly_four_weeks = training_moments(datetime(2026, 3, 1, 3, tzinfo=UTC), datetime(2026, 3, 29, 1, tzinfo=UTC))
    assert nearly_four_weeks.truth == timedelta(days=3)
    assert nearly_four_weeks.training == tuple(datetime(2026, 3, day, tzinfo=UTC) for day in (5, 11, 17))
    nine_days = training_moments(datetime(2026, 3, 1, 3, tzinfo=UTC), datetime(2026, 3, 9, 22, tzinfo=UTC))
    assert (nine_days.truth, nine_days.test) == (timedelta(days=1), datetime(2026, 3, 8, tzinfo=UTC))
    assert nine_days.training == tuple(datetime(2026, 3, day, tzinfo=UTC) for day in (3, 5))
    months = training_moments(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 29, tzinfo=UTC))
    assert months.truth == timedelta(days=7)


def test_too_short_a_past_is_refused_with_what_to_do():
    with pytest.raises(LookupError, match=r"more than 4 days.*2026-03-01 09:00.*aisle ingest.*aisle source check"):
        training_moments(datetime(2026, 3, 1, 9, tzinfo=UTC), datetime(2026, 3, 5, 8, tzinfo=UTC))


def test_every_user_known_at_a_moment_has_one_row_with_the_split_of_the_moment(settings, tables):
    moments = training_moments(*event_span(settings))
    assert (moments.validation, moments.test) == (VALIDATION, TEST)
    expected = [
        (as_of, user, moments.split(as_of))
        for as_of in moments.all
        for user in sorted({e["user_id"] for e in made_events(USERS) if e["event_time"] < as_of})
    ]
    columns = ("event_timestamp", "user_id", "split")
    assert list(zip(*(tables.histories[name].to_pylist() for name in columns), strict=True)) == expected


def test_a_limit_of_rows_keeps_whole_users_who_judge_first_and_says_so(settings, tables, caplog):
    with caplog.at_level(logging.INFO, logger="flows.training_set"):
        fewer = build_training_tables(replace(settings, training_rows_limit=200))
    users = set(fewer.histories["user_id"].to_pylist())
    assert 0 < len(fewer.histories) <= 200
    judges = {user for truth in tables.truths.values() for user in truth["user_id"].to_pylist()}
    assert users <= judges or judges <= users
    told = f"models learn from {len(users)} of {len(set(tables.histories['user_id'].to_pylist()))} users"
    assert f"{told}: AISLE_TRAINING_ROWS_LIMIT is 200 rows" in caplog.text
    assert (fewer.items, fewer.truths) == (tables.items, tables.truths)
    assert fewer.input_hash != tables.input_hash


def test_histories_hold_what_was_known_at_the_moment_and_nothing_later(tables):
    for row in tables.histories.to_pylist():
        past = [e for e in interactions(row["event_timestamp"]) if e["user_id"] == row["user_id"]]
        assert row["history_item_ids"] == [e["item_id"] for e in past]
        assert row["history_event_times"] == [e["event_time"] for e in past]


def test_cuts_carry_the_whole_service_and_training_rows_the_sequences(tables):
    names = {name for view in USER_VIEWS for name in view.feature_names}
    assert names <= set(tables.histories.column_names)
    training = tables.histories.filter(pc.equal(tables.histories["split"], "train"))
    cuts = tables.histories.filter(pc.not_equal(tables.histories["split"], "train"))
    sequences = {*USER_HISTORY.feature_names, *USER_HABITS.feature_names}
    for view in USER_VIEWS:
        for feature in view.features:
            assert feature.nullable or cuts[feature.name].null_count == 0
            assert training[feature.name].null_count == (0 if feature.name in sequences else len(training))


def test_the_truth_is_what_users_met_in_the_days_between_the_cuts_after_each(tables):
    for name, cut in (("validation", VALIDATION), ("test", TEST)):
        expected = {(e["user_id"], e["item_id"]) for e in interactions(cut + 4 * DAY, cut)}
        rows = tables.truths[name].to_pylist()
        assert [(row["user_id"], row["item_id"]) for row in rows] == sorted(expected)


def test_the_vocabulary_is_what_can_be_bought_in_order_with_features_of_the_validation_cut(tables):
    ids = tables.items["item_id"].to_pylist()
    assert ids == [f"item {number:02d}" for number in range(60) if number != 7]
    counts = dict(zip(ids, tables.items["interaction_count_364d"].to_pylist(), strict=True))
    met = [e["item_id"] for e in interactions(VALIDATION)]
    assert counts == {item: met.count(item) for item in ids}
    prices = [e["unit_price"] for e in interactions(VALIDATION) if e["event_type"] == "purchase"]
    assert set(pc.drop_null(tables.items["price"]).to_pylist()) <= set(prices)


def test_a_full_vocabulary_keeps_the_items_met_most(settings, tables):
    few = catalogue_items(settings, VALIDATION, limit=10)
    chosen = set(few["item_id"].to_pylist())
    counts = tables.items["interaction_count_364d"].to_pylist()
    least = min(few["interaction_count_364d"].to_pylist())
    left_out = [n for item, n in zip(tables.items["item_id"].to_pylist(), counts, strict=True) if item not in chosen]
    assert len(few) == 10
    assert max(left_out) <= least


def test_the_second_call_reads_what_the_first_one_kept(settings, tables, monkeypatch):
    monkeypatch.setattr("flows.training_set.open_events", None)
    again = build_training_tables(settings)
    assert again.input_hash == tables.input_hash
    assert again.lake == tables.lake
    assert again.histories.equals(tables.histories)
    assert again.items.equals(tables.items)
    assert again.truths == tables.truths


@pytest.mark.slow
def test_the_hash_is_that_of_the_content_and_not_of_the_place(tables, tmp_path):
    other = settings_in(tmp_path / "home")
    fill_lake(other, USERS)
    assert build_training_tables(other).input_hash == tables.input_hash
    write_events(other, "late", [made_event(900_000, 5, START + DAY, "purchase", 3)])
    assert build_training_tables(other).input_hash != tables.input_hash


@given(
    st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30),
    st.floats(allow_nan=False),
    st.data(),
)
def test_what_lies_below_a_null_is_not_content(values, rubbish, data):
    known = [value is not None for value in values]
    buffers = pa.array(known, pa.bool_()).buffers()[1]

    def table(below: float) -> pa.Table:
        filled = np.array([below if value is None else value for value in values])
        column = pa.Array.from_buffers(pa.float64(), len(values), [buffers, pa.py_buffer(filled)])
        cut = data.draw(st.integers(0, len(values)))
        return pa.table({"price": pa.chunked_array([column[:cut], column[cut:]])})

    one, other = table(0.0), table(rubbish)
    assert one.equals(other)
    assert content_hash(one) == content_hash(other)
    row = data.draw(st.integers(0, len(values) - 1))
    changed = [1.5 if n == row and value is None else None if n == row else value for n, value in enumerate(values)]
    assert content_hash(one) != content_hash(pa.table({"price": pa.array(changed, pa.float64())}))


def test_the_tables_become_the_arrays_that_models_read(tables):
    vectors = np.ones((len(tables.items), 4), dtype=np.float32)
    made = from_arrow(tables.histories, tables.items, vectors, tables.truths, tables.input_hash)
    assert made.t_test == np.datetime64(TEST.replace(tzinfo=None), "us")
    assert len(made.validation.queries) == sum(split == "validation" for split in tables.histories["split"].to_pylist())
    assert made.test.truth.counts().sum() == len(tables.truths["test"])


def test_rows_lost_in_the_join_stop_the_run(settings, tables):
    path = snapshot_path(settings, "user_habits", TEST)
    whole = path.read_bytes()
    path.unlink()
    try:
        with pytest.raises(FeatureRowsLost, match="user_habits"):
            historical_rows(settings, (TEST,), USER_VIEWS)
    finally:
        path.write_bytes(whole)
    assert historical_rows(settings, (TEST,), USER_VIEWS).num_rows > 0


def test_a_join_gives_rows_sorted_by_moment_and_key(settings, tables):
    build_tables(settings, {view.name: (TEST,) for view in ITEM_VIEWS})
    rows = historical_rows(settings, (TEST,), ITEM_VIEWS)
    assert rows["item_id"].to_pylist() == sorted(rows["item_id"].to_pylist())
    assert rows.schema.field("event_timestamp").type == pa.timestamp("us", tz="UTC")


def test_a_shop_of_one_day_has_a_training_set_of_visits(tmp_path):
    """What each of the newest visitors turned to last is their truth; nobody need come back."""
    one_day = settings_in(tmp_path / "home")
    moments = [START + timedelta(minutes=2 * user + step) for user in range(100) for step in range(3)]
    events = [
        made_event(1_000 + number, number // 3, moment, "view", (number // 3 + number % 3) % 50)
        for number, moment in enumerate(moments)
    ]
    fill_items(one_day)
    write_events(one_day, "day", events)
    tables = build_training_tables(one_day)
    assert (set(tables.histories["split"].to_pylist()), tables.truths) == ({"visits"}, {})
    made = build_training_set(one_day)
    assert (len(made.test.queries), len(made.validation.queries)) == (15, 15)
    truth = [made.catalogue.item_ids[item - 1] for item in made.test.truth.items]
    assert sorted(truth) == sorted(f"item {(user + 2) % 50:02d}" for user in range(85, 100))
    assert build_training_tables(one_day).histories.equals(tables.histories)


def test_users_who_come_back_judge_a_shop_wherever_there_are_enough_of_them(settings, tmp_path):
    with open_events(settings) as connection:
        assert isinstance(training_cuts(connection, *event_span(settings)), TrainingMoments)
    once = settings_in(tmp_path / "home")
    fill_items(once)
    visits = [START + timedelta(hours=6 * user, minutes=step) for user in range(200) for step in range(2)]
    write_events(
        once, "all", [made_event(number, number // 2, at, "view", number % 7) for number, at in enumerate(visits)]
    )
    with open_events(once) as connection:
        assert isinstance(training_cuts(connection, *event_span(once)), VisitMoments)


def test_too_little_for_users_and_for_visits_is_refused_with_both_reasons(tmp_path):
    tiny = settings_in(tmp_path / "home")
    fill_items(tiny)
    write_events(tiny, "day", [made_event(number, number, START, "view", 1) for number in range(50)])
    with pytest.raises(LookupError, match=r"more than 4 days.*only 0 users turned to a second item.*at least 20"):
        build_training_tables(tiny)
