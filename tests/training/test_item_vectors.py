"""What texts tell of items, and that an item without an ID vector borrows from those that mean the same."""

import numpy as np
import pytest

from training.item_text import text_vectors
from training.item_vectors import text_neighbours, whitened_text

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


def some_texts(count: int) -> np.ndarray:
    """Unit vectors of different texts; row 0 is padding."""
    vectors = np.random.default_rng(0).normal(size=(count + 1, 8)).astype(np.float32)
    vectors[0] = 0
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


@pytest.mark.parametrize("count", [0, 1, 61])
def test_texts_that_are_all_the_same_tell_nothing_and_lend_nothing(count: int) -> None:
    same = np.repeat(some_texts(2)[[0, 1]], [1, count], axis=0)
    text = whitened_text(np.vstack([same, np.zeros_like(same[:1])]))
    assert not text.any()
    assert not text_neighbours(text, np.arange(len(text)) % 2)[1].any()


def test_a_text_that_is_the_mean_of_all_tells_nothing_and_the_others_have_length_one() -> None:
    texts = some_texts(4)
    texts[3:] = -texts[1:3]
    whitened = whitened_text(np.vstack([texts, np.full_like(texts[:1], 1e-7)]))
    assert np.linalg.norm(whitened, axis=1) == pytest.approx([0, 1, 1, 1, 1, 0])


def test_a_blank_text_is_like_none() -> None:
    assert not text_vectors(["", "  ", "\n"]).any()
