"""What users did in a drafted file of events: by a column of words or numbers, a status, a sign, or the file's name."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from flows.connection import literal, quoted
from flows.sources.column_names import plain_words
from flows.sources.column_profile import ColumnProfile
from flows.sources.draft_times import Drafted
from flows.sources.draft_undone import Undone, undone_by, unread_status
from flows.sources.event_words import came_back, first_words, likely_meant_by, meant_by_file
from flows.sources.file_guess import FileGuess
from flows.sources.roles import Guess, plain_name

#: How large platforms number what was done: whose export, the column's name, how the file's name begins, number → ours.
_NUMBERED = (
    ("Tmall", "action_type", "", {"0": "view", "1": "add_to_cart", "2": "purchase", "3": "like"}),
    ("Taobao", "behavior_type", "", {"1": "view", "2": "like", "3": "add_to_cart", "4": "purchase"}),
    (
        "JD",
        "type",
        "jdata_action_2016",
        {"1": "view", "2": "add_to_cart", "3": "leave_out", "4": "purchase", "5": "like", "6": "view"},
    ),
)
#: Words that are left out one by one; of more, a condition names those that are taken.
_LEFT_OUT_BY_WORD = 12
_INVOICES = {"invoice", "rechnung", "facture", "factura", "fattura"}
_SALES, _PURCHASES = {"sale", "sales", "sold"}, {"purchase", "purchases"}
#: Words in the names of columns about what was looked at or heard, and for how long.
_WATCHED = {"watch", "watched", "watching", "listen", "listened", "play", "plays", "played", "dur", "duration", "dwell"}


def event_type_of(
    guess: FileGuess, roles: dict[str, Guess], beside: Sequence[ColumnProfile] = ()
) -> tuple[list[tuple[str, str]], Drafted]:
    """Settings that say what the shop's words mean (why, line of TOML), and the column event_type.

    `beside`: columns of the orders that the file's lines are joined with.
    """
    columns = [*guess.sample.columns, *beside]
    if "event_type" in roles:
        column = roles["event_type"].column
        if column.kind == "whole":
            return _numbered_types(column, Path(guess.files[0]).name)
        return _told_and_undone(guess, roles, columns)
    if guess.sample.pages:
        return [], ("event_type", "'view'", "likely: each row is a page of a thing that was looked at")
    named = meant_by_file(guess.files[0])
    if named == "return":
        return [], ("event_type", "'return'", "likely: by the name of the file")
    status = roles["status"].column if "status" in roles else None
    if (status or _are_sales(roles) or named == "purchase") and (undone := undone_by(columns, status)):
        return _types_by_status(undone, "'purchase'")
    quantity = roles["quantity"].column if "quantity" in roles else None
    if quantity and (quantity.minimum or 0) < 0:
        made = f"case when {quoted(quantity.name)} < 0 then 'return' else 'purchase' end"
        return [], ("event_type", made, "likely: a quantity below zero is a return")
    if named in (None, "purchase") and _are_sales(roles) and (untold := unread_status(columns)):
        return [], ("event_type", "'purchase'", untold)
    # A file of baskets is of what was bought, not of what lies in a cart; one of details with amounts as well.
    amounts = roles.keys() & {"basket_id", "quantity", "line_total"}
    bought = ("basket_id" in roles and named == "add_to_cart") or bool(amounts and named == "view")
    if named and not bought and not ("rating" in roles and named != "review" and not amounts):
        return [], ("event_type", f"'{named}'", "likely: by the name of the file; no column says it")
    if "rating" in roles:
        return [], ("event_type", "'review'", "unsure: there are ratings; one could take those of 4 and 5 as a like")
    if "text" in roles and re.search("text|review|comment", plain_name(roles["text"].column.name)):
        return [], ("event_type", "'review'", "unsure: no column says what the user did; there are texts of theirs")
    # Within a session, a price alone is that of what was looked at.
    if amounts or ("unit_price" in roles and "session_id" not in roles):
        return [], ("event_type", "'purchase'", "unsure: no column says what the user did")
    return [], _untold_deed(guess, roles)


def _told_types(guess: FileGuess, roles: dict[str, Guess]) -> list[tuple[str, str]]:
    """Settings that say what each word means; of many that mean nothing, a condition that leaves out the rest."""
    column = roles["event_type"].column
    meant = {word: ours for word in sorted(column.words) if (ours := likely_meant_by(word))}
    bought = [word for word, ours in meant.items() if ours == "purchase"]
    sold = [word for word in bought if _SALES & set(plain_words(word))]
    if 0 < len(sold) < len(bought):
        # Where a shop writes down its sales, a purchase is its own.
        meant = {word: ours for word, ours in meant.items() if not _PURCHASES & set(plain_words(word))}
        bought = [word for word in bought if word in meant]
    again = {"fulfilled"} | ({"payment"} if any(_INVOICES & set(plain_words(word)) for word in bought) else set())
    later = [word for word in bought if again & set(plain_words(word))]
    if len(later) < len(bought):
        # What is fulfilled was ordered before, and an invoice that is paid was one before: it counts once.
        meant = {word: ours for word, ours in meant.items() if word not in later}
    note = "event_types: the shop's word = ours"
    if "purchase" not in meant.values() and guess.sample.selling:
        word, filled = guess.sample.selling
        meant[word] = "purchase"
        note += f"; unsure: only rows of {word} have {filled}, so it is taken for a purchase"
    unknown = [word for word in sorted(column.words) if word not in meant]
    note += f"; unsure: {first_words(unknown)} may be something in Aisle's words" if unknown else ""
    note += "" if "purchase" in meant.values() else "; no word means a purchase"
    if len(unknown) <= _LEFT_OUT_BY_WORD:
        return _table({**meant, **dict.fromkeys(unknown, "leave_out")}, note)
    known = ", ".join(literal(word) for word in meant)
    condition = f"{quoted(column.name)} in ({known})"
    condition = f"({condition} or {quoted(column.name)} is null)" if column.nulls else condition
    why = f"where: {len(unknown)} other words of {column.name} are left out"
    return [*_table(meant, note), (why, f"where = {json.dumps(condition, ensure_ascii=False)}")]


def _table(meant: dict[str, str], note: str) -> list[tuple[str, str]]:
    """The setting event_types; none where the shop's words are ours."""
    parts = [f"{_json(word)} = {_json(ours)}" for word, ours in sorted(meant.items()) if word != ours]
    return [(note, f"event_types = {{ {', '.join(parts)} }}")] if parts else []


