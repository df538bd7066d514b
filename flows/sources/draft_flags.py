"""What users did where an export says it by flags: columns of 0 and 1, one for each deed, or whether it came about."""

import re
from dataclasses import dataclass

from flows.connection import literal, quoted
from flows.sources.column_profile import ColumnProfile
from flows.sources.draft_times import Drafted
from flows.sources.event_words import meant_by
from flows.sources.file_guess import FileGuess
from flows.sources.roles import Guess, plain_name

#: The words of a flag for yes, and those for no.
_YES = {"1", "true", "t", "yes", "y", "ja", "j", "oui", "si", "sí", "s", "sim", "tak", "evet", "да", "はい"}
_NO = {"0", "false", "f", "no", "n", "nein", "non", "não", "nao", "nie", "hayır", "нет", "いいえ"}
_AROUND = r"^(is|has|was|did|if)_|_(flag|yn|ind|indicator)$"
#: Names of flags that say that a deed came about at all.
_CAME_ABOUT = r"^(is_)?(authori[sz]ed|approved|successful|success|valid|paid|completed|accepted)(_flag)?$"
_SHORT = {"clk": "view", "click": "view", "conversion": "purchase", "converted": "purchase", "buy": "purchase"}
#: Of several deeds in one row the strongest is told.
_STRONGEST = ("return", "purchase", "add_to_cart", "like", "review", "share", "follow", "view")


@dataclass(frozen=True)
class Flags:
    """What flags tell: the column event_type where they say it, and conditions (why, SQL) for rows of deeds."""

    event_type: Drafted | None
    conditions: list[tuple[str, str]]


def flags_of(guess: FileGuess, roles: dict[str, Guess]) -> Flags:
    """Read the flags of a file of events; where a column of words says what was done, only whether it came about."""
    found = [(each, yes) for each in guess.sample.columns if (yes := word_for_yes(each))]
    conditions = [
        (f"{each.name} says that it came about (unsure)", f"{quoted(each.name)} = {literal(yes)}")
        for each, yes in found
        if re.fullmatch(_CAME_ABOUT, plain_name(each.name))
    ]
    deeds = {_deed(each): (each, yes) for each, yes in reversed(found) if _deed(each)}
    if roles.keys() & {"event_type", "status", "quantity", "line_total", "rating"} or not deeds:
        return Flags(None, conditions)
    ordered = [(deed, *deeds[deed]) for deed in _STRONGEST if deed in deeds]
    tests = [f"{quoted(each.name)} = {literal(yes)}" for _, each, yes in ordered]
    names = ", ".join(each.name for _, each, _ in ordered)
    made = f"'{ordered[0][0]}'"
    if len(ordered) > 1:
        whens = " ".join(f"when {test} then '{deed}'" for test, (deed, _, _) in zip(tests, ordered, strict=True))
        made = f"case {whens} end"
    conditions.append((f"{names}: a row in which none of them is set was shown, and no deed", " or ".join(tests)))
    return Flags(("event_type", made, f"likely: {names} say what was done"), conditions)


def word_for_yes(column: ColumnProfile) -> str:
    """Return the word for yes of a column that says yes or no; '' of any other."""
    words = {word.lower(): word for word in column.words}
    yes = [words[word] for word in words if word in _YES]
    return yes[0] if column.distinct == 2 and len(yes) == 1 and words.keys() & _NO else ""


def _deed(column: ColumnProfile) -> str | None:
    """Our event type for a flag's name: is_click, clk, purchased_flag."""
    name = re.sub(_AROUND, "", plain_name(column.name))
    return _SHORT.get(name) or meant_by(name)
