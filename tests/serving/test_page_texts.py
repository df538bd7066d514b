"""What the page says of items whose catalogue is not in English, not in categories, or not in dollars."""

import re
from dataclasses import replace
from pathlib import Path

from serving.release import Release
from tests.serving.test_storefront import page_of
from tests.serving.tiny_shop import MILK


def changed(release: Release, **values: object) -> Release:
    items = [replace(item, **values) for item in release.catalogue.items]
    return replace(release, catalogue=replace(release.catalogue, items=tuple(items)))


def test_an_item_without_a_category_does_not_say_its_title_twice(release: Release, tmp_path: Path):
    shelves = re.findall(r'<span class="shelf"[^>]*>(.*?)</span>', page_of(changed(release, category=None), tmp_path))
    assert {re.sub("<.*?>", "", shelf) for shelf in shelves} == {"", "Maker"}
    with_both = page_of(release, tmp_path)
    assert "<bdi>Dairy</bdi> · <bdi>Maker</bdi>" in with_both


def test_a_title_that_reads_from_the_right_turns_no_words_around_it(release: Release, tmp_path: Path):
    title = "חלב 3% (תנובה)"
    page = page_of(changed(release, title=title), tmp_path, clicked=MILK, deed="view", was="i02", similar=MILK)
    for form in ('<span class="title" dir="auto">{}', '<strong dir="auto">{}', "<bdi>{}</bdi></strong>.", "to <bdi>{}"):
        assert form.format(title) in page


def test_each_button_says_of_which_item_it_is(release: Release, tmp_path: Path):
    page = page_of(release, tmp_path)
    for label in ("Add Milk", "Buy Milk", "Similar to Milk"):
        assert f'aria-label="{label}"' in page


def test_a_price_in_the_history_has_the_sign_that_it_has_in_the_slate(release: Release, tmp_path: Path):
    history = re.search(r'<ol class="history">.*?</ol>', page_of(release, tmp_path), re.DOTALL)
    assert history is not None
    assert '<span class="price">$1.24</span>' in history.group()
