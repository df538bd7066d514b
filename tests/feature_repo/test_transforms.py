from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings

from feature_repo import item_transforms, prepared_events
from feature_repo.features import FEATURE_VIEWS, HABIT_LENGTH, HISTORY_LENGTH
from feature_repo.prepared_events import in_key_order
from feature_repo.transforms import TRANSFORMS, code_hash
from tests.feature_repo.slow_features import SLOW_FEATURES
from tests.feature_repo.small_events import AS_OF, ITEMS, event, event_sets, prepared

DAY = timedelta(days=1)
TYPES = {
    "string": pa.string(),
    "float": pa.float64(),
    "list<string>": pa.list_(pa.string()),
    "list<float>": pa.list_(pa.float64()),
    "list<timestamp>": pa.list_(pa.timestamp("us", tz="UTC")),
}


def rows_of(events, items=None, as_of=AS_OF, known_as_of=None):
    """View → key → features, of all views."""
    with prepared(events, items, known_as_of) as connection:
        return {name: by_key(name, TRANSFORMS[name](connection, as_of)) for name in TRANSFORMS}


def by_key(name, table):
    view = FEATURE_VIEWS[name]
    return {row[view.key]: {feature: row[feature] for feature in view.feature_names} for row in table.to_pylist()}


@settings(max_examples=30, deadline=None)
@given(event_sets())
def test_every_view_equals_a_plain_loop_over_the_events(events):
    computed = rows_of(events)
    for name, slow in SLOW_FEATURES.items():
        expected = slow(events, ITEMS, AS_OF)
        assert computed[name].keys() == expected.keys(), name
        for key, features in expected.items():
            for feature, value in features.items():
                assert computed[name][key][feature] == approximately(value), (name, key, feature)


@settings(max_examples=15, deadline=None)
@given(event_sets())
def test_views_of_lists_are_the_same_whether_computed_for_all_users_or_for_one_after_the_other(events):
    whole = rows_of(events)
    with pytest.MonkeyPatch.context() as patch, prepared(events) as connection:
        patch.setattr(prepared_events, "PART_EVENTS", 1)
        assert len(prepared_events.user_parts(connection, 1)) == len({each["user_id"] for each in events})
        for name in ("user_history", "user_habits"):
            table = TRANSFORMS[name](connection, AS_OF)
            assert by_key(name, table) == whole[name]
            assert table["user_id"].to_pylist() == sorted(whole[name])


@settings(max_examples=15, deadline=None)
@given(event_sets())
def test_co_purchases_are_the_same_whether_counted_for_all_items_or_for_one_after_the_other(events):
    whole = rows_of(events)["item_co_purchase"]
    with pytest.MonkeyPatch.context() as patch, prepared(events) as connection:
        patch.setattr(item_transforms, "PART_PAIRS", 1)
        table = TRANSFORMS["item_co_purchase"](connection, AS_OF)
        assert len(item_transforms.item_parts(connection, 1)) >= len(whole)
    assert by_key("item_co_purchase", table) == whole
    assert table["item_id"].to_pylist() == sorted(whole)


def test_a_table_that_came_in_another_order_is_put_into_that_of_its_keys():
    table = pa.table({"item_id": ["a", "b", "c", "d"], "values": [[1.0], [], [2.0, 3.0], None]})
    assert in_key_order(table.take([2, 3, 0, 1]), "item_id") == table
    assert in_key_order(table, "item_id") is table


def approximately(value):
    numbers = value if isinstance(value, list) else [value]
    return pytest.approx(value, rel=1e-9) if all(isinstance(each, int | float) for each in numbers) else value


@settings(max_examples=6, deadline=None)
@given(event_sets())
def test_events_at_or_after_as_of_change_no_feature(events):
    assert rows_of(events) == rows_of([e for e in events if e["event_time"] < AS_OF])


@settings(max_examples=6, deadline=None)
@given(event_sets())
def test_events_that_became_known_later_do_not_exist_yet(events):
    known = [e for e in events if e["known_at"] <= AS_OF]
    assert rows_of(events, known_as_of=AS_OF) == rows_of(known)


@settings(max_examples=6, deadline=None)
@given(event_sets())
def test_other_names_of_users_and_items_give_the_same_features_under_the_new_names(events):
    def rename(value):
        if isinstance(value, dict):
            return {rename(key): rename(each) for key, each in value.items()}
        if isinstance(value, list):
            return [rename(each) for each in value]
        return names.get(value, value) if isinstance(value, str) else value

    items = [item["item_id"] for item in ITEMS] + ["not in catalogue"]
    # Users in the opposite order; items in the same, because equal weights stand in the order of names.
    names = {"u": "user 3", "v": "user 2", "w": "user 1", **{item: f"item {item}" for item in items}}
    ours = {"user_id", "item_id"}
    renamed = [{k: names[v] if k in ours and v else v for k, v in e.items()} for e in events]
    catalogue = [{**item, "item_id": names[item["item_id"]]} for item in ITEMS]
    assert rows_of(renamed, catalogue) == {view: rename(rows) for view, rows in rows_of(events).items()}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_view_has_exactly_its_columns_in_order_with_types_and_microseconds(name):
    view = FEATURE_VIEWS[name]
    with prepared([event(1, "u", "a", DAY)]) as connection:
        table = TRANSFORMS[name](connection, AS_OF)
    assert table.column_names == [view.key, *view.feature_names, "event_timestamp", "created_timestamp"]
    for feature in view.features:
        expected = TYPES[feature.dtype]
        found = table.schema.field(feature.name).type
        assert (found.value_type if feature.dtype.startswith("list") else found) == (
            expected.value_type if feature.dtype.startswith("list") else expected
        )
    for name in ("event_timestamp", "created_timestamp"):
        assert table.schema.field(name).type == pa.timestamp("us", tz="UTC")
    assert set(table["event_timestamp"].to_pylist()) == {AS_OF}


