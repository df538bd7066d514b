"""The largest few of a row are those of a stable sort of the whole row."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from training.largest import largest


@settings(deadline=None, max_examples=100)
@given(data=st.data(), rows=st.integers(0, 4), columns=st.integers(1, 9))
def test_the_largest_of_each_row_are_those_of_a_stable_sort_ties_and_all(
    data: st.DataObject, rows: int, columns: int
) -> None:
    few = st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0])
    values = np.array(data.draw(st.lists(few, min_size=rows * columns, max_size=rows * columns))).reshape(rows, columns)
    count = data.draw(st.integers(1, columns))
    assert largest(values, count).tolist() == np.argsort(-values, axis=1, kind="stable")[:, :count].tolist()
