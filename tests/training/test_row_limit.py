from datetime import UTC, datetime, timedelta

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from training.row_limit import rows_within

MOMENT = datetime(2026, 3, 2, tzinfo=UTC)
STAMP = pa.timestamp("us", tz="UTC")


def histories(users: dict[str, list[int]]) -> pa.Table:
    """User → the length of the history at each moment, a minute between events."""
    rows = [
        (user, MOMENT + timedelta(days=moment), [MOMENT - timedelta(minutes=n) for n in range(length, 0, -1)])
        for user, lengths in users.items()
        for moment, length in enumerate(lengths)
    ]
    columns = zip(*rows, strict=True)
    types = (pa.string(), STAMP, pa.list_(STAMP))
    names = ("user_id", "event_timestamp", "history_event_times")
    return pa.table(
        {name: pa.array(list(values), type_) for name, values, type_ in zip(names, columns, types, strict=True)}
    )


def users_of(table: pa.Table) -> set[str]:
    return set(table["user_id"].to_pylist())


def test_those_who_judge_stay_first_then_those_with_a_step_to_learn():
    table = histories({"judge": [1], "once": [1, 1], "often": [3, 4], "seldom": [1]})
    judged = pa.array(["judge", "nobody"])
    assert users_of(rows_within(table, judged, 1)) == {"judge"}
    assert users_of(rows_within(table, judged, 3)) == {"judge", "often"}
    assert rows_within(table, judged, 6) == table


def test_who_stays_of_equal_users_does_not_depend_on_their_ids():
    lengths = {f"u{n:02d}": [n % 7 + 2] for n in range(40)}
    renamed = {f"p{n:02d}": length for n, length in enumerate(reversed(lengths.values()))}
    nobody = pa.array([], pa.string())
    kept = [rows_within(histories(each), nobody, 12)["history_event_times"].to_pylist() for each in (lengths, renamed)]
    assert sorted(map(len, kept[0])) == sorted(map(len, kept[1]))
    assert len(kept[0]) == 12


@given(
    users=st.dictionaries(st.text("ab", min_size=1, max_size=4), st.lists(st.integers(0, 3), min_size=1, max_size=4)),
    limit=st.integers(0, 20),
)
def test_whole_users_stay_in_their_order_and_never_more_rows_than_the_limit(users, limit):
    if not users:
        return
    table = histories(users)
    kept = rows_within(table, pa.array(list(users)[:1]), limit)
    assert len(kept) <= max(limit, 0) or kept == table
    assert len(kept) <= limit or len(table) <= limit
    assert kept == table.filter(pa.array([user in users_of(kept) for user in table["user_id"].to_pylist()]))
