"""A log of pages is drafted as what was looked at: the item stands within the address."""

from pathlib import Path

import pytest

from flows.settings import Settings
from tests.flows.drafted_folder import draft_folder, rehearse_draft, write_rows

_ITEMS = 25


def _shop(folder: Path, before: str, word: str) -> None:
    """A catalogue, what was bought of it, and a log of pages of which every third is of a thing."""
    write_rows(folder / "products.csv", [{"id": f"{n}", "name": f"Tea no {n}", "price": "2.5"} for n in range(_ITEMS)])
    bought = [{"order_id": f"{n // 2}", "user_id": f"u{n % 7}", "product_id": f"{n % _ITEMS}",
               "created_at": f"2026-10-{1 + n % 9:02} 10:00:00"} for n in range(60)]  # fmt: skip
    write_rows(folder / "order_items.csv", bought)
    pages = [("/", "home"), ("/category/4", "list"), (f"{before}%", word)]
    log = [{"session_id": f"s{n // 6}", "user_id": f"u{n % 7}" if n % 5 else "",
            "created_at": f"2026-10-{1 + n % 9:02} 09:{n % 60:02}:00", "uri": page.replace("%", f"{n % _ITEMS}?ref=a"),
            "event": said} for n in range(60) for page, said in pages]  # fmt: skip
    write_rows(folder / "log.csv", log)


@pytest.mark.parametrize("before", ["/product/", "https://shop.example/en/p/"])
def test_pages_of_things_that_the_catalogue_has_are_views_of_them(settings: Settings, tmp_path: Path, before: str):
    _shop(tmp_path, before, "page")
    text, mapping = draft_folder(tmp_path)
    bought, looked = mapping["events"]
    assert bought["columns"]["item_id"] == "product_id"
    assert looked["columns"]["event_type"] == "'view'"
    assert f"addresses that begin with {before} has the catalogue's items" in text
    events = rehearse_draft(settings, tmp_path, text)["events"]
    assert not events.held
    assert {pair.after["item_id"] for pair in events.pairs} <= {str(number) for number in range(_ITEMS)}
    assert {pair.after["event_type"] for pair in events.pairs} == {"view", "purchase"}


def test_what_a_word_says_was_done_on_such_a_page_stays(tmp_path: Path):
    _shop(tmp_path, "/product/", "add_to_cart")
    looked = draft_folder(tmp_path)[1]["events"][1]
    assert looked["columns"]["event_type"] == "event"


def test_a_log_whose_addresses_have_no_items_of_the_catalogue_is_left_out(tmp_path: Path):
    _shop(tmp_path, "/help/article-", "page")
    text, mapping = draft_folder(tmp_path)
    assert isinstance(mapping["events"], dict)
    assert "# Not used: log.csv" in text
