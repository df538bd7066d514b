"""Which columns of an export name kinds of things: categories, departments, levels of these."""

import re
from collections.abc import Collection, Sequence

from flows.connection import quoted
from flows.sources.column_profile import ColumnProfile
from flows.sources.roles import plain_name

_CATEGORY_NAMES = (
    "category", "categories", "subcategory", "genre", "genres", "department", "aisle", "subclass", "commodity",
    "warengruppe", "kategorie", "categorie", "categoria", "rubrik",
)  # fmt: skip

_LEVELS = r"(category_)?(level|lvl|l)_?\d"
#: A kind in short or run together: cat_id, cate, sub_cat, categoryid.
_SHORT = r"(\w+_)?(cat|cate|subcat|(sub)?category)(_?(id|no|code|name))?"
#: A path of kinds in words, cut by dots.
_DOTTED = re.compile(r"[^\W\d_][\w-]*(\.[^\W\d_][\w-]*)*")
#: Words in the names of columns that sort other things: colours, places, people.
_NO_KINDS = {
    "colour", "color", "city", "state", "country", "region", "user", "customer", "age", "member", "store", "shipping",
    "device", "browser",
}  # fmt: skip
_CATEGORY_ENDINGS = ("product_type", "product_line", "group_name", "type_name", "class", "class_name", "_style")


def kinds_among(every: Sequence[ColumnProfile], titles: Collection[ColumnProfile] = ()) -> list[ColumnProfile]:
    """Up to three columns that name categories, broad ones first; one with words rather than numbers."""
    found: list[ColumnProfile] = []
    for column in every:
        name = plain_name(column.name)
        parts = {part.rstrip("0123456789") for part in name.split("_")}
        fits = parts & set(_CATEGORY_NAMES) or name.endswith(_CATEGORY_ENDINGS)
        fits = fits or re.fullmatch(f"{_LEVELS}|{_SHORT}", name)
        if (
            fits
            and not parts & _NO_KINDS
            and not _is_flag(column)
            and column.kind in ("text", "list", "whole")
            and column not in titles
            and column not in found
        ):
            found.append(column)
    telling = [column for column in found if column.distinct > 1]
    words = [column for column in telling or found if column.kind in ("text", "list")]
    english = [column for column in words if "english" in plain_name(column.name)]
    chosen = english or words or found
    lists = [column for column in chosen if column.kind == "list"]
    if len({re.sub(r"\d+$", "", column.name) for column in chosen}) == 1:
        return lists[:1] or sorted(chosen, key=lambda column: column.name)[:3]  # numbered through, the broadest first
    return lists[:1] or _broad_ones_first(chosen)[:3]


def _broad_ones_first(columns: Sequence[ColumnProfile]) -> list[ColumnProfile]:
    """Columns of kinds, those with few values first; a subcategory never before its category."""
    above = {plain_name(column.name).replace("_", ""): column.distinct for column in columns}

    def breadth(column: ColumnProfile) -> float:
        name = plain_name(column.name).replace("_", "")
        return max(column.distinct, above[name.replace("sub", "")] + 0.5 if above.get(name.replace("sub", "")) else 0)

    return sorted(columns, key=lambda column: breadth(column) if "sub" in plain_name(column.name) else column.distinct)


def path_of(column: ColumnProfile) -> str:
    """SQL of a category whose words are paths cut by dots, `electronics.audio`; '' for any other."""
    words = column.words if column.kind == "text" else set()
    dotted = sum("." in word for word in words)
    if not dotted or 2 * dotted < len(words) or not all(_DOTTED.fullmatch(word) for word in words):
        return ""
    return f"replace({quoted(column.name)}, '.', ' > ')"


def _is_flag(column: ColumnProfile) -> bool:
    return 0 < column.distinct <= 2 and {word.lower() for word in column.words} <= {"y", "n", "0", "1", "true", "false"}
