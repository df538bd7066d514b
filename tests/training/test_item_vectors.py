"""An item without an ID vector borrows from the items that mean the same."""

import numpy as np

from training.item_vectors import text_neighbours

TEXT = np.array([[0, 0], [1, 0], [0.8, 0.6], [0, 1], [0.96, 0.28], [0, 0]], dtype=np.float32)


def test_a_cold_item_borrows_most_from_what_stands_nearest_by_text() -> None:
    nearest, shares = text_neighbours(TEXT, np.array([0, 1, 2, 3, 0, 0]))
    assert nearest[4].tolist() == [1, 2, 3]
    assert np.isclose(shares[4].sum(), 1)
    assert shares[4][0] > shares[4][1] > shares[4][2]


def test_known_items_and_items_without_text_borrow_nothing() -> None:
    _, shares = text_neighbours(TEXT, np.array([0, 1, 2, 3, 0, 0]))
    assert not shares[[0, 1, 2, 3, 5]].any()


def test_nothing_is_borrowed_when_no_item_is_known() -> None:
    nearest, shares = text_neighbours(TEXT, np.zeros(6, dtype=np.int64))
    assert not nearest.any()
    assert not shares.any()
