"""Who did it and to what, where columns are named after the shop's own trade: by their ids and how they repeat."""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from flows.sources.column_profile import ColumnProfile
from flows.sources.file_guess import EVENT_ROLES, FileGuess, kind_of
from flows.sources.roles import Guess, guess_roles, plain_name, role_of_file

#: An id of at least so many values, each of which comes again, may name users or items.
_FEW = 10
_AGAIN = 0.9
_NAMED_ID = r"id|(_|[a-z0-9])(id|key|code|hash|uuid)$|_(nr|no|num|number)$"
#: Ids of what a deed belongs to, and not of what it was done to.
_OF_OTHERS = (
    r"order|invoice|basket|cart|session|seller|staff|employee|address|city|country|county|region|language|type|status"
    r"|vendor|supplier|manufacturer|brand|categor|class|group|department"
)
_OF_SHOPS = r"store|shop"
#: Ids of somebody, and so of no item.
_OF_SOMEBODY = r"user|customer|client|member|visitor|cookie|device|fingerprint|person|profile|account|session"


def deeds_by_ids(guesses: list[FileGuess]) -> list[FileGuess]:
    """Where no file names a user and an item, the fullest one that has times, with the ids that seem to be these."""
    if any(guess.kind in ("events", "lines") for guess in guesses):
        return guesses
    for guess in sorted(guesses, key=lambda each: -each.sample.rows):
        found = _with_ids(guess, guesses) if "names" not in guess.sample.keys else None
        if found is not None:
            return [found if each is guess else each for each in guesses]
    return guesses


def _with_ids(guess: FileGuess, guesses: Sequence[FileGuess]) -> FileGuess | None:
    """The file as events, with a user or an item by their ids; None where it tells no deeds."""
    own = {role: each for role, each in guess.roles.items() if role in ("user_id", "item_id")}
    roles = guess_roles(guess.sample.columns, EVENT_ROLES, own)
    counted = {plain_name(each.name) for each in guess.sample.columns} & {"timestamp", "time_stamp", "ts"}
    timed = "event_time" in roles or bool(counted)
    taken = {each.column.name for each in roles.values()}
    ids = [each for each in guess.sample.columns if each.name not in taken and _repeats(each)]
    others = [each for each in guesses if each is not guess]
    if "user_id" not in roles and timed and (bare := _bare_id(guess.roles, ids)):
        roles |= bare
        own |= bare
        ids = [each for each in ids if each is not bare["user_id"].column]
    if not own.keys() & {"user_id", "item_id"}:
        return None
    if not timed:
        people = [each for each in others if role_of_file(Path(each.sample.file).name.partition(".")[0]) == "user_id"]
        left = [each for each in guess.sample.columns if each.name not in taken]
        roles |= {} if "user_id" in roles else _user_with_a_file(left, people)
    elif "item_id" not in roles:
        somebody = own["user_id"].others if "user_id" in own else ()
        roles |= _item([each for each in ids if each.name not in somebody])
    elif "user_id" not in roles:
        roles |= _user(ids, others)
    kind, why = kind_of(guess.sample, roles)
    known = kind == "events" or (timed and roles.keys() - guess.roles.keys() >= {"user_id"})
    return replace(guess, kind=kind, why=why, roles=roles) if known else None


def _bare_id(told: Collection[str], ids: Sequence[ColumnProfile]) -> dict[str, Guess]:
    """An `id` or `uuid` alone that comes again, where nothing else names a user or a visit: whose deeds they are."""
    if set(told) & {"user_id", "session_id", "basket_id"}:
        return {}
    bare = next((each for each in ids if plain_name(each.name) in ("id", "uuid", "guid")), None)
    why = "no column is named as users are; it comes again and again"
    return {"user_id": Guess("user_id", bare, why, "unsure")} if bare else {}


def _repeats(column: ColumnProfile) -> bool:
    """Whether a column seems to be an id of something that comes again and again."""
    named = re.search(_NAMED_ID, plain_name(column.name)) is not None
    return named and column.kind in ("whole", "text") and _FEW <= column.distinct < _AGAIN * column.filled


def _item(ids: Sequence[ColumnProfile]) -> dict[str, Guess]:
    """The id of which most different ones come, of those that are not of orders, shops, people or kinds."""
    none = f"{_OF_OTHERS}|{_OF_SHOPS}|{_OF_SOMEBODY}"
    fitting = [each for each in ids if not re.search(none, plain_name(each.name))]
    most = max(fitting, key=lambda column: column.distinct, default=None)
    why = "no column is named as items are; of the ids that come again it has most values"
    return {"item_id": Guess("item_id", most, why, "unsure")} if most else {}


def _user_with_a_file(columns: Sequence[ColumnProfile], others: Sequence[FileGuess]) -> dict[str, Guess]:
    """The column that another file, which is not of items, has one row for each value of."""
    for column in columns:
        for other in others:
            there = next((each for each in other.sample.columns if each.name == column.name), None)
            owns = there and other.kind != "items" and there.distinct == there.filled >= _FEW
            if there and owns and column.share_in(there) > 0.5:
                why = f"{other.sample.file.rpartition('/')[2]} has a row for each of its values"
                return {"user_id": Guess("user_id", column, why, "unsure")}
    return {}


def _user(ids: Sequence[ColumnProfile], others: Sequence[FileGuess]) -> dict[str, Guess]:
    """The id that another file, which is not of items, has one row for; else the only one that there is."""
    if told := _user_with_a_file(ids, others):
        return told
    fitting = [each for each in ids if not re.search(_OF_OTHERS, plain_name(each.name))]
    buyers = [each for each in fitting if not re.search(_OF_SHOPS, plain_name(each.name))] or fitting
    why = "no column is named as users are; it is the only other id that comes again"
    return {"user_id": Guess("user_id", buyers[0], why, "unsure")} if len(buyers) == 1 else {}
