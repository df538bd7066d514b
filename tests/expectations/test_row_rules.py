"""Each row rule holds the row that breaks it, with its reason, and no other row."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from expectations.validate import References, check_table, held_rows
from feature_repo.schema import TABLES
from tests.expectations.planted import GOOD, NOW, REFERENCES, connection_with

FAR = datetime(2031, 1, 1, tzinfo=UTC)
OLD = datetime(1970, 1, 1, tzinfo=UTC)
#: table, rule, what the bad row has, words of its reason
PLANTED = [
    ("events", "typed", {"unit_price": None, "_uncast": "unit_price='abc'"}, "unit_price='abc'"),
    ("events", "event_id_required", {"event_id": None}, "event_id not null and not empty; came event_id = null"),
    ("events", "event_time_required", {"event_time": None}, "event_time not null"),
    ("events", "known_at_required", {"known_at": None}, "known_at not null"),
    ("events", "user_id_required", {"user_id": ""}, "user_id not null and not empty; came user_id = "),
    ("events", "event_type_required", {"event_type": None}, "event_type = null"),
    ("events", "event_type_allowed", {"event_type": "bought"}, "one of view, search"),
    ("events", "channel_required", {"channel": None}, "channel = null"),
    ("events", "channel_allowed", {"channel": "fax"}, "channel = fax"),
    ("events", "source_required", {"source": None}, "source = null"),
    ("events", "item_id_known", {"item_id": "spoon"}, "an item of the catalogue; came item_id = spoon"),
    ("events", "interaction_has_item", {"item_id": None}, "event_type = purchase"),
    ("events", "quantity_in_bounds", {"quantity": 0.0}, "at least 0.0001"),
    ("events", "quantity_finite", {"quantity": math.nan}, "quantity = nan"),
    ("events", "unit_price_in_bounds", {"unit_price": -3.0}, "unit_price at least 0"),
    ("events", "unit_price_in_bounds", {"unit_price": 4006381333931.0}, "at most 1,000,000,000"),
    ("events", "unit_price_finite", {"unit_price": math.inf}, "unit_price = inf"),
    ("events", "discount_in_bounds", {"discount": -0.01}, "discount = -0.01"),
    ("events", "discount_finite", {"discount": -math.inf}, "discount = -inf"),
    ("events", "event_time_not_in_future", {"event_time": FAR}, "event_time = 2031-01-01"),
    ("events", "event_time_not_too_old", {"event_time": OLD}, "not before 1990-01-01"),
    ("events", "known_at_not_in_future", {"known_at": FAR}, "known_at = 2031-01-01"),
    ("events", "known_at_not_too_old", {"known_at": OLD}, "known_at = 1970-01-01"),
    ("events", "event_id_unique", {"event_id": "e1"}, "event_id once; came event_id = e1 again"),
    ("items", "item_id_required", {"item_id": ""}, "item_id not null"),
    ("items", "item_id_unique", {"item_id": "i1"}, "item_id = i1 again"),
    ("items", "title_required", {"title": None}, "title = null"),
    ("items", "title_not_blank", {"title": "   "}, "title more than blanks"),
    ("items", "category_is_a_path", {"category": "kitchen > "}, "none of them empty; came category = kitchen > "),
    ("items", "category_is_a_path", {"category": "a > > b"}, "category = a > > b"),
    ("items", "price_in_bounds", {"price": -1.0}, "price = -1.0"),
    ("items", "price_finite", {"price": math.nan}, "price = nan"),
    ("items", "available_required", {"available": None}, "available = null"),
    ("items", "updated_at_not_in_future", {"updated_at": FAR}, "2031"),
    ("offers", "offer_id_unique", {"offer_id": "o1"}, "offer_id = o1 again"),
    ("offers", "items_required", {"items": None}, "items not null"),
    ("offers", "items_not_empty", {"items": []}, "a list of at least one item; came items = []"),
    ("offers", "items_named", {"items": ["mug", None]}, "without nulls"),
    ("offers", "kind_allowed", {"kind": "bribe"}, "kind = bribe"),
    ("offers", "value_in_bounds", {"value": -5.0}, "value = -5.0"),
    ("offers", "cap_per_user_in_bounds", {"cap_per_user": 0}, "cap_per_user = 0"),
    ("offers", "ends_after_start", {"ends_at": NOW - timedelta(days=1)}, "ends_at = 2026-05-03"),
    ("users", "user_id_unique", {"user_id": "u_1"}, "user_id = u_1 again"),
    ("users", "traits_is_an_object", {"traits": "[1]"}, "a JSON object; came traits = [1]"),
    ("users", "traits_is_an_object", {"traits": "{age"}, "traits = {age"),
    ("users", "updated_at_finite", {"updated_at": "infinity"}, "updated_at = infinity"),
]


@pytest.mark.parametrize("name", GOOD)
def test_a_good_table_passes_every_check_and_holds_nothing(name: str) -> None:
    connection = connection_with(name, [GOOD[name](row) for row in range(30)])
    verdict = check_table(connection, "incoming", TABLES[name], REFERENCES)
    assert [check.rule for check in verdict.failed_checks] == []
    assert (verdict.passed, verdict.rows, verdict.rows_held) == (True, 30, 0)
    assert held_rows(connection, "incoming", TABLES[name], REFERENCES).num_rows == 0


@pytest.mark.parametrize(("name", "rule", "planted", "words"), PLANTED)
def test_a_row_that_breaks_a_rule_is_held_with_its_reason(
    name: str, rule: str, planted: dict[str, Any], words: str
) -> None:
    endless = [column for column, value in planted.items() if value == "infinity"]
    rows = [GOOD[name](row) for row in range(30)]
    rows[20] |= {column: value for column, value in planted.items() if column not in endless}
    connection = connection_with(name, rows)
    for column in endless:  # Arrow has no infinite moment, DuckDB does: a CSV may say it
        connection.execute(f"UPDATE incoming SET {column} = 'infinity' WHERE _row = 20")
    verdict = check_table(connection, "incoming", TABLES[name], REFERENCES)
    held = held_rows(connection, "incoming", TABLES[name], REFERENCES, verdict)

    assert [(row["_row"], row["rule"]) for row in held.to_pylist()] == [(20, rule)]
    reason = held["reason"][0].as_py()
    assert words in reason
    assert reason.startswith("expected ")
    assert [(check.rule, check.failed_rows) for check in verdict.failed_checks if check.level == "row"] == [(rule, 1)]
    assert (verdict.passed, verdict.rows_held) == (True, 1)
    assert held.equals(held_rows(connection, "incoming", TABLES[name], REFERENCES))


def test_every_row_rule_of_the_lake_has_a_planted_fault() -> None:
    tried = {(name, rule) for name, rule, _, _ in PLANTED}
    # The same generated rule on another column of the same table adds nothing.
    generated = ("_required", "_finite", "_allowed", "_in_bounds", "_not_in_future", "_not_too_old")
    for name in GOOD:
        connection = connection_with(name, [GOOD[name](0)])
        verdict = check_table(connection, "incoming", TABLES[name], REFERENCES)
        own = [check.rule for check in verdict.checks if check.level == "row" and not check.rule.endswith(generated)]
        untried = {rule for rule in own if (name, rule) not in tried and rule != "typed"}
        assert untried == set()


def test_the_first_of_two_rows_with_one_id_stays() -> None:
    rows = [GOOD["events"](row) for row in range(30)]
    rows[4]["event_id"] = rows[9]["event_id"] = rows[25]["event_id"] = "twin"
    connection = connection_with("events", rows)
    held = held_rows(connection, "incoming", TABLES["events"], REFERENCES)
    assert held["_row"].to_pylist() == [9, 25]


def test_a_row_is_held_once_for_the_first_rule_it_breaks() -> None:
    rows = [GOOD["events"](row) for row in range(30)]
    rows[3] |= {"unit_price": -1.0, "channel": "fax", "event_id": "e1"}
    connection = connection_with("events", rows)
    verdict = check_table(connection, "incoming", TABLES["events"], REFERENCES)
    held = held_rows(connection, "incoming", TABLES["events"], REFERENCES, verdict)
    assert held["rule"].to_pylist() == ["channel_allowed"]
    assert verdict.rows_held == 1


def test_a_clock_that_runs_an_hour_ahead_is_not_the_future() -> None:
    rows = [GOOD["events"](row) for row in range(30)]
    rows[3]["event_time"] = NOW + timedelta(hours=23)
    rows[4]["event_time"] = NOW + timedelta(hours=25)
    held = held_rows(connection_with("events", rows), "incoming", TABLES["events"], REFERENCES)
    assert held["_row"].to_pylist() == [4]


def test_items_are_not_looked_up_without_a_catalogue() -> None:
    rows = [GOOD["events"](row, item_id="spoon") for row in range(30)]
    verdict = check_table(connection_with("events", rows), "incoming", TABLES["events"], References(None, NOW))
    assert verdict.failed_checks == ()


def test_a_quote_in_a_value_stays_a_value() -> None:
    rows = [GOOD["events"](row) for row in range(30)]
    rows[3]["channel"] = "o'clock'; DROP TABLE incoming; --"
    connection = connection_with("events", rows)
    held = held_rows(connection, "incoming", TABLES["events"], REFERENCES)
    assert "came channel = o'clock'; DROP" in held["reason"][0].as_py()


def test_a_search_or_a_follow_needs_no_item() -> None:
    rows = [GOOD["events"](row) for row in range(30)]
    rows[3] |= {"event_type": "search", "item_id": None, "text": "mug"}
    rows[4] |= {"event_type": "follow", "item_id": None}
    connection = connection_with("events", rows)
    assert held_rows(connection, "incoming", TABLES["events"], REFERENCES).num_rows == 0
