"""Odd rows of interactions and items: times of every unit, rows that stand twice or lack something, categories."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.sequence_files import read_files
from tests.training.walks import catalogue, cycle_rows
from training.leave_one_out import read_sequences
from training.sequence_rows import clean_rows, seconds, titles

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
    "seconds as text": lambda ts: ts.astype(str),
    "milliseconds as text": lambda ts: (ts * 1000).astype(str),
    "decimals": lambda ts: ts.map(Decimal),
    "digits of a moment as text": lambda ts: moments(ts).dt.strftime("%Y%m%d%H%M%S"),
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
    with pytest.raises(ValueError, match=r"interactions.ts: expected seconds .* came \['soon'\]"):
        seconds(pd.Series(["1970-01-02", "soon", "later"]))


def test_small_numbers_stay_as_they_are_and_no_rows_are_no_seconds() -> None:
    assert seconds(pd.Series([0, 3, 86_400])).tolist() == [0, 3, 86_400]
    assert len(seconds(pd.Series([], dtype=np.int64))) == 0


def cleaned(rows: pd.DataFrame, items: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """The cleaned rows and items, and what was said."""
    said: list[str] = []
    return *clean_rows(rows, items, said.append), said


def test_sound_rows_are_given_back_as_they_are_and_nothing_is_said() -> None:
    rows, items, said = cleaned(cycle_rows(), catalogue())
    assert rows.equals(cycle_rows())
    assert items.equals(catalogue())
    assert said == []


def test_rows_that_stand_twice_and_rows_without_user_item_or_time_are_left_out_and_counted() -> None:
    rows = cycle_rows()
    lame = rows.iloc[:3].copy().astype({"user": object, "ts": float})
    lame.loc[0, "user"], lame.loc[1, "item"], lame.loc[2, "ts"] = None, None, np.nan
    came, _, said = cleaned(pd.concat([rows, lame, rows.iloc[:5]]), catalogue())
    assert read_sequences(came, catalogue()).items.tolist() == read_sequences(rows, catalogue()).items.tolist()
    assert said == [
        "3 interactions without user, item or time left out",
        "5 interactions left out that stood before",
    ]


def test_what_was_taken_again_within_one_time_stays_where_the_place_tells_the_order() -> None:
    again = pd.DataFrame({"user": 1, "item": ["i1", "i2", "i1"], "ts": 86_400, "pos": [0, 1, 2]})
    came = cleaned(pd.concat([again, again]), catalogue())[0]
    assert read_sequences(came, catalogue()).items.tolist() == [2, 3, 2]


def test_an_item_taken_twice_at_other_times_stays() -> None:
    rows = pd.concat([cycle_rows(), cycle_rows().assign(ts=lambda rows: rows["ts"] + 1)])
    assert len(cleaned(rows, catalogue())[0]) == len(rows)


@pytest.mark.parametrize("number", [False, True])
def test_items_that_the_file_lacks_are_appended_without_text_and_the_first_of_two_stays(number: bool) -> None:
    rows, items = cycle_rows(), catalogue().assign(title="tool")
    if number:
        rows, items = (each.assign(item=each["item"].str[1:].astype(int)) for each in (rows, items))
    twice = items.iloc[:1].assign(title="other")
    came, shown, said = cleaned(rows, pd.concat([items.iloc[:-2], twice, items.iloc[:1].assign(item=None)]))
    assert titles(shown) == ["tool"] * (len(items) - 2) + ["", ""]
    assert set(shown["item"]) == set(items["item"])
    assert [line.split()[0] for line in said] == ["2", "2"]
    expected = read_sequences(rows, items)
    assert read_sequences(came, shown).items.tolist() == expected.items.tolist()


def test_categories_and_files_without_titles_are_read_as_what_they_name() -> None:
    items = catalogue().assign(title=["tool", None] * 12)
    rows, shown, said = cleaned(
        cycle_rows().astype({"user": "category", "item": "category"}),
        items.astype({"item": "category", "title": "category"}),
    )
    assert read_sequences(rows, shown).items.tolist() == read_sequences(cycle_rows(), catalogue()).items.tolist()
    assert titles(shown) == ["tool", ""] * 12
    assert titles(catalogue()) == [""] * 24
    assert titles(catalogue().assign(title=["  ", " tool "] * 12)) == ["", "tool"] * 12
    assert said == []


def test_rows_without_a_user_that_nobody_cleaned_are_refused() -> None:
    with pytest.raises(ValueError, match="user"):
        read_sequences(cycle_rows().assign(user=None), catalogue())


def test_items_that_are_none_of_the_files_are_refused_and_not_appended() -> None:
    with pytest.raises(ValueError, match="none of them"):
        cleaned(cycle_rows(), catalogue().assign(item=range(24)))


@pytest.mark.parametrize("column", ["user", "item", "ts", "pos"])
def test_long_ids_of_files_with_one_null_are_read_to_the_last_digit(column: str, tmp_path: Path) -> None:
    rows, items = cycle_rows(), catalogue()
    rows["user"] += 10**18
    rows["item"], items["item"] = (frame["item"].str[1:].astype("int64") + 10**18 for frame in (rows, items))
    lame = rows.astype("Int64")
    lame.loc[0, column] = pd.NA
    for name, frame in (("rows", lame), ("items", items.astype("Int64").reindex(range(len(items) + 1)))):
        without_pandas_types = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        pq.write_table(without_pandas_types, tmp_path / f"{name}.parquet")
    came = read_sequences(*read_files(tmp_path / "rows.parquet", tmp_path / "items.parquet", [].append))
    expected = read_sequences(rows.iloc[0 if column == "pos" else 1 :], items)
    assert came.items.tolist() == expected.items.tolist()
    assert came.starts.tolist() == expected.starts.tolist()


def test_a_set_without_a_user_of_three_interactions_is_refused_with_the_number_of_users() -> None:
    with pytest.raises(ValueError, match="at least 3 interactions, came none of 60 users: leave-one-out needs"):
        read_sequences(cycle_rows(length=2), catalogue())


@pytest.mark.parametrize("items", [catalogue(), catalogue().assign(title=" "), catalogue().assign(text="tool")])
def test_files_whose_items_have_no_title_are_told(items: pd.DataFrame, tmp_path: Path) -> None:
    rows, some = cycle_rows(), catalogue().assign(title=["tool", *[None] * (len(catalogue()) - 1)])
    for name, frame in (("rows", rows), ("none", items), ("some", some)):
        frame.to_parquet(tmp_path / name)
    told: list[str] = []
    read_files(tmp_path / "rows", tmp_path / "none", told.append)
    assert told == ["items: expected a column title, came none with text in it: models learn nothing from text"]
    read_files(tmp_path / "rows", tmp_path / "some", told.append)
    assert len(told) == 1
