"""What is told as popular is among the most taken of its category, and was taken more than once."""

from dataclasses import replace

import numpy as np
import pytest

from serving.candidate_sources import candidate_sources
from serving.catalogue import Item
from serving.history import UserRow
from serving.model_inputs import known_row
from serving.reasons import POPULAR_PLACES, popular_reason
from serving.release import Release, category_places


def shop_of(release: Release, counts: list[int]) -> Release:
    """A shop of toys that were taken so often."""
    nothing = Item("", "", None, None, None, None)
    items = (nothing, *(Item(f"x{at}", f"Toy {at}", "Toys", None, 1.0, "USD") for at in range(len(counts))))
    catalogue = replace(release.catalogue, items=items)
    taken = np.array([0, *counts], np.float32)
    return replace(
        release,
        catalogue=catalogue,
        popularity=taken,
        category_places=category_places(catalogue, taken),
        vectors=np.zeros((len(taken), 4), np.float32),
        neighbour_items=np.zeros((len(taken), 20), np.int32),
    )


@pytest.mark.parametrize(
    ("counts", "popular"),
    [
        ([*range(40, 10, -1), *[1] * 1000], 30),
        ([*range(40, 10, -1), *[2] * 1000], 30),
        ([*range(40, 10, -1), *[2] * 20, *[1] * 1000], 50),
        ([1] * 10, 0),
    ],
)
def test_a_crowd_of_equals_across_the_last_popular_place_is_not_popular(release: Release, counts, popular: int):
    shop = shop_of(release, counts)
    everything = list(range(1, len(counts) + 1))
    told = [each for each in everything if popular_reason(each, shop, "en", shop.as_of)]
    assert told == everything[:popular]
    assert len(told) <= POPULAR_PLACES
    sources = candidate_sources(shop, known_row(UserRow(), {}), everything, scored=True)
    assert [each for each, ways in zip(everything, sources, strict=True) if "popular" in ways] == told
