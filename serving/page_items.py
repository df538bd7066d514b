"""What the storefront shows of an item: a tile in its category's colour, a price, and how the slate changed."""

import zlib
from dataclasses import dataclass
from datetime import datetime

from feature_repo.prices import price_digits
from feature_repo.slate_rules import SEPARATOR
from serving.catalogue import Item
from serving.contract import SlateItem
from serving.history import Interaction
from serving.reasons import readable
from serving.release import Release

HUES = 12
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "CNY": "¥"}
_DEEDS = {
    "view": "Looked at",
    "add_to_cart": "In basket",
    "purchase": "Bought",
    "like": "Liked",
    "share": "Shared",
    "follow": "Followed",
    "review": "Reviewed",
}


@dataclass(frozen=True)
class Card:
    """One item as the page draws it.

    `tag` names it to the browser; `move` is 'new', 'up', 'down' or '', and `places` how far.
    """

    item_id: str
    title: str
    category: str
    brand: str
    price: str
    letter: str
    hue: int
    tag: int
    text: str = ""
    kind: str = ""
    move: str = ""
    places: int = 0


def card(item: SlateItem, before: list[str]) -> Card:
    """Draw one place of a slate; `before` holds the item ids of the slate before, none for a first look."""
    move, places = _move(item, before)
    return _draw(
        Item(item.item_id, item.title, item.category, item.brand, item.price, item.currency),
        text=item.reason.text,
        kind=item.reason.kind,
        move=move,
        places=places,
    )


def history_entry(entry: Interaction, release: Release, now: datetime) -> Card:
    """Draw one interaction of a history, its day in the time zone of `now`; its item is in the release."""
    item = release.catalogue.items[release.catalogue.index[entry.item_id]]
    when = datetime.fromtimestamp(entry.event_time, now.tzinfo)
    day = "just now" if (now - when).total_seconds() < 600 else f"{when.day} {when:%b %Y}"
    return _draw(item, text=f"{_DEEDS.get(entry.event_type, entry.event_type)} · {day}", kind=entry.event_type)


def changes(cards: list[Card]) -> str:
    """Say in words how the slate changed."""
    new = sum(each.move == "new" for each in cards)
    moved = sum(each.move in ("up", "down") for each in cards)
    if not new and not moved:
        return "The slate stays as it was."
    counts = [f"{new} new in the slate" if new else "", f"{moved} moved" if moved else ""]
    return ", ".join(count for count in counts if count) + "."


def _move(item: SlateItem, before: list[str]) -> tuple[str, int]:
    if not before:
        return "", 0
    if item.item_id not in before:
        return "new", 0
    rise = before.index(item.item_id) + 1 - item.rank
    return ("up" if rise > 0 else "down" if rise < 0 else ""), abs(rise)


def _draw(item: Item, text: str, kind: str, move: str = "", places: int = 0) -> Card:
    parts = [readable(part) for part in (item.category or "").split(SEPARATOR) if part]
    shelf = parts[1] if len(parts) > 1 else parts[0] if parts else ""
    return Card(
        item_id=item.item_id,
        title=readable(item.title),
        category=shelf,
        brand=readable(item.brand or ""),
        price=_price(item),
        letter=_letter(item.title),
        hue=zlib.crc32((shelf or item.title).encode()) % HUES,
        tag=zlib.crc32(item.item_id.encode()),
        text=text,
        kind=kind,
        move=move,
        places=places,
    )


def _letter(title: str) -> str:
    return next((character.upper() for character in title if character.isalnum()), "·")


def _price(item: Item) -> str:
    amount, symbol = price_digits(item.price, item.currency), _SYMBOLS.get(item.currency or "")
    return f"{symbol}{amount}" if symbol and amount else f"{amount} {item.currency or ''}".strip() if amount else ""
