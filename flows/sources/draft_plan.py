"""Which file of an export is what: events, orders with lines, items, users, words to look up; and how they join."""

from dataclasses import dataclass, field, replace

from flows.sources.column_profile import ColumnProfile
from flows.sources.draft_files import alike
from flows.sources.draft_links import Lookup, calendar_of, looked_up, named_by_values, told_by_events
from flows.sources.file_guess import FileGuess, guess_file
from flows.sources.roles import Guess, guess_roles, meant_by_file
from flows.sources.sample import Sample


@dataclass
class Plan:
    """How the files of an export fill the tables: events alone, or lines of orders; joins by shared columns."""

    events: list[FileGuess] = field(default_factory=list)
    lines: FileGuess | None = None
    orders: FileGuess | None = None
    #: Whether the orders are the days of a calendar, which say when and nothing else.
    of_days: bool = False
    people: FileGuess | None = None
    items: FileGuess | None = None
    #: What the items are joined with.
    lookups: list[Lookup] = field(default_factory=list)
    users: FileGuess | None = None
    unused: list[FileGuess] = field(default_factory=list)


def make_plan(samples: list[Sample]) -> Plan:
    """Sort the files of one export into a plan."""
    plan = Plan()
    every = [sample.file for sample in samples]
    guesses = told_by_events(named_by_values([guess_file(group, every) for group in alike(samples)]))
    by_kind: dict[str, list[FileGuess]] = {}
    for guess in guesses:
        by_kind.setdefault(guess.kind, []).append(guess)
    plan.events = by_kind.get("events", [])
    orders, lines = by_kind.get("orders", []), by_kind.get("lines", [])
    if orders and lines:
        plan.orders, plan.lines = orders.pop(0), lines.pop(0)
    elif not plan.events:
        plan.events = lines or _likeliest(guesses)
        orders, lines = [guess for guess in orders if guess not in plan.events], []
        by_kind = {kind: [each for each in found if each not in plan.events] for kind, found in by_kind.items()}
    told = [*by_kind.get("other", []), *by_kind.get("items", [])]
    if len(plan.events) == 1 and (calendar := calendar_of(plan.events[0], told)):
        plan.orders, plan.lines, plan.of_days = calendar, plan.events.pop(), True
        by_kind = {kind: [each for each in found if each.files != calendar.files] for kind, found in by_kind.items()}
    users = sorted(by_kind.get("users", []), key=lambda guess: -len(guess.names))
    if users and plan.orders and "user_id" in plan.orders.roles:
        plan.people = _people(plan.orders, users[0])
    plan.users = users.pop(0) if users else None
    items = sorted(by_kind.get("items", []), key=_fitness_as_items)
    plan.items = items.pop(0) if items else None
    if plan.items:
        items_named = plan.items.roles["item_id"]
        plan.events = [_agreeing(guess, items_named.column) for guess in plan.events]
    plan.unused = [*orders, *lines, *users, *_without_untold(plan)]
    left = [*items, *by_kind.get("other", [])]
    plan.lookups = looked_up(plan.items, left) if plan.items else []
    plan.unused += [guess for guess in left if all(guess is not joined.guess for joined in plan.lookups)]
    return plan


def _without_untold(plan: Plan) -> list[FileGuess]:
    """Take out of the plan, and return, files that do not say what was done, where others do: offers, not deeds."""
    told = ("event_type", "status", "basket_id", "quantity", "rating")
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


def _fitness_as_items(guess: FileGuess) -> tuple[bool, bool, int]:
    """The catalogue's file comes first: with titles, one row an item, many columns."""
    key = guess.roles["item_id"].column
    titled = "title" in guess_roles(guess.sample.columns, ("title",)) or "title" in guess.roles
    return (not titled, key.distinct < key.filled, -len(guess.names))


def _agreeing(guess: FileGuess, catalogue: ColumnProfile) -> FileGuess:
    """The events with the item's column that has the catalogue's items, where the likeliest by its name has not."""
    named = guess.roles.get("item_id")
    if named is None or named.column.overlap(catalogue) > 0.5:
        return guess
    others = [guess.sample.column(name) for name in named.others]
    better = max(others, key=lambda column: column.overlap(catalogue), default=named.column)
    if better.overlap(catalogue) <= max(0.5, named.column.overlap(catalogue)):
        return guess
    why = f"it has the items of {catalogue.name} in the items' file"
    roles = {**guess.roles, "item_id": Guess("item_id", better, why, "likely", (named.column.name,))}
    return replace(guess, roles=roles)


def _likeliest(guesses: list[FileGuess]) -> list[FileGuess]:
    """The file that says most of what an event needs, where none says it all; none where nothing fits."""
    needed = ("user_id", "item_id", "session_id", "basket_id", "event_type")
    said = [sum(role in guess.roles for role in needed) for guess in guesses]
    return [guesses[said.index(max(said))]] if any(said) else []


def _people(orders: FileGuess, users: FileGuess) -> FileGuess | None:
    """The users' file, when it says better than the orders who a user is: by an id of its own, and a shared column."""
    better = users.roles["user_id"].column.name
    return users if orders.roles["user_id"].column.name in users.names and better not in orders.names else None
