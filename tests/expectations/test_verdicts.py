"""What stops a table, what only warns, and what the messages say."""

import logging
from dataclasses import replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest

from expectations import suites, validate
from expectations.rules import Measure, Rule
from expectations.validate import (
    CheckCrashed,
    DataRejected,
    References,
    TableStopped,
    Verdict,
    check_table,
    held_rows,
    raise_if_refused,
)
from feature_repo.schema import EVENTS, ITEMS, OFFERS, QUARANTINE
from tests.expectations.planted import NOW, REFERENCES, Row, connection_with, event, item, offer


def verdict_on(rows: list[Row], references: References = REFERENCES, **extra: pa.DataType) -> Verdict:
    return check_table(connection_with("events", rows, **extra), "incoming", EVENTS, references)


def failed(verdict: Verdict) -> dict[str, str]:
    return {check.rule: check.observed for check in verdict.failed_checks}


def test_a_missing_column_stops_the_table_and_is_named() -> None:
    connection = connection_with("events", [event(row) for row in range(5)])
    connection.execute("ALTER TABLE incoming DROP COLUMN unit_price")
    verdict = check_table(connection, "incoming", EVENTS, REFERENCES)
    assert failed(verdict) == {"columns_present": "1 missing column: unit_price"}
    with pytest.raises(DataRejected) as stopped:
        raise_if_refused(verdict)
    message = str(stopped.value)
    for words in (
        "Table events was refused",
        "columns_present",
        "Expected",
        "came",
        "unit_price",
        "What to do",
        "nothing",
    ):
        assert words in message
    assert stopped.value.verdict is verdict


@pytest.mark.parametrize(
    ("column", "arrow_type", "value", "words"),
    [
        ("unit_price", pa.string(), "2.50", "unit_price is VARCHAR, not float"),
        ("event_time", pa.string(), "2026", "event_time is VARCHAR, not timestamp"),
        ("event_time", pa.timestamp("us"), datetime(2026, 1, 1), "event_time is TIMESTAMP, not timestamp"),
        ("item_id", pa.int64(), 7, "item_id is BIGINT, not string"),
    ],
)
def test_a_column_of_the_wrong_type_stops_the_table(
    column: str, arrow_type: pa.DataType, value: Any, words: str
) -> None:
    verdict = verdict_on([event(row, **{column: value}) for row in range(5)], **{column: arrow_type})
    assert failed(verdict) == {"columns_typed": f"1 wrong type: {words}"}
    assert not verdict.passed


def test_a_list_column_of_the_wrong_type_stops_the_table() -> None:
    connection = connection_with("offers", [offer(0, items=[1])], items=pa.list_(pa.int64()))
    assert "items is BIGINT[], not list<string>" in failed(check_table(connection, "incoming", OFFERS, REFERENCES)).get(
        "columns_typed", ""
    )


def test_an_empty_table_is_refused() -> None:
    verdict = verdict_on([])
    assert failed(verdict) == {"rows_present": "0 rows"}
    with pytest.raises(DataRejected, match="Expected at least 1 row; came 0 rows"):
        raise_if_refused(verdict)


def test_more_than_a_fifth_of_held_rows_stops_the_table() -> None:
    def rows(bad: int) -> list[Row]:
        return [event(row, channel="fax" if row < bad else "web") for row in range(50)]

    assert verdict_on(rows(10)).passed
    refused = verdict_on(rows(11))
    assert (refused.passed, refused.rows_held) == (False, 11)
    with pytest.raises(DataRejected, match=r"at most 20 % of rows; came share of held rows = 22.0 %"):
        raise_if_refused(refused)


def test_repeated_ids_count_among_the_held_rows() -> None:
    refused = verdict_on([event(row, event_id="one") for row in range(50)])
    assert (refused.passed, refused.rows_held) == (False, 49)


def test_a_small_window_holds_its_bad_rows_and_goes_on() -> None:
    verdict = verdict_on([event(0), event(1, channel="fax")])
    assert (verdict.passed, verdict.rows_held) == (True, 1)


def test_volume_far_from_the_window_before_is_a_warning() -> None:
    rows = [event(row) for row in range(30)]
    assert failed(verdict_on(rows, replace(REFERENCES, previous_rows=100))) == {}
    for before in (160, 5):
        verdict = verdict_on(rows, replace(REFERENCES, previous_rows=before))
        assert failed(verdict) == {"volume_as_before": "30 rows in this window"}
        assert verdict.passed
        raise_if_refused(verdict)


def test_a_window_that_stands_out_is_a_warning() -> None:
    def rows(middle: int) -> list[Row]:
        windows = ["2026-01"] + ["2026-02"] * 20 + ["2026-03"] * middle + ["2026-04"] * 20 + ["2026-05"]
        return [event(row, _window=window) for row, window in enumerate(windows)]

    assert failed(verdict_on(rows(4), _window=pa.string())) == {}
    verdict = verdict_on(rows(1), _window=pa.string())
    assert failed(verdict) == {"windows_alike": "most distant window's factor = 20"}
    assert verdict.passed


def test_two_windows_are_too_few_to_compare() -> None:
    rows = [event(row, _window="2026-01" if row else "2026-02") for row in range(30)]
    assert failed(verdict_on(rows, _window=pa.string())) == {}


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"unit_price": None}, "purchases_have_prices"),
        ({"currency": None}, "prices_have_currency"),
        ({"currency": "USD"}, "one_currency"),
    ],
)
def test_warnings_about_money_do_not_stop_the_table(changed: Row, rule: str) -> None:
    rows = [event(row, **(changed if row < 3 else {})) for row in range(30)]
    verdict = verdict_on(rows)
    assert list(failed(verdict)) == [rule]
    assert (verdict.passed, verdict.rows_held) == (True, 0)


