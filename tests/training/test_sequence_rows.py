"""Odd rows of interactions and items: times of every unit, rows that stand twice or lack something, categories."""

import numpy as np
import pandas as pd
import pytest

from tests.training.walks import catalogue, cycle_rows
from training.leave_one_out import read_sequences
from training.sequence_rows import seconds

START = 1_300_022_400


def hours_of_some_days() -> pd.DataFrame:
    """Every user has six rows a day, one every hour, beginning in the year 2011."""
    rows = cycle_rows(users=12, length=18)
    return rows.assign(ts=START + 86_400 * (rows["pos"] // 6) + 3600 * (rows["pos"] % 6)).drop(columns="pos")


def moments(ts: pd.Series) -> pd.Series:
    return pd.to_datetime(ts, unit="s")


TIMES = {
    "float seconds": lambda ts: ts.astype(float),
    "milliseconds": lambda ts: ts * 1000,
    "microseconds": lambda ts: ts * 10**6,
    "nanoseconds": lambda ts: ts * 10**9,
    "moments": moments,
    "moments to the microsecond": lambda ts: moments(ts).astype("datetime64[us]"),
    "moments with a zone": lambda ts: moments(ts).dt.tz_localize("UTC").dt.tz_convert("Asia/Kolkata"),
    "text": lambda ts: moments(ts).astype(str),
    "text as categories": lambda ts: moments(ts).astype(str).astype("category"),
    "Python's datetimes": lambda ts: pd.Series(list(moments(ts)), dtype=object),
}


@pytest.mark.parametrize("form", TIMES)
def test_times_of_every_form_give_the_sequences_of_seconds_in_order_and_shuffled_within_days(form: str) -> None:
    rows = hours_of_some_days()
    other = rows.assign(ts=TIMES[form](rows["ts"]))
    for tie in (None, 3):
        expected, came = (read_sequences(each, catalogue(), shuffle_ties=tie) for each in (rows, other))
        assert came.items.tolist() == expected.items.tolist()
    assert seconds(other["ts"]).tolist() == pytest.approx(rows["ts"].tolist())


def test_dates_as_text_are_days_and_a_text_that_is_none_is_named() -> None:
    assert seconds(pd.Series(["1970-01-02", "1970-01-03"])).tolist() == [86_400, 2 * 86_400]
    with pytest.raises(ValueError, match="soon"):
        seconds(pd.Series(["1970-01-02", "soon"]))


def test_small_numbers_stay_as_they_are_and_no_rows_are_no_seconds() -> None:
    assert seconds(pd.Series([0, 3, 86_400])).tolist() == [0, 3, 86_400]
    assert len(seconds(pd.Series([], dtype=np.int64))) == 0
