"""A draft's category where no column is named one: few words that many items share, told as unsure."""

import csv
import tomllib
from pathlib import Path

import pytest

from flows.sources.drafting import draft_source

_SHELVES = ("Tea & Coffee", "Mugs", "Kettles", "Livres")


def _draft(folder: Path, name: str, words: tuple[str, ...]) -> str:
    with (folder / "articles.csv").open("w", newline="") as text:
        rows = [[f"S{n:03}", f"Thing number {n}", words[n % len(words)], 3 + n / 7] for n in range(40)]
        csv.writer(text).writerows([["sku", "label", name, "price"], *rows])
    with (folder / "sales.csv").open("w", newline="") as text:
        rows = [[f"2026-01-{n % 28 + 1:02} 10:00:00", f"c{n % 9}", f"S{n % 40:03}", n % 3 + 1] for n in range(90)]
        csv.writer(text).writerows([["sold_at", "customer", "sku", "qty"], *rows])
    return draft_source([str(folder / name) for name in ("articles.csv", "sales.csv")], "shop", folder).text


def test_few_words_that_many_items_share_are_drafted_as_the_category_and_told_as_unsure(tmp_path: Path):
    text = _draft(tmp_path, "regal", _SHELVES)
    assert tomllib.loads(text)["items"]["columns"]["category"] == "regal"
    assert "unsure: no name says so, but 40 items share its 4 words" in text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("colour", ("red", "green", "blue")),
        ("regal", ("A-17", "A-18", "B-02")),
        ("regal", ("yes", "no")),
        ("company", ("Acme Works", "Bolt Brothers", "Curio Makers")),
        ("regal", tuple(f"word{'s' * n}" for n in range(20))),
    ],
    ids=["colours", "codes", "a flag", "makers", "too many"],
)
def test_words_that_sort_items_by_something_else_are_no_category(tmp_path: Path, name: str, words: tuple[str, ...]):
    assert "category" not in tomllib.loads(_draft(tmp_path, name, words))["items"]["columns"]
