"""What users did in a drafted file of events: by a column of words or numbers, a status, a sign, or the file's name."""

import json
from pathlib import Path

from flows.connection import quoted
from flows.sources.column_profile import ColumnProfile
from flows.sources.draft_times import Drafted
from flows.sources.file_guess import FileGuess
from flows.sources.roles import Guess, likely_meant_by, meant_by, meant_by_file, plain_name

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
#: Words in the names of columns about what was looked at or heard, and for how long.
_WATCHED = {"watch", "watched", "watching", "listen", "listened", "play", "plays", "played", "dur", "duration", "dwell"}


def event_type_of(guess: FileGuess, roles: dict[str, Guess]) -> tuple[list[tuple[str, str]], Drafted]:
    """Settings that say what the shop's words mean (why, line of TOML), and the column event_type."""
    if "event_type" in roles:
        column = roles["event_type"].column
        words = {word: likely_meant_by(word) or "leave_out" for word in sorted(column.words)}
        if column.kind == "whole":
            return _numbered_types(column, Path(guess.files[0]).name)
        unknown = [word for word, ours in words.items() if ours == "leave_out"]
        table = ", ".join(f"{json.dumps(word)} = {json.dumps(ours)}" for word, ours in words.items() if word != ours)
        note = "event_types: the shop's word = ours"
        note += f"; unsure: {', '.join(unknown)} may be something in Aisle's words" if unknown else ""
        settings = [(note, f"event_types = {{ {table} }}")] if table else []
        return settings, ("event_type", roles["event_type"].column.name, roles["event_type"].said)
    if "status" in roles:
        column = roles["status"].column
        back = ", ".join(f"'{word}'" for word in sorted(column.words) if meant_by(word) == "return")
        made = f"case when {quoted(column.name)} in ({back}) then 'return' else 'purchase' end"
        others = ", ".join(sorted(word for word in column.words if meant_by(word) != "return"))
        return [], ("event_type", made, f"likely: {column.name} says what came back; taken as bought: {others}")
    quantity = roles["quantity"].column if "quantity" in roles else None
    if quantity and (quantity.minimum or 0) < 0:
        made = f"case when {quoted(quantity.name)} < 0 then 'return' else 'purchase' end"
        return [], ("event_type", made, "likely: a quantity below zero is a return")
    named = meant_by_file(guess.files[0])
    # A file of baskets is of what was bought, not of what lies in a cart; one of details with amounts as well.
    amounts = roles.keys() & {"basket_id", "quantity", "line_total"}
    bought = ("basket_id" in roles and named == "add_to_cart") or bool(amounts and named == "view")
    if named and not bought and not ("rating" in roles and named != "review" and not amounts):
        return [], ("event_type", f"'{named}'", "likely: by the name of the file; no column says it")
    if "rating" in roles:
        return [], ("event_type", "'review'", "unsure: there are ratings; one could take those of 4 and 5 as a like")
    # Within a session, a price alone is that of what was looked at.
    if amounts or ("unit_price" in roles and "session_id" not in roles):
        return [], ("event_type", "'purchase'", "unsure: no column says what the user did")
    return [], _untold_deed(guess, roles)


def _untold_deed(guess: FileGuess, roles: dict[str, Guess]) -> Drafted:
    """The column event_type where nothing names the deed: days are of tills, unless something was watched or heard."""
    why = "unsure: no column says what the user did"
    parts = {part for column in guess.sample.columns for part in plain_name(column.name).split("_")}
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
    table = ", ".join(f"{json.dumps(word)} = {json.dumps(meant[word])}" for word in sorted(meant))
    return [(note, f"event_types = {{ {table} }}")], ("event_type", column.name, "likely: its name says so")


def _platform_of(column: ColumnProfile, file: str) -> tuple[str, dict[str, str]]:
    """The platform whose numbers these seem to be: it has all of them, views are the commonest, and some bought."""
    for whose, name, beginning, meant in _NUMBERED:
        named = plain_name(column.name) == name and file.lower().startswith(beginning)
        ours = [meant.get(word) for word in column.words]
        if named and None not in ours and "purchase" in ours and meant[column.common[0][0]] == "view":
            return whose, meant
    return "", {}
