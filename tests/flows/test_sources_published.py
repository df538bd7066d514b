"""Drafts of exports in the forms in which data sets are published: bare columns, owners of things, odd names."""

from pathlib import Path
from typing import Any

import pytest

from flows.settings import Settings
from flows.sources.mapping_keys import ExportRejected
from tests.flows.test_sources_guessed import _DAYS, _draft, _try


def _bare(folder: Path, file: str, rows: list[str]) -> dict[str, Any]:
    """The drafted events of a file of these lines, without a header."""
    (folder / file).write_text("\n".join(rows) + "\n")
    return dict(_draft(folder)[1]["events"])


def test_things_may_stand_before_people_whose_ids_say_so(tmp_path: Path):
    rows = [f"B00{n % 41:07},A3F{n % 37:011},{n % 5 + 1}.0,{1_400_000_000 + n * 90_000}" for n in range(300)]
    columns = _bare(tmp_path, "All_Tools.csv", rows)["columns"]
    assert (columns["item_id"], columns["user_id"], columns["event_type"]) == ("column1", "column2", "'review'")


def test_a_number_that_is_always_the_same_is_no_rating(tmp_path: Path):
    rows = [f"{n % 23}\tv{n % 41}\tcafe {n % 41}\t-240\t{_DAYS[n % 28]}" for n in range(200)]
    assert _bare(tmp_path, "NYC_2012.txt", rows)["columns"]["event_type"] == "'view'"


def test_two_words_in_many_rows_are_kinds_of_rows_and_no_users(tmp_path: Path):
    rows = [f"{('Head', 'Line')[n % 2]}|{4_496_000 + n // 2}|{n % 29}|{n % 5}" for n in range(200)]
    assert _bare(tmp_path, "details.csv", rows)["columns"]["user_id"] != "column1"


def test_lines_that_nothing_cuts_are_told_to_be_no_events(tmp_path: Path):
    rows = [f" {n % 60:05} 1997{n % 12 + 1:02}{n % 28 + 1:02}  {n % 4}  {n % 40}.31" for n in range(120)]
    (tmp_path / "master.txt").write_text("\n".join(rows))
    with pytest.raises(ExportRejected, match="No file seems to tell what users did"):
        _draft(tmp_path)


def test_the_title_of_a_bare_catalogue_is_what_differs_most(settings: Settings, tmp_path: Path):
    (tmp_path / "shop_info.txt").write_text("".join(f"{n},Graz,8{n % 3},Cafe {n // 2}\n" for n in range(90)))
    rows = [f"{n % 31},{n % 90},{_DAYS[n % 28]}" for n in range(200)]
    (tmp_path / "user_pay.txt").write_text("\n".join(rows) + "\n")
    text, mapping = _draft(tmp_path)
    assert mapping["items"]["columns"]["title"] == "column4"
    assert "unsure: the first column of words that differ" in text
    assert mapping["events"]["columns"]["event_type"] == "'purchase'"
    assert _try(settings, tmp_path, text)["events"].rows_held == 0
