"""Which file of an export is what: events, orders with lines, items, users, words to look up; and how they join."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from flows.sources.column_profile import ColumnProfile
from flows.sources.draft_files import alike
from flows.sources.draft_joins import Between, between, lines_of_kinds, orders_of_lines, orders_with_times, titled
from flows.sources.draft_links import Lookup, calendar_of, looked_up, named_by_values, told_by_events
from flows.sources.draft_unnamed import deeds_by_ids
from flows.sources.event_words import meant_by_file
from flows.sources.file_guess import EVENT_ROLES, FileGuess, guess_file
from flows.sources.role_names import PERSON
from flows.sources.roles import Guess, guess_roles, plain_name
from flows.sources.sample import SAMPLE_ROWS, Sample

#: What a file of people may be called behind their name.
_FACTS = "(info|information|profiles?|data|details?|demographics?|master|features?|attributes?)"


@dataclass
class Plan:
    """How the files of an export fill the tables: events alone, or lines of orders; joins by shared columns."""

    events: list[FileGuess] = field(default_factory=list)
    lines: FileGuess | None = None
    orders: FileGuess | None = None
    #: Whether the orders are the days of a calendar, which say when and nothing else.
    of_days: bool = False
    people: FileGuess | None = None
    #: What lies between deeds and items: copies of films, variants of products.
    copies: Between | None = None
    items: FileGuess | None = None
    #: What the items are joined with.
    lookups: list[Lookup] = field(default_factory=list)
    users: FileGuess | None = None
    unused: list[FileGuess] = field(default_factory=list)
    #: Column of users → the id in it that stands for nobody; columns that have a user's id within.
    nobody: dict[str, str] = field(default_factory=dict)
    with_user: set[str] = field(default_factory=set)
    #: Whether the deeds' file is read as an input, so that SQL can fill it in.
    filled_in: bool = False


def make_plan(samples: list[Sample]) -> Plan:
    """Sort the files of one export into a plan."""
    plan = Plan()
    every = [sample.file for sample in samples]
    guesses = deeds_by_ids(named_by_values([guess_file(group, every) for group in alike(samples)]))
    guesses = told_by_events(guesses)
    by_kind: dict[str, list[FileGuess]] = {}
    for guess in guesses:
        by_kind.setdefault(guess.kind, []).append(guess)
    by_kind, orders, lines = _take_deeds(plan, guesses, by_kind)
    told = [*by_kind.get("other", []), *by_kind.get("items", [])]
    if copies := _take_copies(plan, told):
        told = [each for each in told if each is not copies]
        by_kind = {kind: [each for each in found if each is not copies] for kind, found in by_kind.items()}
        by_kind = _with_catalogue(by_kind, plan)
    if len(plan.events) == 1 and (calendar := calendar_of(plan.events[0], told)):
        plan.orders, plan.lines, plan.of_days = calendar, plan.events.pop(), True
        by_kind = {kind: [each for each in found if each.files != calendar.files] for kind, found in by_kind.items()}
    users = sorted(by_kind.get("users", []), key=lambda guess: (not _called_people(guess), -len(guess.names)))
    if users and plan.orders and "user_id" in plan.orders.roles:
        plan.people = _people(plan.orders, users[0])
    plan.users = users.pop(0) if users else None
    items = _take_items(plan, by_kind.get("items", []))
    plan.unused = [*orders, *lines, *users, *_without_untold(plan)]
    left = [*items, *by_kind.get("other", [])]
    plan.lookups = looked_up(plan.items, left) if plan.items else []
    plan.unused += [guess for guess in left if all(guess is not joined.guess for joined in plan.lookups)]
    return plan


def _take_deeds(
    plan: Plan, guesses: list[FileGuess], by_kind: dict[str, list[FileGuess]]
) -> tuple[dict[str, list[FileGuess]], list[FileGuess], list[FileGuess]]:
    """Put events, or orders with their lines, into the plan; return the other files, orders and lines that are left."""
    plan.events = by_kind.get("events", [])
    orders, lines = by_kind.get("orders", []), _fullest(by_kind.get("lines", []))
    if len(plan.events) == 1 and not orders and (of_lines := orders_of_lines(plan.events[0], lines)):
        plan.events, orders = [], [of_lines]
    if lines and not orders and (of_times := orders_with_times(lines[0], by_kind.get("other", []))):
        orders = [of_times]
        by_kind["other"] = [each for each in by_kind["other"] if each.files != of_times.files]
    alone = orders and not lines and not plan.events
    if alone and (of_kinds := lines_of_kinds(orders[0], by_kind.get("other", []))):
        lines = [of_kinds]
        by_kind["other"] = [each for each in by_kind["other"] if each.files != of_kinds.files]
    if orders and lines:
        plan.orders, plan.lines = orders.pop(0), lines.pop(0)
    elif plan.events and (more := _fuller(lines, plan.events)):
        plan.events, lines = [*plan.events, more], [each for each in lines if each is not more]
    elif not plan.events:
        plan.events = lines or _likeliest(guesses)
        orders, lines = [guess for guess in orders if guess not in plan.events], []
        by_kind = {kind: [each for each in found if each not in plan.events] for kind, found in by_kind.items()}
    return by_kind, orders, lines


def _take_copies(plan: Plan, told: list[FileGuess]) -> FileGuess | None:
    """Let deeds name items by way of the table between, where there is one; return that."""
    deeds = plan.lines or (plan.events[0] if len(plan.events) == 1 else None)
    found = between(deeds, told) if deeds else None
    if deeds is None or found is None:
        return None
    plan.copies, named = found, found.told(deeds)
    plan.lines, plan.events = (named, plan.events) if plan.lines else (None, [named])
    return found.guess


def _with_catalogue(by_kind: dict[str, list[FileGuess]], plan: Plan) -> dict[str, list[FileGuess]]:
    """The files with the one that copies lead to among the items."""
    catalogue = plan.copies.catalogue if plan.copies else None
    if catalogue is None or any(each.files == catalogue.files for each in by_kind.get("items", [])):
        return by_kind
    left = {kind: [each for each in found if each.files != catalogue.files] for kind, found in by_kind.items()}
    return {**left, "items": [*left.get("items", []), catalogue]}


def _without_untold(plan: Plan) -> list[FileGuess]:
    """Take out of the plan, and return, files that do not say what was done, where others do: offers, not deeds."""
    told = ("event_type", "status", "basket_id", "quantity", "rating", "line_total", "text")
    untold = [
        guess
        for guess in plan.events
        if not guess.roles.keys() & set(told) and meant_by_file(guess.sample.file) in (None, "search")
    ]
    if len(untold) == len(plan.events):
        return []
    # Beside purchases with the same columns they are what was looked at.
    untold = [
        guess for guess in untold if not any(guess.names == each.names for each in plan.events if each not in untold)
    ]
    plan.events = [guess for guess in plan.events if guess not in untold]
    why = "its rows do not say what was done; if they do tell it, add them as one more [[events]] with an event_type"
    return [replace(guess, why=why) for guess in untold]


def _fuller(lines: list[FileGuess], events: list[FileGuess]) -> FileGuess | None:
    """A file of dated lines without users that has more of them than all files with users: each order is a guest."""
    most = max(guess.sample.rows for guess in events)
    return next((each for each in lines if "event_time" in each.roles and each.sample.rows > most), None)


def _fullest(lines: list[FileGuess]) -> list[FileGuess]:
    """Files of lines, what came back last and else the one with most rows first."""
    return sorted(lines, key=lambda guess: (meant_by_file(guess.sample.file) == "return", -guess.sample.rows))


def _take_items(plan: Plan, found: list[FileGuess]) -> list[FileGuess]:
    """Choose the catalogue's file, let the deeds name items as it does, and return the other files of items."""
    deeds = [*plan.events, *([plan.lines] if plan.lines else [])]
    named = {guess.roles["item_id"].column.name for guess in deeds if "item_id" in guess.roles}
    items = sorted(found, key=lambda guess: _fitness_as_items(guess, named, deeds))
    if items and _has_some(items[0], deeds):
        plan.items = items.pop(0)
        key = plan.items.roles["item_id"].column
        plan.events = [_agreeing(guess, key) for guess in plan.events]
        plan.lines = _agreeing(plan.lines, key) if plan.lines else None
    return items


