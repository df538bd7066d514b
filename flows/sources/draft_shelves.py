"""A column whose few words sort the catalogue, where no column says by its name that it does."""

import re

from flows.sources.column_profile import ColumnProfile
from flows.sources.file_guess import FileGuess
from flows.sources.roles import guess_roles, plain_name

#: Words in the names of columns that sort items by something else than what they are.
_NO_SHELVES = {
    "colour", "color", "size", "gender", "sex", "age", "status", "state", "active", "currency", "unit", "uom", "season",
    "material", "fabric", "supplier", "vendor", "seller", "manufacturer", "maker", "brand", "publisher", "author",
    "artist", "director", "actor", "language", "country", "city", "region", "location", "store", "shop", "warehouse",
    "stock", "availability", "available", "condition", "tax", "vat", "rating", "year", "date", "time", "weight", "pack",
    "package", "packaging", "origin", "price", "visibility", "shipping", "delivery", "image", "url", "link", "user",
    "customer", "discount", "promo", "campaign", "source", "channel", "device", "flag", "code", "barcode", "ean", "id",
    "format", "description", "title", "name", "label", "note", "comment", "owner", "created", "updated", "by",
    "license", "company", "designer", "producer",
}  # fmt: skip
#: A shelf has at least so many items on average, and a catalogue no more shelves than that.
_ITEMS_A_SHELF, _SHELVES = 4, 200
_WORDS = re.compile(r"[^\W\d_][^\d_;|/@<>{}\[\]]{2,39}")


def shelf_among(items: FileGuess) -> ColumnProfile | None:
    """The first column of a catalogue whose few words many items share, and that is taken for nothing else."""
    roles = guess_roles(items.sample.columns, ("brand", "image")) | items.roles
    taken = {guess.column.name for guess in roles.values()}
    return next((column for column in items.sample.columns if column.name not in taken and _is_shelf(column)), None)


def _is_shelf(column: ColumnProfile) -> bool:
    if column.kind != "text" or column.markup or column.nulls * 5 > column.rows:
        return False
    if set(plain_name(column.name).split("_")) & _NO_SHELVES:
        return False
    few = 3 <= column.distinct <= min(_SHELVES, column.filled // _ITEMS_A_SHELF)
    return few and bool(column.words) and all(_WORDS.fullmatch(word) for word in column.words)
