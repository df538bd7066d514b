"""What commands print of a shop's own words: whole, whatever signs are in them, for brackets are markup to Rich."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from feature_repo.slate_rules import read_rules_file
from flows.api_keys import new_key
from flows.commands.key import command as key_command
from flows.commands.recommend import named_by, print_slate
from flows.commands.release import print_difference
from flows.commands.replay import show_replayed
from flows.commands.rules import Moment, print_rules
from flows.commands.source import command as source_command
from flows.commands.source import show_mapping
from flows.demo_report import slate_table
from flows.release_difference import Change, Difference
from flows.sources.mapping import load_mapping
from tests.serving.tiny_shop import AS_OF, REGULAR

TITLES = ("The Matrix [dvd]", "Cable [/1m]", "Cup :cat:")
ANSWER = {
    "source": "personalised",
    "release_id": "r20180101-first",
    "as_of": "2018-01-01T00:00:00Z",
    "user": REGULAR,
    "rules_id": None,
    "notes": ["Read [/this] first."],
    "slate": [
        {
            "rank": rank,
            "item_id": f"i{rank}",
            "title": title,
            "category": "Films [/all] > Films [new]",
            "price": None,
            "currency": None,
            "reason": {"text": f"Similar to {title}."},
        }
        for rank, title in enumerate(TITLES, start=1)
    ],
}


@pytest.fixture
def page() -> Console:
    """A console that writes into memory."""
    return Console(file=io.StringIO(), width=200)


def _printed(page: Console) -> str:
    assert isinstance(page.file, io.StringIO)
    return page.file.getvalue()


def test_a_slate_has_titles_shelves_reasons_and_notes_whole(page: Console):
    print_slate(page, ANSWER)
    text = _printed(page)
    for title in TITLES:
        assert text.count(title) == 2, text
    assert "Films [new]" in text
    assert "Read [/this] first." in text


def test_the_slates_of_a_replay_and_of_the_demo_have_titles_whole(page: Console):
    show_replayed(page, {"answer": ANSWER, "made_by": ["model"] * len(TITLES)})
    page.print(slate_table("somebody", ANSWER))
    for title in TITLES:
        assert _printed(page).count(title) == 4


def test_rules_have_notes_brands_and_categories_whole(page: Console):
    rules = read_rules_file(
        '[[block]]\nbrand = "Nike [uk]"\nnote = "see [/shop/notes]"\n[[boost]]\ncategory = "Films [new]"\nplaces = 3\n'
    )
    print_rules(page, rules, Moment(AS_OF))
    for words in ("brand Nike [uk]", "see [/shop/notes]", "category Films [new]"):
        assert words in _printed(page)


def test_rules_have_days_whole_in_a_narrow_terminal():
    narrow = Console(file=io.StringIO(), width=60)
    pin = '[[pin]]\nitem = "1082185"\nplace = 1\nfrom = 2018-01-01\nuntil = 2018-01-14\n'
    print_rules(narrow, read_rules_file(pin), Moment(AS_OF))
    assert "…" not in _printed(narrow)


def test_a_difference_of_releases_has_titles_whole(page: Console):
    change = Change("items", f"3 items added: {', '.join(TITLES)}.")
    print_difference(page, Difference("r-a", "r-b", (change,), (), True))
    assert ", ".join(TITLES) in _printed(page)


def test_a_key_is_listed_by_its_whole_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AISLE_HOME", str(tmp_path))
    new_key(tmp_path / "keys" / "api_keys.json", "web shop [/uk]", ("read",), None, None)
    listed = CliRunner().invoke(key_command, ["list"], env={"COLUMNS": "160"})
    assert "web shop [/uk]" in listed.output, listed.output


def test_a_mapping_is_shown_with_its_title_whole(page: Console):
    show_mapping(replace(load_mapping("complete_journey"), title="Films [/dvd]"), page)
    assert "Films [/dvd]" in _printed(page)


def test_a_draft_names_its_file_whole(tmp_path: Path):
    export = tmp_path / "sales.csv"
    lines = [f"u{row % 7},p{row % 5},2026-11-{row % 28 + 1:02d} 10:00:00,purchase" for row in range(60)]
    export.write_text("\n".join(["user_id,item_id,event_time,event_type", *lines]))
    done = CliRunner().invoke(
        source_command, ["new", str(export), "--to", str(tmp_path / "shop [uk].toml")], env={"COLUMNS": "300"}
    )
    assert done.exit_code == 0, done.output
    assert "".join(done.output.split()).count("shop[uk].toml") == 2


@pytest.mark.parametrize(
    ("user", "by"), [(REGULAR, "pseudonym"), ("u_" + "customer number 12345678", "user_id"), ("1228", "user_id")]
)
def test_a_user_is_asked_for_by_the_pseudonym_where_it_is_one(user: str, by: str):
    assert named_by(user) == by
