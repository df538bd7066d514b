"""The arrays that serving gives the model are those that training made of the same rows."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.schema import INTERACTION_TYPES
from serving.history import Habit, Interaction, UserRow
from serving.model_inputs import known_row, padded, sequences_of
from training.dataset import SEQUENCE_INPUTS
from training.dataset_rows import from_arrow

AS_OF = datetime(2018, 1, 1, tzinfo=UTC)
NOW = int(AS_OF.timestamp())
VOCABULARY = ["a", "b", "c"]
INDEX = {item_id: position for position, item_id in enumerate(VOCABULARY, start=1)}
item_ids = st.sampled_from([*VOCABULARY, "outside"])
moments = st.integers(NOW - 400 * 86_400, NOW - 1)
rows = st.builds(
    UserRow,
    st.lists(st.builds(Interaction, item_ids, st.sampled_from(INTERACTION_TYPES), moments), max_size=100).map(tuple),
    st.lists(st.builds(Habit, item_ids, st.integers(1, 50).map(float), moments), max_size=100).map(tuple),
)


def as_training_reads(row: UserRow) -> dict[str, np.ndarray]:
    def table(split: str) -> pa.Table:
        stamp = pa.timestamp("us", tz="UTC")
        return pa.table(
            {
                "user_id": ["u"],
                "event_timestamp": pa.array([AS_OF], stamp),
                "split": [split],
                "history_item_ids": pa.array([[e.item_id for e in row.history]], pa.list_(pa.string())),
                "history_event_types": pa.array([[e.event_type for e in row.history]], pa.list_(pa.string())),
                "history_event_times": pa.array(
                    [[datetime.fromtimestamp(e.event_time, UTC) for e in row.history]], pa.list_(stamp)
                ),
                "habit_item_ids": pa.array([[h.item_id for h in row.habits]], pa.list_(pa.string())),
                "habit_counts": pa.array([[h.purchases for h in row.habits]], pa.list_(pa.float64())),
                "habit_last_times": pa.array(
                    [[datetime.fromtimestamp(h.last_time, UTC) for h in row.habits]], pa.list_(stamp)
                ),
            }
        )

    texts = pa.nulls(3, pa.string())
    items = pa.table(
        {"item_id": VOCABULARY, "title": texts, "category": texts, "brand": texts, "price": pa.nulls(3, pa.float64())}
    )
    nothing = pa.table({"user_id": pa.array([], pa.string()), "item_id": pa.array([], pa.string())})
    histories = pa.concat_tables([table("train"), table("validation"), table("test")])
    queries = from_arrow(histories, items, np.zeros((3, 4)), {"validation": nothing, "test": nothing}).test.queries
    return {name: getattr(queries, name) for name in SEQUENCE_INPUTS}


@settings(max_examples=60, deadline=None)
@given(rows)
def test_serving_and_training_make_the_same_arrays(row: UserRow):
    ours = padded(sequences_of([known_row(row, INDEX)], AS_OF))
    for name, theirs in as_training_reads(row).items():
        assert ours[name].dtype == theirs.dtype, name
        np.testing.assert_array_equal(ours[name], theirs, err_msg=name)


def test_an_event_ahead_of_the_clock_has_age_zero():
    row = UserRow(history=(Interaction("a", "view", NOW + 100),))
    assert sequences_of([known_row(row, INDEX)], AS_OF).ages.tolist() == [0]


@settings(max_examples=30, deadline=None)
@given(st.lists(rows, min_size=1, max_size=4))
def test_several_users_have_the_arrays_of_each_alone(several: list[UserRow]):
    known = [known_row(row, INDEX) for row in several]
    together = padded(sequences_of(known, AS_OF))
    for user, row in enumerate(known):
        for name, alone in padded(sequences_of([row], AS_OF)).items():
            np.testing.assert_array_equal(together[name][user], alone[0], err_msg=name)