def test_a_catalogue_with_nothing_to_sell_is_a_warning() -> None:
    connection = connection_with("items", [item(row, available=False) for row in range(30)])
    verdict = check_table(connection, "incoming", ITEMS, REFERENCES)
    assert list(failed(verdict)) == ["some_items_available"]
    assert verdict.passed


def test_offers_on_unknown_items_are_a_warning() -> None:
    connection = connection_with("offers", [offer(row, items=["mug", "spoon"]) for row in range(30)])
    verdict = check_table(connection, "incoming", OFFERS, REFERENCES)
    assert failed(verdict) == {"offered_items_known": "share of offered items in the catalogue = 50.0 %"}
    assert verdict.passed


def test_nothing_to_measure_is_not_a_failure() -> None:
    rows = [event(row, event_type="search", item_id=None, unit_price=None, quantity=None) for row in range(30)]
    verdict = verdict_on(rows)
    assert failed(verdict) == {}
    observed = {check.rule: check.observed for check in verdict.checks}
    assert observed["purchases_have_prices"] == "share of purchases with a price: nothing to measure"


def test_a_check_that_crashes_is_told_apart_from_failed_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_a_crash(*arguments: Any) -> tuple[Rule, ...]:
        text = Rule("broken_check", "table", "A sentence.", "warning", "a number", (Measure("words", "'seven'", 0, 9),))
        return (*RULES(*arguments), text)

    RULES = validate.RULES_OF_TABLE["events"]
    monkeypatch.setitem(validate.RULES_OF_TABLE, "events", with_a_crash)
    verdict = verdict_on([event(row) for row in range(30)])
    (crashed,) = verdict.failed_checks
    assert (crashed.rule, verdict.passed) == ("broken_check", False)
    assert "not supported between" in crashed.error
    with pytest.raises(CheckCrashed, match="could not be checked") as stopped:
        raise_if_refused(verdict)
    assert "a fault of the check, not of the data" in str(stopped.value)
    assert not isinstance(stopped.value, DataRejected)
    assert isinstance(stopped.value, TableStopped)


def test_a_predicate_that_disagrees_with_the_suite_is_a_crash_of_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_a_lie(*arguments: Any) -> tuple[Rule, ...]:
        return tuple(
            replace(rule, broken="unit_price > 99") if rule.name == "unit_price_in_bounds" else rule
            for rule in RULES(*arguments)
        )

    RULES = validate.RULES_OF_TABLE["events"]
    monkeypatch.setitem(validate.RULES_OF_TABLE, "events", with_a_lie)
    (crashed,) = [
        check for check in verdict_on([event(row, unit_price=-3.0) for row in range(3)]).checks if check.error
    ]
    assert "the suite finds the rule broken, but the predicate finds no row" in crashed.error


@pytest.mark.parametrize(
    "info",
    [
        {"raised_exception": True, "exception_message": "no such column"},
        {"('column.max', 'x')": {"raised_exception": True, "exception_message": "no such column"}},
        {"outer": {"inner": {"raised_exception": True, "exception_message": "no such column"}}},
    ],
)
def test_an_exception_is_found_however_deep_it_is_nested(info: dict[str, Any]) -> None:
    assert suites.raised_exception(info) == "no such column"


@pytest.mark.parametrize("info", [None, {}, {"raised_exception": False, "exception_message": None}])
def test_no_exception_is_found_where_none_was_raised(info: Any) -> None:
    assert suites.raised_exception(info) == ""


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match=r"References.now must carry a time zone"):
        References(None, datetime(2026, 1, 1))


def test_a_table_without_rules_is_named() -> None:
    connection = connection_with("events", [event(0)])
    with pytest.raises(ValueError, match="not for 'quarantine'"):
        check_table(connection, "incoming", QUARANTINE, REFERENCES)


def test_a_relation_without_the_uncast_column_is_judged_too() -> None:
    connection = connection_with("events", [event(row) for row in range(30)])
    connection.execute("ALTER TABLE incoming DROP COLUMN _uncast")
    verdict = check_table(connection, "incoming", EVENTS, REFERENCES)
    assert "typed" not in {check.rule for check in verdict.checks}
    assert held_rows(connection, "incoming", EVENTS, REFERENCES).num_rows == 0


def test_the_suite_is_one_expectation_a_measure_with_its_severity() -> None:
    rules = validate.table_rules(EVENTS, "incoming", EVENTS.column_names, REFERENCES)
    suite = suites.suite("events", rules, {})
    assert len(suite.expectations) == sum(len(rule.measures) for rule in rules)
    assert {expectation.severity.value for expectation in suite.expectations} == {"critical", "warning"}
    assert '"rule": "unit_price_in_bounds"' in suites.suite_as_json("events", rules)


def test_great_expectations_is_quiet_and_sends_nothing() -> None:
    verdict_on([event(0)])
    context = suites.profile_context()
    assert context.config.analytics_enabled is False
    assert context.variables.progress_bars["globally"] is False
    assert logging.getLogger("great_expectations").level == logging.WARNING
    assert suites.profile_context() is context


def test_verdicts_remember_when_they_were_made() -> None:
    assert verdict_on([event(0)]).checked_at == NOW


def test_of_a_refused_table_only_so_many_rows_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "SHOWN_OF_REFUSED", 3)
    for bad, shown in ((50, 3), (5, 5)):
        rows = [event(row, channel="fax" if row < bad else "web") for row in range(50)]
        connection = connection_with("events", rows)
        verdict = check_table(connection, "incoming", EVENTS, REFERENCES)
        held = held_rows(connection, "incoming", EVENTS, REFERENCES, verdict)
        assert (verdict.rows_held, held["_row"].to_pylist()) == (bad, list(range(shown)))
