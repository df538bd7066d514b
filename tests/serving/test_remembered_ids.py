from hypothesis import given
from hypothesis import strategies as st

from serving.remembered_ids import no_ids, remember

IDS = st.text(alphabet="abcé", max_size=3)


@given(capacity=st.integers(1, 6), ids=st.lists(IDS, max_size=60))
def test_the_last_ids_are_known_and_none_that_was_never_pushed(capacity, ids):
    known, pushed = no_ids(capacity), list[str]()
    for event_id in ids:
        lately = list(dict.fromkeys(reversed(pushed)))[:capacity]
        assert all(each in known for each in lately)
        assert (event_id in known) <= (event_id in pushed)
        remember(known, event_id)
        pushed.append(event_id)
        assert event_id in known


def test_old_ids_are_forgotten_and_the_tables_never_grow():
    known = no_ids(100)
    size = len(known.newer)
    for number in range(1_000):
        remember(known, f"e_{number}")
    assert "e_0" not in known
    assert "e_999" in known
    assert "e_900" in known
    assert (len(known.newer), len(known.older)) == (size, size)