def _json(word: str) -> str:
    return json.dumps(word, ensure_ascii=False)


def _are_sales(roles: dict[str, Guess]) -> bool:
    """Whether each row tells of something bought: it has an order, a number of pieces or what they cost."""
    return bool(roles.keys() & {"basket_id", "quantity", "line_total"})


def _told_and_undone(
    guess: FileGuess, roles: dict[str, Guess], columns: Sequence[ColumnProfile]
) -> tuple[list[tuple[str, str]], Drafted]:
    """The event types that words tell; of sales, those are taken out that another column says were called off."""
    column = roles["event_type"].column
    settings = _told_types(guess, roles)
    meant = {likely_meant_by(word) for word in column.words}
    undone = [each for each in undone_by(columns) if each.column.name != column.name]
    if not undone or not meant & {"purchase"} or not meant <= {"purchase", "return", None}:
        return settings, ("event_type", column.name, roles["event_type"].said)
    left_out, (_, made, said) = _types_by_status(undone, quoted(column.name))
    if left_out:
        settings = [(why, line.replace(" }", ', "offer" = "leave_out" }')) for why, line in settings] or left_out
    return settings, ("event_type", made, f"{roles['event_type'].said}; {said}")


def _types_by_status(undone: list[Undone], else_: str) -> tuple[list[tuple[str, str]], Drafted]:
    """What came back by a status, and what was bought; an offer or a draft is neither and left out."""
    back = " or ".join(each.back for each in undone if each.back)
    offered = " or ".join(each.offered for each in undone if each.offered)
    cases = [f"when {test} then '{meant}'" for meant, test in (("return", back), ("offer", offered)) if test]
    made = f"case {' '.join(cases)} else {else_} end"
    note = "event_types: an offer, a draft or a payment that is waited for is no purchase"
    names = " and ".join(each.column.name for each in undone)
    bought = first_words(word for each in undone for word in each.bought) or "all other rows"
    said = f"likely: {names} {'says' if len(undone) == 1 else 'say'} what came back; taken as bought: {bought}"
    return _table({"offer": "leave_out"} if offered else {}, note), ("event_type", made, said)


