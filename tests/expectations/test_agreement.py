"""The suite, the predicate and a plain loop agree on whatever the rows say."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations.events import NEEDS_ITEM
from expectations.rules import EARLIEST_TIME
from expectations.validate import check_table, held_rows
from feature_repo.schema import CHANNELS, EVENT_TYPES, EVENTS
from tests.expectations.planted import KNOWN, NOW, REFERENCES, Row, connection_with, event

LATEST = NOW + timedelta(days=1)
MOMENT = timedelta(microseconds=1)
MOMENTS = st.sampled_from(
    [None, NOW, LATEST, LATEST + MOMENT, EARLIEST_TIME, EARLIEST_TIME - MOMENT, datetime(1, 1, 2, tzinfo=UTC)]
)
NUMBERS = st.one_of(
    st.none(),
    st.sampled_from([0.0, -0.0, 0.0001, math.nextafter(0.0001, 0), 1e6, math.nextafter(1e6, 2e6)]),
    st.sampled_from([math.nan, math.inf, -math.inf]),
    st.floats(width=32),
)
CORRUPTED = {
    "event_id": st.sampled_from([None, "", "e1", "e2", "twin"]),
    "event_time": MOMENTS,
    "known_at": MOMENTS,
    "user_id": st.sampled_from([None, "", "u_1"]),
    "item_id": st.sampled_from([None, "", "mug", "spoon", "MUG"]),
    "event_type": st.sampled_from([None, "", "search", "follow", "view", "bought", "Purchase"]),
    "channel": st.sampled_from([None, "", "web", "fax", "'"]),
    "quantity": NUMBERS,
    "unit_price": NUMBERS,
    "discount": NUMBERS,
    "currency": st.sampled_from([None, "EUR", "USD"]),
    "source": st.sampled_from([None, "", "planted", "other"]),
    "_uncast": st.sampled_from([None, "unit_price='abc'"]),
}
CORRUPTION = st.sampled_from(sorted(CORRUPTED)).flatmap(
    lambda column: st.tuples(st.integers(0, 24), st.just(column), CORRUPTED[column])
)


def broken_rules(row: Row, earlier_ids: set[Any]) -> list[str]:
    """The rules a row breaks, written as a reader of the contract would, in declared order."""
    broken = ["typed"] if row["_uncast"] is not None else []
    for column in EVENTS.columns:
        value = row[column.name]
        if not column.nullable and value in (None, ""):
            broken.append(f"{column.name}_required")
        if column.dtype == "float" and value is not None and not math.isfinite(value):
            broken.append(f"{column.name}_finite")
        bounded = column.minimum is not None and value is not None and math.isfinite(value)
        if bounded and not column.minimum <= value <= (column.maximum or math.inf):
            broken.append(f"{column.name}_in_bounds")
        if column.allowed and value and value not in column.allowed:
            broken.append(f"{column.name}_allowed")
        if column.references and value is not None and value not in KNOWN:
            broken.append(f"{column.name}_known")
    for name in ("event_time", "known_at"):
        if row[name] is not None and row[name] > LATEST:
            broken.append(f"{name}_not_in_future")
        if row[name] is not None and row[name] < EARLIEST_TIME:
            broken.append(f"{name}_not_too_old")
    if row["event_type"] in NEEDS_ITEM and not row["item_id"]:
        broken.append("interaction_has_item")
    if row["event_id"] is not None and row["event_id"] in earlier_ids:
        broken.append("event_id_unique")
    return broken


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(CORRUPTION, max_size=8))
def test_suite_predicate_and_plain_loop_agree(corruptions: list[tuple[int, str, Any]]) -> None:
    rows = [event(number) | {"_uncast": None} for number in range(25)]
    for number, column, value in corruptions:
        rows[number][column] = value
    connection = connection_with("events", rows)
    verdict = check_table(connection, "incoming", EVENTS, REFERENCES)
    held = held_rows(connection, "incoming", EVENTS, REFERENCES, verdict)

    seen: set[Any] = set()
    expected, counts = [], dict.fromkeys((check.rule for check in verdict.checks if check.level == "row"), 0)
    for number, row in enumerate(rows):
        broken = broken_rules(row, seen)
        seen.add(row["event_id"])
        for rule in broken:
            counts[rule] += 1
        if broken:
            expected.append((number, broken[0]))
    # The suite decided `passed`, the predicate counted `failed_rows`; a disagreement is an error of the check.
    assert [check.error for check in verdict.checks if check.error] == []
    assert {c.rule: c.passed for c in verdict.checks if c.level == "row"} == {r: not n for r, n in counts.items()}
    assert {c.rule: c.failed_rows for c in verdict.checks if c.level == "row"} == counts
    assert [(row["_row"], row["rule"]) for row in held.to_pylist()] == expected
    assert verdict.rows_held == len(expected)
    assert verdict.passed == (len(expected) <= 5)


def test_the_oracle_knows_the_contract() -> None:
    assert set(NEEDS_ITEM) < set(EVENT_TYPES)
    assert broken_rules(event(0) | {"_uncast": None}, set()) == []
    assert broken_rules(event(0, channel="fax", quantity=0.0) | {"_uncast": None}, {"e0"}) == [
        "channel_allowed",
        "quantity_in_bounds",
        "event_id_unique",
    ]
    assert "web" in CHANNELS