def _has_some(items: FileGuess, deeds: list[FileGuess]) -> bool:
    """Whether a catalogue has items that the deeds name; of one that is longer than its sample nobody can tell."""
    columns = [guess.roles["item_id"].column for guess in deeds if "item_id" in guess.roles]
    key = items.roles["item_id"].column
    others = [guess.sample.column(name) for guess in deeds for name in _others(guess) if name in guess.names]
    known = items.sample.rows < SAMPLE_ROWS and columns
    return not known or any(column.overlap(key) > 0 for column in [*columns, *others])


def _others(guess: FileGuess) -> tuple[str, ...]:
    return guess.roles["item_id"].others if "item_id" in guess.roles else ()


def _fitness_as_items(guess: FileGuess, named: set[str], deeds: list[FileGuess]) -> tuple[bool, bool, bool, bool, int]:
    """The catalogue's file comes first.

    It has titles, items that the deeds name, one row for each, its key named as by the deeds, many columns.
    """
    key = guess.roles["item_id"].column
    foreign = not _has_some(guess, deeds)
    return (not titled(guess), foreign, key.distinct < key.filled, key.name not in named, -len(guess.names))


def _agreeing(guess: FileGuess, catalogue: ColumnProfile) -> FileGuess:
    """The deeds with the item's column that has the catalogue's items, where the likeliest by its name has not.

    A column named as the catalogue's own goes before another: small numbers of lines are among the numbers of items.
    """
    named = guess.roles.get("item_id")
    if named is None or named.column.name == catalogue.name:
        return guess
    others = [guess.sample.column(name) for name in named.others if name in guess.names]
    same = next((each for each in others if each.name == catalogue.name and each.overlap(catalogue) > 0.5), None)
    if same is None and named.column.overlap(catalogue) > 0.5:
        return guess
    better = same or max(others, key=lambda column: column.overlap(catalogue), default=named.column)
    if same is None and better.overlap(catalogue) <= max(0.5, named.column.overlap(catalogue)):
        return guess
    why = f"it has the items of {catalogue.name} in the items' file"
    roles = {**guess.roles, "item_id": Guess("item_id", better, why, "likely", (named.column.name,))}
    return replace(guess, roles=roles)


def _likeliest(guesses: list[FileGuess]) -> list[FileGuess]:
    """The file that says most of what an event needs, where none says it all; none where nothing fits."""
    needed = ("user_id", "item_id", "session_id", "basket_id", "event_type")
    said = [(sum(role in guess.roles for role in needed), "event_time" in guess.roles) for guess in guesses]
    if not any(roles for roles, _ in said):
        return []
    guess = guesses[said.index(max(said))]
    headless = "names" in guess.sample.keys
    return [guess if headless else replace(guess, roles=guess_roles(guess.sample.columns, EVENT_ROLES, guess.roles))]


def _called_people(guess: FileGuess) -> bool:
    """Whether a file is called after people, or what is known of them: not the targets of each of them."""
    stems = [plain_name(Path(file).name.partition(".")[0]) for file in guess.files]
    return any(re.search(rf"(^|_){PERSON}s?(_{_FACTS}(_\w+)?)?$", stem) for stem in stems)


def _people(orders: FileGuess, users: FileGuess) -> FileGuess | None:
    """The users' file, when it says better than the orders who a user is: by an id of its own, and a shared column."""
    better = users.roles["user_id"].column.name
    return users if orders.roles["user_id"].column.name in users.names and better not in orders.names else None
