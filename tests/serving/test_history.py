"""How an event changes a history and habits: order by time, nothing twice, nothing lost but the oldest."""

from hypothesis import given
from hypothesis import strategies as st

from feature_repo.features import HISTORY_LENGTH
from serving.history import Habit, Interaction, UserRow, with_interactions, with_purchase

interactions = st.builds(
    Interaction,
    st.sampled_from(["a", "b", "c", "d"]),
    st.sampled_from(["view", "purchase", "like"]),
    st.integers(0, 400),
)


@given(st.lists(interactions, max_size=150), st.randoms())
def test_any_order_of_arrival_gives_the_same_moments_in_order_of_time(events: list[Interaction], random):
    shuffled = list(events)
    random.shuffle(shuffled)
    one_by_one = UserRow()
    for event in shuffled:
        one_by_one = with_interactions(one_by_one, [event])
    together = with_interactions(UserRow(), events)
    times = [entry.event_time for entry in one_by_one.history]
    assert times == sorted(times) == [entry.event_time for entry in together.history]
    assert times == sorted(event.event_time for event in set(events))[-HISTORY_LENGTH:]


@given(st.lists(interactions, max_size=60))
def test_the_same_events_again_change_nothing(events: list[Interaction]):
    once = with_interactions(UserRow(), events)
    assert with_interactions(once, events) == once


def test_an_older_event_takes_its_place_and_is_not_the_newest():
    row = UserRow(history=(Interaction("a", "view", 100), Interaction("b", "view", 200)))
    after = with_interactions(row, [Interaction("c", "view", 150)])
    assert [entry.item_id for entry in after.history] == ["a", "c", "b"]


def test_a_full_history_forgets_the_oldest_and_takes_nothing_older():
    row = UserRow(history=tuple(Interaction("a", "view", moment) for moment in range(1, HISTORY_LENGTH + 1)))
    newer = with_interactions(row, [Interaction("b", "view", 1000)])
    assert len(newer.history) == HISTORY_LENGTH
    assert newer.history[0].event_time == 2
    assert with_interactions(row, [Interaction("b", "view", 0)]).history == row.history


def test_a_search_is_no_interaction():
    assert with_interactions(UserRow(), [Interaction("a", "search", 1)]) == UserRow()


def test_a_purchase_counts_once_a_moment_and_never_backwards():
    habits = (Habit("a", 2.0, 100), Habit("b", 1.0, 50))
    assert with_purchase(habits, Interaction("a", "purchase", 120)) == (Habit("a", 3.0, 120), Habit("b", 1.0, 50))
    assert with_purchase(habits, Interaction("a", "purchase", 100)) == habits
    assert with_purchase(habits, Interaction("a", "purchase", 90)) == habits
    assert with_purchase(habits, Interaction("c", "purchase", 10))[-1] == Habit("c", 1.0, 10)


def test_lines_of_a_basket_with_the_time_of_the_checkout_count_once():
    line = Interaction("a", "purchase", 100)
    after = with_interactions(UserRow(habits=(Habit("a", 2.0, 50),)), [line, line])
    assert with_interactions(after, [line]).habits == (Habit("a", 3.0, 100),)
