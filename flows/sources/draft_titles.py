"""What a shopper reads of an item in a drafted catalogue: its title or words, or its maker and kind without them."""

import re
from collections.abc import Sequence

from flows.connection import quoted
from flows.sources.column_profile import ColumnProfile
from flows.sources.draft_ids import item_of_events, own_id
from flows.sources.draft_kinds import kinds_among
from flows.sources.draft_links import Lookup
from flows.sources.draft_privacy import names_persons
from flows.sources.draft_times import Drafted
from flows.sources.file_guess import FileGuess
from flows.sources.roles import guess_roles, plain_name

_LIKELY = (
    "product_name", "item_name", "title", "prod_name", "name", "description", "product_title", "product_display_name",
    "headline", "caption", "sub_commodity_desc",
)  # fmt: skip
#: Words, and the share of a column's values that are such, where it has words rather than codes.
_WORD, _MOST = r"[^\W\d_][^\d]+", 0.8


def titles_of(items: FileGuess, names: dict[str, ColumnProfile]) -> list[ColumnProfile]:
    """The columns that may be an item's title, the likeliest first; where people are told of, a `name` is theirs."""
    titles = [names[name] for name in _LIKELY if name in names and names[name].kind == "text"]
    named = guess_roles(items.sample.columns, ("title",)) | items.roles
    if names_persons(items):
        titles = [column for column in titles if plain_name(column.name) != "name"]
        named = {role: guess for role, guess in named.items() if plain_name(guess.column.name) != "name"}
    if "title" in named:
        titles.insert(0, named["title"].column)
    return titles


def title_of(
    items: FileGuess, lookups: Sequence[Lookup], titles: Sequence[ColumnProfile], from_events: bool
) -> Drafted | None:
    """The column title: the likeliest of `titles`, else the item's own words, else its maker, kind and number."""
    if titles:
        title = f"plain_text({quoted(titles[0].name)})" if titles[0].markup else titles[0].name
        told = items.roles["title"].said if "names" in items.sample.keys and "title" in items.roles else ""
        return "title", title, told or "likely: what a shopper reads, by its name and words"
    if from_events and (named := _named_by_words(items)):
        return "title", named, "likely: the item is named by words"
    return _of_maker_and_kind(items, lookups)


def _named_by_words(items: FileGuess) -> str:
    """SQL of the events' item where it is words, which can be read as its title; '' where it is a code."""
    _, made, _ = item_of_events(items, items.roles)
    named = items.roles["item_id"].column.name if "item_id" in items.roles else made
    column = next((each for each in items.sample.columns if each.name == named and each.kind == "text"), None)
    words = (column.words or {items.sample.examples.get(named, "")}) if column else set()
    return made if words and all(re.fullmatch(_WORD, word) for word in words) else ""


def _of_maker_and_kind(items: FileGuess, lookups: Sequence[Lookup]) -> Drafted | None:
    """A title of an item's maker and kind, if one of them is told in words, and its number."""
    every = [*items.sample.columns, *(column for each in lookups for column in each.columns())]
    examples = {name: value for each in lookups for name, value in each.guess.sample.examples.items()}
    examples |= items.sample.examples
    item = items.roles["item_id"].column if "item_id" in items.roles else None
    within = {*items.sample.counted, *items.sample.numbered, *items.sample.pages}
    makers = [each.column for each in guess_roles(every, ("brand",)).values() if _has_words(each.column, examples)]
    maker = next((each for each in makers if "store" not in plain_name(each.name).split("_")), None)
    kind = next((each for each in reversed(kinds_among(every)) if _has_words(each, examples)), None)
    told = [each.name for each in (maker, kind) if each]
    if item is None or item.name in within or not told:
        return None
    parts = ", ".join(quoted(each.name) if each else "null" for each in (maker, kind))
    why = f"unsure: no column has titles; made of {', '.join(told)} and {item.name}"
    return "title", f"title_of({parts}, {own_id(item, True)})", why


def _has_words(column: ColumnProfile, examples: dict[str, str]) -> bool:
    """Whether a column has words that can be read: no codes, and no long text."""
    words = (column.words or {examples.get(column.name, "")}) if column.kind == "text" else set()
    return sum(bool(re.fullmatch(_WORD, word)) for word in words) >= _MOST * max(1, len(words))
