"""A small made shop in which the right answer is known: the article's own case.

Style-and-technology users live in a two-week rhythm. In a quiet week they buy a book and a cosmetic, browse
electronics, books and clothing, and like a fashion blogger's outfit. In the week after they buy the next device
and the next garment, along one fixed order of each. Gardeners and cooks live by other orders. Some
electronics and fashion items (and some garden ones) are cold: nobody ever touched them, only their text speaks.

User A has just finished a quiet week: what comes next is electronics and fashion.
"""

import csv
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2026, 1, 5, tzinfo=UTC)
WEEKS = 16
USER_A = "user-a"

CATALOGUE = {
    "Electronics": (
        "Wireless headphones", "Noise cancelling earbuds", "Bluetooth speaker", "Smart watch", "Fitness tracker",
        "Tablet computer", "Laptop computer", "Laptop docking station", "Mirrorless camera", "Camera lens",
        "Phone charger", "Power bank",
    ),
    "Fashion": (
        "Linen blazer", "Silk blouse", "Pleated skirt", "Wool coat", "Denim jacket", "Leather belt",
        "Summer dress", "Ankle boots", "Cashmere scarf", "Tailored trousers", "Cotton shirt", "Evening gown",
    ),
    "Books": ("Mystery novel", "Poetry collection", "Travel guide", "History book", "Science essays", "Biography"),
    "Cosmetics": ("Lipstick", "Mascara", "Face cream", "Perfume", "Nail polish", "Eye shadow palette"),
    "Garden": (
        "Garden hose", "Lawn mower", "Rose fertiliser", "Watering can", "Pruning shears", "Wheelbarrow",
        "Flower pots", "Hedge trimmer",
    ),
    "Kitchen": (
        "Frying pan", "Chef knife", "Cutting board", "Stock pot", "Baking tray", "Rolling pin",
        "Mixing bowl", "Measuring spoons",
    ),
}  # fmt: skip
COLD = {
    "Electronics": ("Wireless gaming headphones", "Portable bluetooth speaker", "Digital camera"),
    "Fashion": ("Velvet blazer", "Silk evening dress", "Wool winter coat"),
    "Garden": ("Leaf rake", "Garden spade", "Hose reel"),
    "Kitchen": ("Bread knife", "Saucepan", "Cake tin"),
}
OUTFIT = ("outfit-1", "Fashion blogger's summer outfit: blazer, blouse and skirt", "Fashion")


def item_id(category: str, position: int) -> str:
    """Name the item at a position of a category's order; cold items follow the others."""
    return f"{category.lower()}-{position + 1}"


def categories_by_item() -> dict[str, str]:
    """Return item_id → category, cold items included."""
    return {row["item_id"]: row["category"] for row in _item_rows()}


def cold_items() -> set[str]:
    """Return the items that no event names."""
    return {
        item_id(category, len(CATALOGUE[category]) + number)
        for category, titles in COLD.items()
        for number in range(len(titles))
    }


def write_shop(folder: Path, crowd: int = 150) -> Path:
    """Write events.csv, items.csv and the mapping planted.toml to a folder; return the mapping's path."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_csv(folder / "items.csv", _item_rows())
    _write_csv(folder / "events.csv", _event_rows(crowd))
    mapping = folder / "planted.toml"
    mapping.write_text(MAPPING)
    return mapping


def _write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _item_rows() -> list[dict[str, str]]:
    rows = []
    for category, titles in CATALOGUE.items():
        for position, title in enumerate((*titles, *COLD.get(category, ()))):
            rows.append({"item_id": item_id(category, position), "title": title, "category": category})
    rows.append(dict(zip(("item_id", "title", "category"), OUTFIT, strict=True)))
    return [row | {"price": f"{5 + 3 * number % 90}.50"} for number, row in enumerate(rows)]


def _event_rows(crowd: int) -> list[dict[str, str]]:
    chance = random.Random(7)
    rows: list[dict[str, str]] = []
    for number in range(crowd):
        lifestyle = ("style", "style", "garden", "kitchen")[number % 4]
        user = f"user-{number}"
        starts = [chance.randrange(24) for _ in CATALOGUE]
        for week in range(WEEKS):
            rows += _week(user, lifestyle, week + number // 4 % 2, starts, week, chance)
    # A's last week is a quiet one (phase 0).
    starts = [3, 5, 1, 2, 0, 0]
    for week in range(WEEKS):
        rows += _week(USER_A, "style", week + (WEEKS - 1) % 2, starts, week, chance)
    return sorted(rows, key=lambda row: (row["time"], row["user"], row["item"]))


def _week(
    user: str, lifestyle: str, phase: int, starts: list[int], week: int, chance: random.Random
) -> list[dict[str, str]]:
    step = {category: start + phase // 2 for category, start in zip(CATALOGUE, starts, strict=True)}
    if lifestyle == "style" and phase % 2 == 0:
        plan = [
            ("Books", "purchase"), ("Cosmetics", "purchase"),
            ("Electronics", "view"), ("Books", "view"), ("Fashion", "view"), ("Outfit", "like"),
        ]  # fmt: skip
    elif lifestyle == "style":
        plan = [("Electronics", "purchase"), ("Fashion", "purchase")]
    else:
        plan = [(lifestyle.title(), "view"), (lifestyle.title(), "purchase")]
    day = START + timedelta(weeks=week, days=chance.randrange(7), hours=8 + chance.randrange(10))
    rows = []
    for minute, (category, kind) in enumerate(plan):
        item = OUTFIT[0] if category == "Outfit" else item_id(category, step[category] % len(CATALOGUE[category]))
        rows.append(_row(user, item, kind, day + timedelta(minutes=minute)))
    return rows


def _row(user: str, item: str, kind: str, moment: datetime) -> dict[str, str]:
    return {
        "time": moment.strftime("%Y-%m-%d %H:%M:%S"),
        "user": user,
        "item": item,
        "action": kind,
        "visit": f"visit-{random.Random(user).randrange(10**9)}-{moment:%Y%m%d}",
        "price": "9.50" if kind == "purchase" else "",
    }


MAPPING = """
source = "planted"
title = "The planted shop"
window = "month"
currency = "EUR"
channel = "web"

[events]
files = "events.csv"
format = "csv"
event_id = ["user_id", "event_time", "event_type", "item_id"]
[events.columns]
event_time = "time"
user_id = "user"
item_id = "item"
event_type = "action"
session_id = "visit"
basket_id = "case when action = 'purchase' then visit end"
quantity = "case when action = 'purchase' then 1 end"
unit_price = "price"

[items]
files = "items.csv"
format = "csv"
[items.columns]
item_id = "item_id"
title = "title"
category = "category"
price = "price"
"""