def one_where(settings: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The settings with all their conditions in one."""
    wheres = [(why, line) for why, line in settings if line.startswith("where = ")]
    if len(wheres) < 2:
        return settings
    conditions = [json.loads(line.removeprefix("where = ")) for _, line in wheres]
    whys = "; ".join(why.removeprefix("where: ") for why, _ in wheres)
    one = (f"where: {whys}", f"where = {_json(' and '.join(conditions))}")
    return [*(each for each in settings if each not in wheres), one]


def _untold_deed(guess: FileGuess, roles: dict[str, Guess]) -> Drafted:
    """The column event_type where nothing names the deed: days are of tills, unless something was watched or heard."""
    why = "unsure: no column says what the user did"
    parts = {part for column in guess.sample.columns for part in plain_name(column.name).split("_")}
    if {"review_id", "is_recommended"} & {plain_name(column.name) for column in guess.sample.columns}:
        return "event_type", "'review'", f"{why}; its rows seem to be reviews"
    if watched := sorted(parts & _WATCHED):
        return "event_type", "'view'", f"{why}; {watched[0]} is said of what is looked at or heard"
    if "event_time" in roles and roles["event_time"].column.is_day and "session_id" not in roles:
        return "event_type", "'purchase'", f"{why}; days without a clock are of tills"
    return "event_type", "'view'", why


def _numbered_types(column: ColumnProfile, file: str) -> tuple[list[tuple[str, str]], Drafted]:
    """Event types that are told by numbers: as a platform numbers them, else the commonest is taken for a view."""
    commonest = column.common[0][0]
    shares = ", ".join(f"{word} ({share:.0%})" for word, share in column.common)
    whose, meant = _platform_of(column, file)
    if meant:
        note = (
            f"event_types: unsure: numbers say what was done: {shares}; read as {whose} numbers it, mend it if not so"
        )
    else:
        note = (
            f"MISSING: numbers say what was done: {shares}; the commonest is taken for a view. Write what the others "
        )
        note += "mean: add_to_cart, purchase, like"
        meant = {word: "view" if word == commonest else "leave_out" for word in column.words}
    table = ", ".join(f"{_json(word)} = {_json(meant[word])}" for word in sorted(meant))
    return [(note, f"event_types = {{ {table} }}")], ("event_type", column.name, "likely: its name says so")


def told_roles(roles: dict[str, Guess]) -> dict[str, Guess]:
    """The roles without a deed that is none: where each row has an order, numbers called `type` tell kinds of orders.

    A column that says of a few sales that they came back is a status of all of them.
    """
    deed, basket = roles.get("event_type"), roles.get("basket_id")
    if deed and _tells_returns_alone(deed.column) and roles.keys() & {"basket_id", "quantity", "line_total"}:
        return {**{role: each for role, each in roles.items() if role != "event_type"}, "status": deed}
    if deed is None or basket is None or deed.column.kind != "whole" or plain_name(deed.column.name) != "type":
        return roles
    return roles if basket.column.nulls else {role: each for role, each in roles.items() if role != "event_type"}


def _tells_returns_alone(column: ColumnProfile) -> bool:
    """Whether most rows say nothing in a column, and of the others no word means anything but a return."""
    meant = {likely_meant_by(word) or ("return" if came_back(word) else None) for word in column.words}
    return column.nulls > 0.5 * column.rows and meant - {None} == {"return"}


def _platform_of(column: ColumnProfile, file: str) -> tuple[str, dict[str, str]]:
    """The platform whose numbers these seem to be: it has all of them, views are the commonest, and some bought."""
    for whose, name, beginning, meant in _NUMBERED:
        named = plain_name(column.name) == name and file.lower().startswith(beginning)
        ours = [meant.get(word) for word in column.words]
        if named and None not in ours and "purchase" in ours and meant[column.common[0][0]] == "view":
            return whose, meant
    return "", {}
