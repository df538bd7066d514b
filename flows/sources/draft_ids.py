"""Who did it and to what, in a drafted mapping of events; and which rows tell neither, so that they are left out."""

import json
import re

from flows.connection import literal, quoted
from flows.sources.column_profile import ColumnProfile
from flows.sources.draft_kinds import kinds_among
from flows.sources.draft_slots import slots_of
from flows.sources.draft_times import Drafted
from flows.sources.event_words import likely_meant_by
from flows.sources.file_guess import FileGuess
from flows.sources.roles import Guess, plain_name
from flows.sources.sample import COUNT_BEFORE

#: From this share on, rows without an item are no lines of goods but something else that happened.
_MANY = 0.2
#: From this share on, rows that name no deed are something else that was logged; fewer are faults, to be held.
_SOME = 0.05
#: Kinds of things from which on a category can stand in for items.
_KINDS = 3
#: Words in the names of columns with the numbers of kinds.
_CODES = {"cat", "cate", "subcat", "category", "subcategory"}
_MAKERS = {"brand", "company", "manufacturer"}


def own_id(column: ColumnProfile, within: bool = False) -> str:
    """The id as it is; without the .0 of a spreadsheet. `within` a longer expression its name wants quotes."""
    # The middle of two ids may lie half way between them.
    spread = (column.minimum, None if column.median is None else 2 * column.median, column.maximum)
    if column.kind == "number" and all(each is None or float(each).is_integer() for each in spread):
        return f"whole({quoted(column.name)})"
    return quoted(column.name) if within else column.name


def user_of_events(file: FileGuess, roles: dict[str, Guess], nobody: dict[str, str]) -> Drafted:
    """The column user_id: where some rows have none, by another id of the user, else by the visit as a guest.

    `nobody`: column of users → the id in it that stands for none.
    """
    visit = roles.get("session_id") or roles.get("basket_id")
    if "user_id" not in roles:
        if visit is None:
            return "user_id", "null::varchar", "MISSING: no column seems to name users: name it here"
        what = "session" if "session_id" in roles else "checkout"
        return "user_id", own_id(visit.column), f"likely: no column names users, so each {what} is one"
    guess = roles["user_id"]
    share = guess.column.nulls / guess.column.rows
    if none := nobody.get(guess.column.name):
        made = f"nullif({own_id(guess.column, True)}, {literal(none)})"
        made = f"coalesce({made}, 'guest ' || {quoted(visit.column.name)})" if visit else made
        return "user_id", made, f"{guess.said}; {none} comes so often that it stands for nobody"
    if other := _stand_in(file, guess):
        # Where the other one is in every row, one user would be two; unless it is the likelier that is the shop's id.
        known = guess.column.filled > 0 and (other.nulls > 0.02 * other.rows or guess.confidence != "unsure")
        ids = [own_id(guess.column, True), own_id(other, True)] if known else [own_id(other, True)]
        guests = f", 'guest ' || {quoted(visit.column.name)}" if visit and other.nulls else ""
        made = f"coalesce({', '.join(ids)}{guests})" if len(ids) > 1 or guests else own_id(other)
        return "user_id", made, f"{guess.said}; {share:.0%} have none: there {other.name} stands in"
    if guess.column.nulls and visit:
        made = f"coalesce({own_id(guess.column, True)}, 'guest ' || {quoted(visit.column.name)})"
        return "user_id", made, f"{guess.said}; {share:.0%} have none: such a visit is a guest of its own"
    return "user_id", own_id(guess.column), guess.said


def item_of_events(file: FileGuess, roles: dict[str, Guess]) -> Drafted:
    """The column item_id: an id, out of a cell with its count, by a name where the id lacks, or a kind of things."""
    if "item_id" not in roles:
        kinds = [each for each in kinds_among(file.sample.columns) if each.kind == "text" and each.distinct >= _KINDS]
        if kinds:
            why = f"unsure: no column names items; {kinds[-1].name} is the nearest, so kinds of things are recommended"
            return "item_id", kinds[-1].name, why
        return _kinds_by_number(file) or ("item_id", "null::varchar", _why_no_item(file))
    guess = roles["item_id"]
    if guess.column.name in file.sample.counted:
        made = f"regexp_replace({quoted(guess.column.name)}, {literal(COUNT_BEFORE)}, '')"
        return "item_id", made, f"{guess.said}; how many stands before each"
    if guess.column.name in file.sample.numbered:
        meant, form = file.sample.numbered[guess.column.name]
        made = f"regexp_replace({quoted(guess.column.name)}, {literal(form)}, '')"
        return "item_id", made, f"{guess.said}; the number behind each is taken for its {meant.replace('_', ' ')}"
    if guess.column.name in file.sample.pages:
        return "item_id", item_on_page(guess.column.name, file.sample.pages[guess.column.name]), guess.said
    if _named_instead(roles):
        made = f"coalesce({own_id(guess.column, True)}, {quoted(roles['title'].column.name)})"
        share = guess.column.nulls / guess.column.rows
        return "item_id", made, f"{guess.said}; {share:.0%} have none: there the name stands in"
    return "item_id", own_id(guess.column), guess.said


def on_page(name: str, stem: str) -> str:
    """SQL for whether an address begins as those of things do."""
    return f"starts_with({quoted(name)}, {literal(stem)})"


def item_on_page(name: str, stem: str) -> str:
    """SQL for the thing whose page an address is: what stands behind its beginning."""
    return f"regexp_extract({quoted(name)}, {literal(f'^{re.escape(stem)}([^/?#]+)')}, 1)"


