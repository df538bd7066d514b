"""What the files of an export say of each other: ids that one has of another, and words to look up by them."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from flows.connection import quoted
from flows.sources.column_profile import ColumnProfile
from flows.sources.draft_trees import PATH, Tree, tree_of
from flows.sources.file_guess import ITEM_ROLES, FileGuess, kind_of
from flows.sources.roles import Guess, guess_roles, plain_name

#: Share of the values of a column that a key of another file must have, to be what it names.
NEARLY_ALL = 0.9
#: Numbers are named by accident: there the key's values must come as well, at least this share of them.
_SOME = 0.3
_FEW_VALUES = 10
#: An id of which less than this share differs comes again and again.
_OFTEN = 0.6
_OWN_NUMBER = re.compile(r"(id|index|row|row_(no|num|number|id)|unnamed_\d+|)")


def named_by_values(guesses: list[FileGuess]) -> list[FileGuess]:
    """Files of deeds in which no name speaks of items, with the column whose values are another file's key."""
    keys = [(guess, column) for guess in guesses for column in _keys(guess)]
    told = any(guess.kind in ("events", "lines") for guess in guesses)
    found, used = [], dict[str, ColumnProfile]()
    for guess in guesses:
        # Orders have their lines elsewhere; where no file has them, they may name one thing each.
        wanted = guess.kind == "other" or (not told and (guess.kind == "orders" or _users_come_again(guess)))
        linked = _linked(guess, [(other, key) for other, key in keys if other is not guess]) if wanted else None
        if linked is not None:
            column, other, key = linked
            used[other.pattern] = key
            why = f"its values are those of {key.name} in {Path(other.sample.file).name}"
            roles = {**guess.roles, "item_id": Guess("item_id", column, why, "likely")}
            kind, why = kind_of(guess.sample, roles)
            guess = replace(guess, kind=kind, why=why, roles=roles)
        found.append(guess)
    return [_with_key(guess, used[guess.pattern]) if guess.pattern in used else guess for guess in found]


def _with_key(guess: FileGuess, key: ColumnProfile) -> FileGuess:
    """The file of items whose key the deeds name."""
    known = {"item_id": Guess("item_id", key, "it has the items that the events name", "likely")}
    return replace(guess, kind="items", roles=guess_roles(guess.sample.columns, ITEM_ROLES, known))


def _users_come_again(guess: FileGuess) -> bool:
    """Whether a file that names users has several rows for most, as files of what they did have."""
    user = guess.roles["user_id"].column if guess.kind == "users" else None
    return user is not None and user.distinct < _OFTEN * user.filled


def _keys(guess: FileGuess) -> list[ColumnProfile]:
    """The columns that name each row of a file that is not of users or deeds; things may name whose they are."""
    somebody = {guess.roles[role].column.name for role in guess.roles.keys() & {"user_id", "session_id"}}
    if guess.kind not in ("items", "other", "users") or (somebody and not _is_of_things(guess)):
        return []
    keys = [each for each in guess.sample.columns if _is_id(each) and each.distinct == each.filled >= _FEW_VALUES]
    return [each for each in keys if each.name not in somebody]


def _is_of_things(guess: FileGuess) -> bool:
    """Whether a file that names somebody tells of things all the same: they have a title or a brand."""
    user = guess.roles.get("user_id")
    own = guess.kind == "users" and user is not None and user.column.distinct == user.column.filled
    return not own and bool(guess_roles(guess.sample.columns, ("title", "brand")))


def _is_id(column: ColumnProfile) -> bool:
    return column.kind == "whole" or (column.kind == "text" and column.length < 80)


def _linked(
    guess: FileGuess, keys: list[tuple[FileGuess, ColumnProfile]]
) -> tuple[ColumnProfile, FileGuess, ColumnProfile] | None:
    """Return the column that names items, the file of these and its key."""
    if "item_id" in guess.roles or not guess.roles.keys() & {"user_id", "session_id", "basket_id"}:
        return None
    taken = {role.column.name for role in guess.roles.values()}
    fits = [
        (column.share_in(key), column, other, key)
        for column in guess.sample.columns
        for other, key in keys
        if column.name not in taken and _may_name(column) and _names(column, key)
    ]
    if not fits:
        return None
    return max(fits, key=lambda fit: (fit[0], fit[1].name == fit[3].name))[1:]


def _may_name(column: ColumnProfile) -> bool:
    """Whether a column of deeds may name what they were done to: an id that comes again, and none of its own rows."""
    again = _FEW_VALUES <= column.distinct < 0.9 * column.filled
    return _is_id(column) and again and plain_name(column.name) != "id"


def _names(column: ColumnProfile, key: ColumnProfile) -> bool:
    return column.share_in(key) >= NEARLY_ALL and (column.kind != "whole" or key.share_in(column) >= _SOME)


@dataclass(frozen=True)
class Lookup:
    """A file joined by a column that both have; `renamed`: its column → another name, where one is taken.

    Its key may be a bare `id` there, renamed to the joined column. `tree`: its rows are kinds within kinds.
    """

    guess: FileGuess
    column: str
    renamed: dict[str, str]
    tree: Tree | None = None

    def columns(self) -> list[ColumnProfile]:
        """The columns that it adds, by the names that they have then."""
        every = [replace(each, name=self.renamed.get(each.name, each.name)) for each in self.guess.sample.columns]
        added = [each for each in every if each.name != self.column]
        if self.tree is None:
            return added
        name = self.guess.sample.column(self.tree.name)
        return [replace(name, name=PATH, kind="text", distinct=name.rows)]

    def join(self, name: str) -> str:
        """SQL that joins it, by the name of its relation, behind the items."""
        if self.tree is not None:
            return self.tree.join(name, self.column)
        renamed = ", ".join(f"{quoted(old)} as {quoted(new)}" for old, new in self.renamed.items())
        joined = f"(select * rename ({renamed}) from {name})" if renamed else name
        return f" left join {joined} using ({quoted(self.column)})"


