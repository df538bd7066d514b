"""Which file of an export is what: events, orders with lines, items, users, words to look up; and how they join."""

from dataclasses import dataclass, field

from flows.sources.roles import Guess, guess_roles, guess_unnamed, plain_name
from flows.sources.sample import Sample

_EVENT_ROLES = (
    "user_id", "item_id", "event_type", "session_id", "basket_id", "event_time", "quantity", "line_total", "unit_price",
    "discount", "currency", "rating", "text",
)  # fmt: skip
_ITEM_ROLES = ("item_id", "title", "description", "brand", "image", "unit_price")


@dataclass(frozen=True)
class FileGuess:
    """One file, or several with the same columns: what it is (events, orders, lines, items, users, other), and why."""

    sample: Sample
    kind: str
    why: str
    roles: dict[str, Guess]
    files: tuple[str, ...]

    @property
    def names(self) -> set[str]:
        """The names of its columns."""
        return {column.name for column in self.sample.columns}


@dataclass
class Plan:
    """How the files of an export fill the tables: events alone, or lines of orders; joins by shared columns."""

    events: list[FileGuess] = field(default_factory=list)
    lines: FileGuess | None = None
    orders: FileGuess | None = None
    people: FileGuess | None = None
    items: FileGuess | None = None
    #: (file, column) that the items are joined with.
    lookups: list[tuple[FileGuess, str]] = field(default_factory=list)
    users: FileGuess | None = None
    unused: list[FileGuess] = field(default_factory=list)


def make_plan(samples: list[Sample]) -> Plan:
    """Sort the files of one export into a plan."""
    plan = Plan()
    guesses = [_guess_file(group) for group in _alike(samples)]
    by_kind: dict[str, list[FileGuess]] = {}
    for guess in guesses:
        by_kind.setdefault(guess.kind, []).append(guess)
    plan.events = by_kind.get("events", [])
    orders, lines = by_kind.get("orders", []), by_kind.get("lines", [])
    if orders and lines:
        plan.orders, plan.lines = orders.pop(0), lines.pop(0)
    users = sorted(by_kind.get("users", []), key=lambda guess: -len(guess.names))
    if users and plan.orders and "user_id" in plan.orders.roles:
        plan.people = _people(plan.orders, users[0])
    plan.users = users.pop(0) if users else None
    items = sorted(by_kind.get("items", []), key=lambda guess: ("title" not in guess.roles, -len(guess.names)))
    plan.items = items.pop(0) if items else None
    plan.unused = [*orders, *lines, *users]
    for guess in [*items, *by_kind.get("other", [])]:
        shared = _lookup_column(plan.items, guess) if plan.items else None
        if shared:
            plan.lookups.append((guess, shared))
        else:
            plan.unused.append(guess)
    return plan


def _alike(samples: list[Sample]) -> list[list[Sample]]:
    """Files with the same named columns belong together: parts of one export."""
    groups: dict[tuple[object, ...], list[Sample]] = {}
    for sample in samples:
        named = "names" not in sample.keys
        key = tuple(sorted(column.name for column in sample.columns)) if named else (sample.file,)
        groups.setdefault((*key, sample.keys.get("format"), sample.file.rpartition(".")[2]), []).append(sample)
    return list(groups.values())


def _guess_file(group: list[Sample]) -> FileGuess:
    sample = group[0]
    if "names" in sample.keys:
        roles = guess_unnamed(sample.columns)
        texts = [column for column in sample.columns if column.kind == "text" and "event_type" not in roles]
        if "event_time" not in roles and texts:
            first = sample.columns[0]
            roles = {"item_id": Guess("item_id", first, "the first column of a file without times", "unsure")}
            roles["title"] = Guess("title", texts[0], "the first column of words", "unsure")
    else:
        roles = guess_roles(sample.columns, _EVENT_ROLES)
    kind, why = _kind(sample, roles)
    if kind == "items" and "names" not in sample.keys:
        roles = guess_roles(sample.columns, _ITEM_ROLES)
    return FileGuess(sample, kind, why, roles, tuple(each.file for each in group))


def _kind(sample: Sample, roles: dict[str, Guess]) -> tuple[str, str]:
    has = roles.keys()
    names = {plain_name(column.name) for column in sample.columns}
    if {"property", "value"} <= names:
        return (
            "other",
            "it is a long table of keys and values: a `from` with max_by(value, time) filter (...) can use it",
        )
    if "item_id" in has and has & {"user_id", "session_id"} and (has & {"event_time", "basket_id", "event_type"}):
        return "events", "each row names a user and an item"
    if {"item_id", "basket_id"} <= has:
        return "lines", "each row names an item and an order, but no user"
    if {"user_id", "basket_id"} <= has:
        return "orders", "each row names a user and an order, but no item"
    if "item_id" in has:
        return "items", "each row names an item, but no user"
    if "user_id" in has and "event_time" not in has:
        return "users", "its rows name users, but no item, order or time"
    return "other", "its rows name neither users nor items"


def _people(orders: FileGuess, users: FileGuess) -> FileGuess | None:
    """The users' file, when it says better than the orders who a user is: by an id of its own, and a shared column."""
    better = users.roles["user_id"].column.name
    return users if orders.roles["user_id"].column.name in users.names and better not in orders.names else None


def _lookup_column(items: FileGuess, other: FileGuess) -> str | None:
    """A column that both have and that names each row of the other."""
    for column in other.sample.columns:
        if column.name in items.names and column.distinct == column.filled > 0:
            return column.name
    return None