def _kinds_by_number(file: FileGuess) -> Drafted | None:
    """The column item_id of the numbers of kinds and of kinds within these, where things have none of their own."""
    parts = [each for each in file.sample.columns if each.kind == "whole" and _CODES & set(_parts(each))]
    parts = sorted([each for each in parts if each.distinct > 1], key=lambda each: "subcat" in plain_name(each.name))
    makers = [each for each in file.sample.columns if each.kind == "whole" and _MAKERS & set(_parts(each))]
    if not any("subc" in plain_name(each.name) for each in parts):
        # A kind of one maker is nearly a thing.
        parts = [*parts, *(each for each in makers if each.distinct > 1)] if parts and makers else []
    if not parts:
        return None
    why = "unsure: no column names items; numbers of kinds are the nearest, so kinds of things are recommended"
    return "item_id", " || '-' || ".join(quoted(each.name) for each in parts), why


def _parts(column: ColumnProfile) -> list[str]:
    return plain_name(column.name).split("_")


def counted_in_cell(file: FileGuess, roles: dict[str, Guess]) -> list[Drafted]:
    """The column quantity or unit_price where the item's own cell says it, like `2× Tea` or `Tea:3.50`; or none."""
    column = roles["item_id"].column if "item_id" in roles else None
    if column is None:
        return []
    where, (meant, form) = "begins", ("quantity", COUNT_BEFORE)
    if column.name in file.sample.numbered:
        where, (meant, form) = "ends", file.sample.numbered[column.name]
    elif column.name not in file.sample.counted:
        return []
    made = f"try_cast(regexp_extract({quoted(column.name)}, {literal(form)}, 1) as double)"
    return [(meant, made, f"likely: {column.name} {where} with it")]


def conditions_of_events(
    file: FileGuess, roles: dict[str, Guess], known: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """A condition (why, line of TOML) that leaves out rows which tell of no user's deed; none where all do.

    `known` are conditions (why, SQL) that are found already.
    """
    notes = [why for why, _ in known]
    conditions = [f"({condition})" if " or " in condition else condition for _, condition in known]
    item, user, price = (roles[name].column if name in roles else None for name in ("item_id", "user_id", "unit_price"))
    if file.sample.blank and (there := _always_filled(file, roles)):
        notes.append(f"{file.sample.blank:,} rows of the sample are empty")
        conditions.append(f"{quoted(there)} is not null")
    for name, stem in file.sample.pages.items():
        notes.append(f"pages of things alone, whose {name} begins with {stem}")
        conditions.append(on_page(name, stem))
    deed = roles["event_type"].column if "event_type" in roles else None
    deedless = deed.nulls if deed and deed.nulls >= _SOME * deed.rows else 0
    if deed and deedless:
        notes.append(f"{deedless / deed.rows:.0%} of the rows name no deed")
        conditions.append(f"{quoted(deed.name)} is not null")
    if item and item.nulls - deedless >= _MANY * item.rows and not _named_instead(roles):
        share = (item.nulls - deedless) / item.rows
        notes.append(f"{share:.0%} of the rows name no item; a search needs none (or event_type = 'search')")
        conditions.append(_item_or_search(item, deed if "text" in roles else None))
    guest = roles.keys() & {"session_id", "basket_id"} or (user and _stand_in(file, roles["user_id"]))
    if user and user.nulls and not guest:
        notes.append(f"{user.nulls / user.rows:.0%} of the rows name no user")
        conditions.append(f"{quoted(user.name)} is not null")
    elif user and user.nulls and price and (price.minimum or 0) <= 0 and price in file.sample.columns:
        notes.append("a row with neither a user nor a price corrects the stock or the books; it is no sale")
        conditions.append(f"({quoted(user.name)} is not null or {quoted(price.name)} > 0)")
    if not conditions:
        return []
    return [(f"where: {'; '.join(notes)}", f"where = {json.dumps(' and '.join(conditions), ensure_ascii=False)}")]


def _always_filled(file: FileGuess, roles: dict[str, Guess]) -> str | None:
    """A column of the file that has a value wherever a row has any, one that has a role before others."""
    known = [guess.column.name for guess in roles.values()]
    filled = [each.name for each in file.sample.columns if not each.nulls]
    return next(iter(sorted(filled, key=lambda name: name not in known)), None)


def _item_or_search(item: ColumnProfile, deed: ColumnProfile | None) -> str:
    """A condition that a row names an item, or is a search, where a column says what was done."""
    searches = [literal(word) for word in deed.words if likely_meant_by(word) == "search"] if deed else []
    named = f"{quoted(item.name)} is not null"
    return f"({named} or {quoted(deed.name)} in ({', '.join(searches)}))" if deed and searches else named


def _stand_in(file: FileGuess, guess: Guess) -> ColumnProfile | None:
    """Another column that names users, where the likeliest has none and the other has."""
    others = [column for column in file.sample.columns if column.name in guess.others]
    return next((column for column in others if column.nulls < 0.5 * guess.column.nulls), None)


def _why_no_item(file: FileGuess) -> str:
    why = "MISSING: no column seems to name items: name it here (SQL over the columns)"
    if slots := max(slots_of(file), key=len, default=[]):
        listed = ", ".join(quoted(name) for name in slots)
        why += f"; {slots[0]} to {slots[-1]} look like the lines of an order: with the file in [inputs], "
        why += f"from = 'select *, unnest([{listed}]) as line from INPUT', where = 'line is not null'"
    return why


def _named_instead(roles: dict[str, Guess]) -> bool:
    """Whether things without an id have a name that can stand in for it."""
    return "title" in roles and roles["title"].column.nulls < roles["item_id"].column.nulls
