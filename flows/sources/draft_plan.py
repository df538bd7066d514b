"""Which file of an export is what: events, orders with lines, items, users, words to look up; and how they join."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from flows.sources.column_profile import ColumnProfile
from flows.sources.roles import Guess, guess_roles, guess_unnamed, meant_by_file, plain_name, role_of_file
from flows.sources.sample import Sample

_EVENT_ROLES = (
    "user_id", "item_id", "event_type", "session_id", "basket_id", "event_time", "quantity", "line_total", "unit_price",
    "discount", "currency", "rating", "text", "status", "title",
)  # fmt: skip
_ITEM_ROLES = ("item_id", "title", "description", "brand", "image", "unit_price")
#: Rows from which on ids that all differ are those of lines.
_FEW = 50


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
    guesses = _told_by_events([_guess_file(group) for group in _alike(samples)])
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
    for guess in [*items, *by_kind.get("other", [])]:
        shared = _lookup_column(plan.items, guess) if plan.items else None
        if shared:
            plan.lookups.append((guess, shared))
        else:
            plan.unused.append(guess)
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


def _without_row_numbers(sample: Sample, roles: dict[str, Guess]) -> dict[str, Guess]:
    """Roles in which no column that differs from row to row names items, where users have one that does not."""
    named = roles.get("item_id")
    if named is None or not roles.keys() & {"user_id", "basket_id"} or named.column.distinct < named.column.rows:
        return roles
    others = [sample.column(name) for name in named.others]
    better = next((column for column in others if column.distinct < 0.9 * column.filled), None)
    if named.column.rows < _FEW or better is None:
        return roles
    why = f"{named.column.name} differs in each row, so it names the line and not the item"
    return {**roles, "item_id": Guess("item_id", better, why, "likely", (named.column.name,))}


def _likeliest(guesses: list[FileGuess]) -> list[FileGuess]:
    """The file that says most of what an event needs, where none says it all; none where nothing fits."""
    needed = ("user_id", "item_id", "session_id", "basket_id", "event_type")
    said = [sum(role in guess.roles for role in needed) for guess in guesses]
    return [guesses[said.index(max(said))]] if any(said) else []


def _told_by_events(guesses: list[FileGuess]) -> list[FileGuess]:
    """A file that says nothing by its names is one of items when it has the ids that the events name."""
    events = [guess for guess in guesses if guess.kind in ("events", "lines")]
    found = []
    for guess in guesses:
        told = guess.roles.keys() & {"user_id", "session_id"}
        key = _key_of_items(guess, events) if guess.kind == "other" and not told else None
        if key is not None:
            why = f"its {key.column.name} has the items that the events name"
            roles = guess_roles(guess.sample.columns, _ITEM_ROLES, {"item_id": key})
            guess = FileGuess(guess.sample, "items", why, roles, guess.files)
        found.append(guess)
    return found


def _key_of_items(guess: FileGuess, events: list[FileGuess]) -> Guess | None:
    for column in guess.sample.columns:
        if column.distinct == column.filled > 1 and any(
            column.overlap(each.roles["item_id"].column) > 0.5 for each in events
        ):
            return Guess("item_id", column, "it has the items that the events name", "likely")
    return None


def _own_id(sample: Sample, roles: dict[str, Guess]) -> dict[str, Guess]:
    """The role of a column that is called id alone, by the name of its file: products.csv has an item's."""
    column = next((each for each in sample.columns if plain_name(each.name) == "id"), None)
    role = role_of_file(Path(sample.file).name.partition(".")[0])
    if column is None or role is None or column.distinct < column.filled:
        return {}
    if role in roles and roles[role].column.distinct < roles[role].column.filled:
        return {}
    if role == "basket_id" and "item_id" in roles:
        return {}
    return {role: Guess(role, column, "by the name of its file", "likely")}


def _order_of_shopify(sample: Sample) -> dict[str, Guess]:
    """Shopify's export of orders calls the order's number Name, and has a row for each `Lineitem`."""
    names = {plain_name(column.name): column for column in sample.columns}
    if "name" in names and "lineitem_name" in names:
        return {"basket_id": Guess("basket_id", names["name"], "Shopify calls the order's number so", "likely")}
    return {}


