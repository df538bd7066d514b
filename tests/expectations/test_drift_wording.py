import math

import numpy as np

from expectations.drift_profile import BUCKETS_A_LOGARITHM, ZERO_BUCKET
from expectations.drift_wording import words_of_numbers


def bucket(value: float) -> str:
    return str(ZERO_BUCKET if value == 0 else math.floor(math.log(value) * BUCKETS_A_LOGARITHM))


BUCKETS = (bucket(0), bucket(10), bucket(100))


def test_a_shift_of_the_middle_is_told_by_the_medians():
    assert words_of_numbers(BUCKETS, np.array([1, 8, 1]), np.array([1, 1, 8])) == "median 9.79 before, 98.9 now"


def test_a_change_that_leaves_the_median_where_it_was_names_the_numbers_that_came_or_went():
    words = words_of_numbers(BUCKETS, np.array([30, 60, 10]), np.array([5, 60, 35]))
    assert words == "about 0: 30.0 % of rows before, 5.0 % now"