def test_every_view_of_the_list_has_a_transform():
    assert list(TRANSFORMS) == list(FEATURE_VIEWS)


def test_a_user_who_only_redeemed_a_coupon_has_a_row_with_empty_lists():
    rows = rows_of([event(1, "u", None, DAY, event_type="offer_redeemed")])
    assert rows["user_history"]["u"] == {name: [] for name in FEATURE_VIEWS["user_history"].feature_names}
    assert rows["user_habits"]["u"] == {name: [] for name in FEATURE_VIEWS["user_habits"].feature_names}
    assert rows["user_affinity"]["u"]["top_categories"] == []
    assert rows["user_coupons"]["u"]["redemption_count_7d"] == 1


def test_a_history_keeps_the_last_hundred_interactions_oldest_first():
    events = [event(n, "u", "ab"[n % 2], timedelta(minutes=200 - n)) for n in range(150)]
    history = rows_of(events)["user_history"]["u"]
    assert history["history_event_times"] == [e["event_time"] for e in events[-HISTORY_LENGTH:]]
    assert history["history_item_ids"] == [e["item_id"] for e in events[-HISTORY_LENGTH:]]


def test_events_of_one_moment_stand_in_the_order_of_their_ids():
    events = [event(n, "u", item, DAY) for n, item in ((3, "c"), (1, "b"), (2, "a"))]
    assert rows_of(events)["user_history"]["u"]["history_item_ids"] == ["b", "a", "c"]


def test_habits_keep_a_hundred_items_and_count_a_basket_once():
    many = [event(n, "u", f"item {n:03d}", DAY * (n + 1)) for n in range(130)]
    assert len(rows_of(many)["user_habits"]["u"]["habit_item_ids"]) == HABIT_LENGTH
    lines = [event(n, "u", "a", DAY, basket_id="one basket") for n in range(3)]
    assert rows_of(lines)["user_habits"]["u"]["habit_counts"] == [1]


def test_recent_purchases_weigh_more_than_old_ones_in_habits():
    old = [event(n, "u", "a", DAY * (300 + n)) for n in range(4)]
    fresh = [event(10 + n, "u", "b", DAY * (1 + n)) for n in range(2)]
    habits = rows_of(old + fresh)["user_habits"]["u"]
    assert habits["habit_item_ids"] == ["b", "a"]
    assert habits["habit_counts"] == [2, 4]


def test_amounts_add_up_to_the_same_in_whatever_order_they_are_added():
    """The order in which several threads add: floats of one order end in .6, of the other in .6000000000000001."""
    amounts = (0.1, 0.2, 0.3)
    ways = (("u", "a", amounts), ("v", "b", amounts[::-1]))
    lines = [(user, item, amount) for user, item, ordered in ways for amount in ordered]
    rows = rows_of([event(n, u, i, DAY * (6 - n % 3), unit_price=x, discount=x) for n, (u, i, x) in enumerate(lines)])
    assert rows["user_activity"]["u"] == rows["user_activity"]["v"]
    assert rows["item_price"]["a"]["mean_price_84d"] == rows["item_price"]["b"]["mean_price_84d"] == pytest.approx(0.2)


def test_the_largest_amounts_that_the_contract_allows_add_up_and_the_smallest_keep_their_digits():
    largest = [event(n, "u", "a", DAY, quantity=1e6, unit_price=1e6, discount=1e6) for n in range(200)]
    smallest = [event(900 + n, "v", "b", DAY, quantity=0.0001, unit_price=0.01) for n in range(3)]
    rows = rows_of([*largest, *smallest, event(990, "w", "c", DAY, quantity=None, unit_price=None)])
    assert rows["user_activity"]["u"]["spend_7d"] == 2e14
    assert rows["user_activity"]["v"]["spend_7d"] == pytest.approx(3e-6, rel=1e-9)
    assert (rows["user_activity"]["w"]["spend_7d"], rows["item_price"]["c"]["mean_price_84d"]) == (0, None)


def test_a_moment_without_a_time_zone_is_refused():
    with prepared([event(1, "u", "a", DAY)]) as connection, pytest.raises(ValueError, match="time zone"):
        TRANSFORMS["user_history"](connection, datetime(2026, 11, 2))


def test_no_events_give_tables_without_users():
    rows = rows_of([])
    assert rows["user_history"] == {}
    assert rows["item_popularity"].keys() == {item["item_id"] for item in ITEMS}


def test_a_moment_in_another_zone_is_the_same_moment():
    berlin = AS_OF.astimezone(datetime.fromisoformat("2026-11-02T01:00:00+01:00").tzinfo)
    events = [event(1, "u", "a", DAY)]
    assert rows_of(events, as_of=berlin) == rows_of(events, as_of=AS_OF.astimezone(UTC))


def test_the_code_hash_is_stable_within_one_version_of_the_code():
    assert code_hash() == code_hash()
    assert len(code_hash()) == 16
