"""A feature row that cannot be right refuses its whole table."""

import math
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from expectations.features import COUNT_LISTS, LIST_LENGTHS, PAIRED_LISTS, SHARE_LISTS
from expectations.validate import DataRejected, References, Verdict, check_features, raise_if_refused
from feature_repo.features import FEATURE_VIEWS, HISTORY_LENGTH
from tests.expectations.planted import AS_OF, NOW, Row, feature_connection, feature_row

REFERENCES = References(None, NOW, as_of=AS_OF)
DAY = timedelta(days=1)
#: view, rule, what the bad row has
PLANTED = [
    ("user_activity", "user_id_required", {"user_id": None}),
    ("user_activity", "days_since_last_event_required", {"days_since_last_event": None}),
    ("user_activity", "days_since_last_event_in_bounds", {"days_since_last_event": -0.5}),
    ("user_activity", "spend_7d_finite", {"spend_7d": math.nan}),
    ("user_activity", "discount_share_28d_in_bounds", {"discount_share_28d": 1.01}),
    ("user_activity", "event_count_grows", {"event_count_7d": 50.0}),
    ("user_activity", "spend_grows", {"spend_364d": 0.0}),
    ("user_activity", "not_newer_than_as_of", {"event_timestamp": AS_OF + DAY}),
    ("user_activity", "created_timestamp_required", {"created_timestamp": None}),
    ("user_activity", "user_id_event_timestamp_unique", {"user_id": "user1"}),
    ("user_affinity", "top_categories_paired", {"top_category_shares": [0.1]}),
    ("user_affinity", "top_categories_length", {"top_categories": list("abcdef"), "top_category_shares": [0.1] * 6}),
    ("user_affinity", "top_brand_shares_sum", {"top_brand_shares": [0.9, 0.2]}),
    ("user_affinity", "top_brand_shares_sum", {"top_brand_shares": [-0.1, 0.2]}),
    ("user_affinity", "top_brands_entries", {"top_brands": ["a", None]}),
    ("user_channels", "web_share_in_bounds", {"web_share": -0.1}),
    ("user_channels", "channel_shares_sum", {"web_share": 0.9}),
    ("user_rhythm", "hour_shares_length", {"hour_shares": [0.01] * 23}),
    ("user_rhythm", "weekday_shares_sum", {"weekday_shares": [0.2] * 7}),
    ("user_coupons", "redemption_count_grows", {"redemption_count_28d": 9.0}),
    ("user_history", "history_item_ids_required", {"history_item_ids": None}),
    ("user_history", "history_item_ids_paired", {"history_event_types": ["view"]}),
    ("user_history", "history_sorted", {"history_event_times": [AS_OF - DAY, AS_OF - 2 * DAY]}),
    ("user_history", "history_types_known", {"history_event_types": ["view", "search"]}),
    ("user_history", "history_event_times_before_as_of", {"history_event_times": [AS_OF - DAY, AS_OF]}),
    ("user_history", "history_item_ids_length", {"history_item_ids": ["a"] * (HISTORY_LENGTH + 1)}),
    ("user_habits", "habit_counts_not_negative", {"habit_counts": [1.0, -1.0]}),
    ("user_habits", "habit_counts_entries", {"habit_counts": [1.0, math.nan]}),
    ("user_habits", "habit_last_times_before_as_of", {"habit_last_times": [AS_OF + DAY, AS_OF - DAY]}),
    ("item_popularity", "user_count_grows", {"user_count_84d": 0.5}),
    ("item_price", "last_price_in_bounds", {"last_price": -1.0}),
    ("item_repeat", "repeat_rate_in_bounds", {"repeat_rate": 1.5}),
    ("item_co_purchase", "co_purchase_item_ids_paired", {"co_purchase_scores": []}),
    ("item_co_purchase", "co_purchase_scores_not_negative", {"co_purchase_scores": [0.5, -0.1]}),
]


def verdict_on(view: str, rows: list[Row], **extra: pa.DataType) -> Verdict:
    return check_features(feature_connection(view, rows, **extra), "incoming", FEATURE_VIEWS[view], REFERENCES)


@pytest.mark.parametrize("view", FEATURE_VIEWS)
def test_good_features_pass(view: str) -> None:
    verdict = verdict_on(view, [feature_row(view, row) for row in range(5)])
    assert verdict.failed_checks == ()
    assert (verdict.table, verdict.rows, verdict.passed, verdict.rows_held) == (view, 5, True, 0)


@pytest.mark.parametrize(("view", "rule", "planted"), PLANTED)
def test_one_wrong_feature_row_refuses_the_table(view: str, rule: str, planted: dict[str, Any]) -> None:
    rows = [feature_row(view, row) for row in range(5)]
    rows[3] |= planted
    verdict = verdict_on(view, rows)
    assert [check.error for check in verdict.checks if check.error] == []
    assert rule in {check.rule for check in verdict.failed_checks}
    assert {check.failed_rows for check in verdict.failed_checks} == {1}
    assert not verdict.passed
    with pytest.raises(DataRejected, match=f"(?s)Table {view} was refused.*{rule}.*feature_repo/transforms.py"):
        raise_if_refused(verdict)


def test_lists_may_be_empty_and_nullable_features_null() -> None:
    empty = {name: [] for name in ("history_item_ids", "history_event_types", "history_event_times")}
    assert verdict_on("user_history", [feature_row("user_history", 0, **empty)]).passed
    assert verdict_on("item_repeat", [feature_row("item_repeat", 0, repeat_rate=None)]).passed


def test_shares_may_miss_one_by_rounding() -> None:
    assert verdict_on("user_rhythm", [feature_row("user_rhythm", 0, weekday_shares=[1 / 7 + 1e-9] * 7)]).passed


def test_the_same_user_may_have_a_row_a_moment() -> None:
    rows = [feature_row("user_coupons", 0), feature_row("user_coupons", 0, event_timestamp=AS_OF - DAY)]
    assert verdict_on("user_coupons", rows).passed


def test_an_integer_feature_where_a_float_is_declared_is_refused() -> None:
    verdict = verdict_on("item_price", [feature_row("item_price", 0, last_price=3)], last_price=pa.int64())
    assert [check.rule for check in verdict.failed_checks] == ["columns_typed"]
    assert "last_price is BIGINT, not float" in verdict.failed_checks[0].observed


def test_a_missing_feature_and_an_empty_table_are_refused() -> None:
    connection = feature_connection("item_price", [])
    connection.execute("ALTER TABLE incoming DROP COLUMN last_price")
    verdict = check_features(connection, "incoming", FEATURE_VIEWS["item_price"], REFERENCES)
    assert [check.rule for check in verdict.failed_checks] == ["columns_present", "rows_present"]


def test_the_rules_about_lists_name_features_that_exist() -> None:
    features = {name for view in FEATURE_VIEWS.values() for name in view.feature_names}
    named = {name for pairs in PAIRED_LISTS.values() for pair in pairs for name in pair}
    assert named | set(LIST_LENGTHS) | set(SHARE_LISTS) | set(COUNT_LISTS) <= features
    assert set(PAIRED_LISTS) <= set(FEATURE_VIEWS)
    number_lists = {f.name for view in FEATURE_VIEWS.values() for f in view.features if f.dtype == "list<float>"}
    assert number_lists == set(SHARE_LISTS) | set(COUNT_LISTS)
