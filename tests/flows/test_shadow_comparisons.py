"""What is told of unseen slates: a challenger that fails is counted, and is no other taste."""

from dataclasses import fields

import numpy as np

from flows.experiment_picture import shadow_picture
from flows.shadow_comparisons import ShadowComparisons, comparison_table

#: Three slates that are the same, and one that the challenger failed at after a long while.
OVERLAP, TAU, SECONDS, FAILED = [1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, np.nan], [0.01, 0.01, 0.01, 9.0], [0, 0, 0, 1]


def comparisons(slates: slice) -> ShadowComparisons:
    flags = np.zeros(4, bool)[slates]
    numbers = (np.array(each)[slates] for each in (OVERLAP, TAU, SECONDS))
    return ShadowComparisons(*numbers, np.array(FAILED, bool)[slates], flags, flags)


def test_a_slate_that_the_challenger_failed_at_is_counted_apart_and_is_no_difference():
    found = comparisons(slice(0, 4))
    told = dict(comparison_table(found))
    assert (told["compared"], told["failed"]) == ("3", "1 of 4 (25.00%)")
    assert told["items in both slates, mean"] == "100.0%"
    assert told["ms: median, p99"] == "10.0, 10.0"
    assert found.sentence() == (
        "Of 3 slates compared 100.0% are the same; 100.0% of the items are in both, "
        "and the challenger failed at 1 more."
    )


def test_a_challenger_that_failed_at_every_slate_is_compared_with_none():
    found = comparisons(slice(3, 4))
    assert dict(comparison_table(found))["items in both slates, mean"] == ""
    assert found.sentence() == "No slate has been compared: the challenger failed at each of 1."
    assert shadow_picture(found).startswith(b"\x89PNG")


def test_of_slates_that_were_answered_all_figures_are_told():
    found = comparisons(slice(0, 3))
    answered = found.answered()
    assert all((getattr(answered, each.name) == getattr(found, each.name)).all() for each in fields(found))
    assert dict(comparison_table(found))["failed"] == "0 of 3 (0.00%)"
    one = comparisons(slice(0, 1)).sentence()
    assert one == "Of 1 slate compared 100.0% are the same; 100.0% of the items are in both."