def _alike(samples: list[Sample]) -> list[list[Sample]]:
    """Files with the same named columns belong together: parts of one export."""
    groups: dict[tuple[object, ...], list[Sample]] = {}
    for sample in samples:
        named = "names" not in sample.keys
        key = tuple(sorted(column.name for column in sample.columns)) if named else (sample.file,)
        groups.setdefault((*key, sample.keys.get("format"), sample.file.rpartition(".")[2]), []).append(sample)
    return list(groups.values())


def _roles_without_names(sample: Sample) -> dict[str, Guess]:
    """The roles of a file without a header: by what its columns hold, and by the file's name."""
    roles = guess_unnamed(sample.columns)
    if meant_by_file(sample.file) not in (None, "review"):
        roles.pop("rating", None)
    texts = [column for column in sample.columns if column.kind == "text" and "event_type" not in roles]
    owner, first = role_of_file(Path(sample.file).name.partition(".")[0]), sample.columns[0]
    if owner == "user_id" and first.distinct == first.rows > 1:
        return {"user_id": Guess("user_id", first, "the first column, by the name of its file", "likely")}
    if "event_time" not in roles and texts:
        confidence = "likely" if owner == "item_id" else "unsure"
        roles = {"item_id": Guess("item_id", first, "the first column of a file without times", confidence)}
        roles["title"] = Guess("title", texts[0], "the first column of words", "unsure")
    return roles


def _guess_file(group: list[Sample]) -> FileGuess:
    sample = group[0]
    if "names" in sample.keys:
        roles = _roles_without_names(sample)
    else:
        roles = guess_roles(sample.columns, _EVENT_ROLES)
        own = _own_id(sample, roles) | _order_of_shopify(sample)
        roles = guess_roles(sample.columns, _EVENT_ROLES, own) if own else roles
        roles = _without_row_numbers(sample, roles)
    kind, why = _kind(sample, roles)
    if kind == "items" and "names" not in sample.keys:
        known = {"item_id": roles["item_id"]} if roles["item_id"].why.startswith("by the name of its file") else None
        roles = guess_roles(sample.columns, _ITEM_ROLES, known)
    return FileGuess(sample, kind, why, roles, tuple(each.file for each in group))


def _kind(sample: Sample, roles: dict[str, Guess]) -> tuple[str, str]:
    has = roles.keys()
    names = {plain_name(column.name) for column in sample.columns}
    if {"property", "value"} <= names:
        return (
            "other",
            "it is a long table of keys and values: a `from` with max_by(value, time) filter (...) can use it",
        )
    told = {"event_time", "basket_id", "event_type", "rating", "quantity"}
    if "item_id" in has and has & {"user_id", "session_id"} and has & told:
        return "events", "each row names a user and an item"
    if {"item_id", "basket_id"} <= has:
        return "lines", "each row names an item and an order, but no user"
    if {"user_id", "basket_id"} <= has:
        return "orders", "each row names a user and an order, but no item"
    if "item_id" in has:
        return "items", "each row names an item, but no user"
    if "user_id" in has and "event_time" not in has:
        return "users", "its rows name users, but no item, order or time"
    user = roles["user_id"].column if "user_id" in has else None
    if user is not None and not has & {"item_id", "event_type"} and user.distinct == user.rows > 1:
        return "users", "each of its rows names another user"
    if has & {"user_id", "session_id"}:
        return "other", "its rows name users, but no item: a column that has the item within would make them events"
    return "other", "its rows name neither users nor items"


def _people(orders: FileGuess, users: FileGuess) -> FileGuess | None:
    """The users' file, when it says better than the orders who a user is: by an id of its own, and a shared column."""
    better = users.roles["user_id"].column.name
    return users if orders.roles["user_id"].column.name in users.names and better not in orders.names else None


def _lookup_column(items: FileGuess, other: FileGuess) -> str | None:
    """A column that both have and that names each row of the other."""
    for column in other.sample.columns:
        if column.name not in items.names or column.distinct < column.filled or not column.filled:
            continue
        # A bare `id` is each table's own.
        if plain_name(column.name) != "id" and column.overlap(items.sample.column(column.name)) > 0:
            return column.name
    return None
