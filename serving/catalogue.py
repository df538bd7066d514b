"""The items of a release in vocabulary order, and which of them a request allows.

Index i + 1 of the model's vocabulary is row i of the catalogue; index 0 is padding.
"""

import gzip
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson

from feature_repo.slate_rules import SEPARATOR, brand_key, category_key


@dataclass(frozen=True)
class Conditions:
    """What a request asks of the items of its slate; None and empty ask nothing."""

    exclude: tuple[str, ...] = ()
    category: str | None = None
    brand: str | None = None
    min_price: float | None = None
    max_price: float | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One item as a shopper sees it."""

    item_id: str
    title: str
    category: str | None
    brand: str | None
    price: float | None
    currency: str | None


@dataclass(frozen=True)
class Catalogue:
    """All items (`items[0]` is padding), and arrays over the vocabulary of length n + 1 to choose among them.

    Items of one title, in any case, share a title id: the index of the first of them. `currency` is that of items,
    and of filters, which name none.
    """

    items: tuple[Item, ...]
    index: dict[str, int]
    available: npt.NDArray[np.bool_]
    available_count: int
    prices: npt.NDArray[np.float64]
    title_ids: list[int]
    by_category: dict[str, npt.NDArray[np.int32]]
    by_brand: dict[str, npt.NDArray[np.int32]]
    by_currency: dict[str, npt.NDArray[np.int32]]
    currency: str | None


def read_catalogue(path: Path, currency: str | None = None) -> Catalogue:
    """Read `items.jsonl.gz`; `currency` is that of items which name none.

    Raises ValueError with the line when it is not as a release writes it.
    """
    items = [Item("", "", None, None, None, None)]
    available, texts = [False], dict[str, str]()
    for number, line in enumerate(gzip.decompress(path.read_bytes()).splitlines(), start=1):
        try:
            row = orjson.loads(line)
            items.append(_item(row, texts, currency))
            available.append(bool(row.get("available", True)))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path.name} line {number}: expected an item, but found {error!r}") from error
    index = {item.item_id: position for position, item in enumerate(items) if position}
    if len(index) != len(items) - 1:
        raise ValueError(f"{path.name}: expected each item_id once, but {len(items) - 1 - len(index)} come again")
    return Catalogue(
        items=tuple(items),
        index=index,
        available=np.array(available),
        available_count=sum(available),
        prices=np.array([np.nan if item.price is None else item.price for item in items]),
        title_ids=_title_ids(items),
        by_category=_positions([item.category for item in items], _category_paths),
        by_brand=_positions([item.brand for item in items], lambda brand: [brand_key(brand)]),
        by_currency=_positions([item.currency for item in items], lambda name: [name.upper()]),
        currency=currency,
    )


def allowed_items(
    catalogue: Catalogue, conditions: Conditions, shelf: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.bool_]:
    """Return a mask over the vocabulary (length n + 1): on the shelf, not excluded, and fitting every filter.

    `shelf` are the items that may be shown at all; the available ones when it is absent.
    """
    allowed = (catalogue.available if shelf is None else shelf).copy()
    for item_id in conditions.exclude:
        allowed[catalogue.index.get(item_id, 0)] = False
    if conditions.category is not None:
        allowed &= _mask(catalogue, catalogue.by_category, category_key(conditions.category))
    if conditions.brand is not None:
        allowed &= _mask(catalogue, catalogue.by_brand, brand_key(conditions.brand))
    priced = conditions.min_price is not None or conditions.max_price is not None
    currency = conditions.currency or (catalogue.currency if priced else None)
    if currency is not None:
        allowed &= _mask(catalogue, catalogue.by_currency, currency.upper())
    if conditions.min_price is not None:
        allowed &= catalogue.prices >= conditions.min_price
    if conditions.max_price is not None:
        allowed &= catalogue.prices <= conditions.max_price
    return allowed


def first_category(category: str | None) -> str | None:
    """Return the first part of a category path, None where there is none."""
    return category.split(SEPARATOR, 1)[0] if category else None


def _mask(catalogue: Catalogue, positions: dict[str, npt.NDArray[np.int32]], key: str) -> npt.NDArray[np.bool_]:
    mask = np.zeros(len(catalogue.items), np.bool_)
    mask[positions.get(key, np.empty(0, np.int32))] = True
    return mask


def _item(row: dict[str, object], texts: dict[str, str], currency: str | None) -> Item:
    # Many items share a category, a brand, a currency: one text of each is kept.
    price = row.get("price")
    return Item(
        item_id=str(row["item_id"]),
        title=str(row["title"]),
        category=_text(row.get("category"), texts),
        brand=_text(row.get("brand"), texts),
        price=None if price is None else round(float(price), 4),  # type: ignore[arg-type]
        currency=_text(row.get("currency"), texts) or currency,
    )


def _text(value: object, texts: dict[str, str]) -> str | None:
    return texts.setdefault(text, text) if (text := str(value or "").strip()) else None


def _title_ids(items: list[Item]) -> list[int]:
    first: dict[str, int] = {}
    return [first.setdefault(item.title.strip().casefold(), position) for position, item in enumerate(items)]


def _category_paths(category: str) -> list[str]:
    parts = category_key(category).split(SEPARATOR)
    return reduce(lambda paths, part: [*paths, paths[-1] + SEPARATOR + part if paths else part], parts, list[str]())


def _positions(names: list[str | None], found_by: Callable[[str], list[str]]) -> dict[str, npt.NDArray[np.int32]]:
    of_name: dict[str, list[int]] = defaultdict(list)
    for position, name in enumerate(names):
        if name:
            of_name[name].append(position)
    found: dict[str, list[int]] = defaultdict(list)
    for name, positions in of_name.items():
        for words in found_by(name):
            found[words] += positions
    return {words: np.sort(np.array(positions, np.int32)) for words, positions in found.items()}
