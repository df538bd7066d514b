"""Slices of a cut: each holds a part of the wanted items, and pairs of them hold all."""

import numpy as np

from training.dataset import TrainingSet
from training.interactions import item_counts
from training.slices import slices


def test_users_and_items_each_fall_into_one_of_two_slices(rhythm: TrainingSet) -> None:
    found = slices(rhythm, rhythm.test)
    for one, other in (("little-known users", "well-known users"), ("head items", "tail items")):
        assert (found[one].truth.counts() + found[other].truth.counts() == rhythm.test.truth.counts()).all()
    both = (found["little-known users"].truth.counts() > 0) & (found["well-known users"].truth.counts() > 0)
    assert not both.any()


def test_head_items_make_half_of_the_interactions_and_no_fewer_would(rhythm: TrainingSet) -> None:
    counts = item_counts(rhythm)
    head = np.unique(slices(rhythm, rhythm.test)["head items"].truth.items)
    tail = np.unique(slices(rhythm, rhythm.test)["tail items"].truth.items)
    assert counts[head].min() >= counts[tail].max()
    assert counts[head].sum() >= counts.sum() / 2 > counts[head].sum() - counts[head].min()


def test_a_category_slice_wants_only_items_of_its_kind(rhythm: TrainingSet) -> None:
    cut = slices(rhythm, rhythm.test)["category tool"]
    wanted = cut.truth.items
    assert len(wanted)
    assert {rhythm.catalogue.categories[item - 1] for item in wanted} == {"tool"}