def looked_up(items: FileGuess, others: list[FileGuess]) -> list[Lookup]:
    """Return all files that can be joined to the items, in turn: kinds of kinds behind kinds."""
    found: list[Lookup] = []
    columns, titled = list(items.sample.columns), "title" in items.roles
    left = [guess for guess in others if len(guess_roles(guess.sample.columns, ("event_time", "quantity"))) < 2]
    while left:
        joined = next(((guess, *named) for guess in left if (named := _lookup_columns(columns, guess))), None)
        if joined is None:
            break
        guess, key, shared = joined
        left.remove(guess)
        stem, taken = Path(guess.sample.file).name.partition(".")[0], {each.name for each in columns}
        # Where the items have titles of their own, a bare name is that of the kind or maker looked up.
        taken |= {each.name for each in guess.sample.columns if titled and plain_name(each.name) == "name"}
        clashing = [each.name for each in guess.sample.columns if each.name != key and each.name in taken]
        renamed = {name: f"{stem} {name}" for name in clashing} | ({key: shared} if key != shared else {})
        found.append(Lookup(guess, shared, renamed, tree_of(guess, guess.sample.column(key))))
        columns += found[-1].columns()
    return found


def _lookup_columns(columns: list[ColumnProfile], other: FileGuess) -> tuple[str, str] | None:
    """The key of a file to look up, and the column that has it: of the same name, or `brand_id` for brands' own id."""
    if name := _lookup_column(columns, other):
        return name, name
    own = next((each for each in other.sample.columns if plain_name(each.name) == "id"), None)
    if own is None or own.distinct < own.filled or not own.filled:
        return None
    stem = plain_name(Path(other.sample.file).name.partition(".")[0])
    forms = {stem, stem.removesuffix("s"), f"{stem.removesuffix('ies')}y"}
    forms |= {form.rpartition("_")[2] for form in forms}
    named = [each for each in columns if plain_name(each.name) in {f"{form}_id" for form in forms}]
    fits = len(named) == 1 and named[0].share_in(own) >= NEARLY_ALL
    return (own.name, named[0].name) if fits else None


def calendar_of(facts: FileGuess, others: list[FileGuess]) -> FileGuess | None:
    """Return the file that has the times of a file of facts without: a row a day, named by a column that both have."""
    if "event_time" in facts.roles:
        return None
    # The day on which a thing came into the catalogue is not the day of a deed.
    taken = {facts.roles[role].column.name for role in ("user_id", "item_id") if role in facts.roles}
    left = [each for each in facts.sample.columns if each.name not in taken]
    for guess in others:
        shared = _lookup_column(left, guess)
        times = [each for each in guess.sample.columns if each.is_day and each.distinct == each.filled]
        if shared is not None and times:
            key = Guess("basket_id", guess.sample.column(shared), "it names the day", "likely")
            told = Guess("event_time", times[0], f"the day that {shared} names", "likely")
            return replace(guess, kind="orders", why="each row is a day", roles={"basket_id": key, "event_time": told})
    return None


def _lookup_column(columns: list[ColumnProfile], other: FileGuess) -> str | None:
    """A column that both have and that names each row of the other."""
    for column in other.sample.columns:
        same = [each for each in columns if each.name == column.name]
        if len(same) != 1 or column.distinct < column.filled or not column.filled:
            continue
        # A bare `id` is each table's own, and so is the number of a row.
        if not _OWN_NUMBER.fullmatch(plain_name(column.name)) and column.overlap(same[0]) > 0:
            return column.name
    return None


def told_by_events(guesses: list[FileGuess]) -> list[FileGuess]:
    """A file that says nothing by its names is one of items when it has the ids that the events name."""
    events = [guess for guess in guesses if guess.kind in ("events", "lines")]
    found = []
    for guess in guesses:
        told = guess.roles.keys() & {"user_id", "session_id"}
        key = _key_of_items(guess, events) if guess.kind == "other" and not told else _key_named_as_items(guess, events)
        if key is not None:
            why = f"its {key.column.name} has the items that the events name"
            roles = guess_roles(guess.sample.columns, ITEM_ROLES, {"item_id": key})
            guess = replace(guess, kind="items", why=why, roles=roles)
        found.append(guess)
    return found


def _key_named_as_items(guess: FileGuess, events: list[FileGuess]) -> Guess | None:
    """The key of a file that seems to be of users or deeds, where it is called and filled as the events' item is."""
    if guess.kind not in ("users", "other", "events"):
        return None
    for each in events:
        item = each.roles["item_id"].column
        there = guess.sample.column(item.name) if item.name in guess.names and guess is not each else None
        if there and there.distinct == there.filled >= _FEW_VALUES and _names(item, there):
            return Guess("item_id", there, "it has the items that the events name", "likely")
    return None


def _has_items(key: ColumnProfile, deeds: FileGuess) -> bool:
    """Whether a key has the items that deeds name; running numbers have any small number, and much besides."""
    item = deeds.roles["item_id"].column
    return key.overlap(item) > 0.5 and (
        key.kind != "whole" or (item.share_in(key) > 0.5 and key.share_in(item) >= _SOME)
    )


def _key_of_items(guess: FileGuess, events: list[FileGuess]) -> Guess | None:
    for column in guess.sample.columns:
        if column.distinct == column.filled > 1 and any(_has_items(column, each) for each in events):
            return Guess("item_id", column, "it has the items that the events name", "likely")
    return None
