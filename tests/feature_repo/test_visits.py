"""What one visit holds: what was bought in it and what was only looked at, and one checkout of several lines."""

from datetime import timedelta

import pytest

from feature_repo.transforms import TRANSFORMS
from tests.feature_repo.small_events import AS_OF, Event, event, prepared


def visits(kinds: tuple[str, ...]) -> list[Event]:
    """A session a kind, in which one visitor meets a and b by it."""
    return [
        event(10 * at + n, f"user {at}", item, timedelta(days=3, minutes=n), event_type=kind, session_id=f"s{at}")
        for at, kind in enumerate(kinds)
        for n, item in enumerate("ab")
    ]


@pytest.mark.parametrize(
    ("kinds", "bought"),
    [(("view", "view"), 0.0), (("purchase", "purchase"), 2.0), (("view", "purchase", "add_to_cart"), 1.0)],
)
def test_company_counts_the_visits_in_which_both_were_bought_beside_those_that_met_both(kinds, bought):
    with prepared(visits(kinds)) as connection:
        rows = {row["item_id"]: row for row in TRANSFORMS["item_co_purchase"](connection, AS_OF).to_pylist()}
    assert rows["a"]["co_purchase_item_ids"] == ["b"]
    assert rows["a"]["co_purchase_bought"] == [bought]
    assert rows["d"]["co_purchase_bought"] == []


def test_sessions_that_each_user_counts_from_one_are_no_company_of_what_different_users_met():
    met = {"a": ("first", "second"), "b": ("third", "fourth")}
    events = [
        event(10 * at + number, user, item, timedelta(days=3), event_type="view", session_id=f"{number + 1}")
        for item, users in met.items()
        for at, user in enumerate(users, 5 * ord(item))
        for number in range(2)
    ]
    with prepared(events) as connection:
        rows = {row["item_id"]: row for row in TRANSFORMS["item_co_purchase"](connection, AS_OF).to_pylist()}
    assert rows["a"]["co_purchase_item_ids"] == rows["b"]["co_purchase_item_ids"] == []


def test_two_units_of_one_checkout_are_one_purchase_where_only_a_session_is_told():
    lines = [event(n, "u", "c", timedelta(days=40, seconds=n), channel="web", session_id="checkout") for n in (1, 2)]
    with prepared(lines) as connection:
        (habits,) = TRANSFORMS["user_habits"](connection, AS_OF).to_pylist()
        repeats = {row["item_id"]: row for row in TRANSFORMS["item_repeat"](connection, AS_OF).to_pylist()}
        bought = connection.execute('SELECT count(*) FROM purchases GROUP BY item, "user"').fetchall()
    assert habits["habit_counts"] == [1]
    assert repeats["c"]["repeat_rate"] == 0
    assert bought == [(1,)], "so the policy of what comes again sees no return"
