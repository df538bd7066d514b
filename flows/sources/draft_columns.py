"""The columns of a drafted mapping: for each contract column an SQL expression, and why it is thought so."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.connection import quoted
from flows.sources.column_profile import ColumnProfile
from flows.sources.draft_charges import charges_left_out
from flows.sources.draft_event_types import event_type_of, one_where, told_roles
from flows.sources.draft_filled import filled_in, said_once, with_all
from flows.sources.draft_flags import flags_of
from flows.sources.draft_ids import conditions_of_events, counted_in_cell, item_of_events, own_id, user_of_events
from flows.sources.draft_joins import orders_joined
from flows.sources.draft_kinds import kinds_among, path_of
from flows.sources.draft_links import Lookup
from flows.sources.draft_mistaken import taken_by_name
from flows.sources.draft_numbers import is_read_alone, numbers_alone, price_with_words, read_numbers
from flows.sources.draft_plan import Plan
from flows.sources.draft_privacy import tells_of_a_person
from flows.sources.draft_shelves import shelf_among
from flows.sources.draft_slots import slots_as_rows
from flows.sources.draft_times import Drafted, lines_with_time, orders_with_time, time_of_events
from flows.sources.draft_titles import title_of, titles_of
from flows.sources.event_words import likely_meant_by
from flows.sources.file_guess import FileGuess
from flows.sources.roles import Guess, guess_roles, plain_name

_PRIVATE = ("name", "id", "fn")
#: What a user said: a search or a review, and no note beside an order.
_SAID = r"query|search|review"
#: What exports call the number of an event.
_EVENT_ID = r"(event|message|insert|hit|interaction|activity|review)_?(uu)?id|uuid"
#: … and the number of a line, which is none of the order that it belongs to.
_LINE_ID = r"(order|invoice|transaction|receipt|sales?)_?(line|item|detail)s?_?(id|no|nr|num|number)|line_?id"


@dataclass(frozen=True)
class EventsDraft:
    """One drafted section of events; `settings` are (why, line of TOML); `days` is what the sample spans."""

    guess: FileGuess
    relation: str | None
    settings: list[tuple[str, str]]
    columns: list[Drafted]
    days: float


def draft_events(plan: Plan, guess: FileGuess) -> EventsDraft:
    """Draft the events of one file, or of the lines of orders."""
    relation, roles, filled = slots_as_rows(plan, guess, *_with_joins(plan, guess))
    read_numbers(plan, guess, roles)
    time_settings, time_column, days = time_of_events(plan, guess, roles)
    flags = flags_of(guess, roles)
    beside = plan.orders.sample.columns if relation and plan.orders and guess is plan.lines else ()
    type_settings, type_column = ([], flags.event_type) if flags.event_type else event_type_of(guess, roles, beside)
    columns = [
        time_column,
        user_of_events(guess, roles, plan.nobody),
        item_of_events(guess, roles),
        type_column,
    ]
    for name in ("session_id", "basket_id"):
        if name in roles:
            columns.append((name, own_id(roles[name].column), roles[name].said))
    columns += _amounts(guess, roles)
    for name in ("currency", "text"):
        if name in roles and not (name == "text" and _is_no_words_of_one(guess, roles)):
            columns.append((name, roles[name].column.name, roles[name].said))
    columns += taken_by_name([*guess.sample.columns, *beside], {name for name, _, _ in columns})
    columns = numbers_alone(columns, plan, guess, roles)
    told = _own_ids(guess, roles) or _duplicates(guess, roles, type_column[1])
    left_out = conditions_of_events(guess, roles, [*flags.conditions, *filled, *charges_left_out(guess, roles)])
    settings = one_where([*time_settings, *type_settings, *left_out, *told])
    return EventsDraft(guess, relation, settings, columns, days)


def _with_joins(plan: Plan, guess: FileGuess) -> tuple[dict[str, Guess], str | None]:
    """The roles of a file of deeds with those of the files joined to it, and the SQL that joins; None for no join."""
    roles = dict(told_roles(guess.roles))
    relation = None
    if guess is plan.lines and plan.orders:
        people = plan.people
        roles = {**({} if plan.of_days else _of_order(plan.orders)), **roles}
        roles |= {name: plan.orders.roles[name] for name in ("event_time", "user_id") if name in plan.orders.roles}
        relation = orders_joined(plan.orders, guess, orders_with_time(plan.orders))
        if people:
            relation += f" left join people using ({quoted(plan.orders.roles['user_id'].column.name)})"
            roles["user_id"] = people.roles["user_id"]
    elif not plan.copies and len(plan.events) == 1 and (once := said_once(guess, roles)):
        plan.filled_in, relation = True, filled_in(once, roles["basket_id"].column.name)
        roles = with_all(roles, once)
    elif not plan.copies and len(plan.events) == 1 and (timed := lines_with_time(guess, roles)):
        plan.filled_in, relation = True, timed
    if plan.copies:
        relation = (relation or "deeds") + plan.copies.join()
    return roles, relation


def _is_no_words_of_one(guess: FileGuess, roles: dict[str, Guess]) -> bool:
    """Whether the text is what was written beside an order, no search and no review; or that of several users."""
    return _names_several_users(guess, roles) or (
        "basket_id" in roles and not re.search(_SAID, plain_name(roles["text"].column.name))
    )


def _names_several_users(guess: FileGuess, roles: dict[str, Guess]) -> bool:
    """Whether the export has a row for several users, which says once what all of them did."""
    return "user_id" in roles and guess.sample.keys.get("unnest") == roles["user_id"].column.name


def _of_order(orders: FileGuess) -> dict[str, Guess]:
    """What an order says of each of its lines: not what the whole of it cost."""
    return {role: guess for role, guess in orders.roles.items() if role not in ("unit_price", "line_total", "discount")}


def draft_items(items: FileGuess, lookups: Sequence[Lookup], from_events: bool) -> list[Drafted]:
    """Draft the catalogue: of a file of items with what is looked up, or of the events' own columns."""
    columns: list[Drafted] = []
    if not from_events:
        columns.append(("item_id", own_id(items.roles["item_id"].column), items.roles["item_id"].said))
    every = [*items.sample.columns, *(column for each in lookups for column in each.columns())]
    names = {plain_name(column.name): column for column in reversed(every)}
    titles = titles_of(items, names)
    if title := title_of(items, lookups, titles, from_events):
        columns.append(title)
    if "description" in items.roles and items.roles["description"].column not in titles[:1]:
        columns.append(
            ("description", _joined(items.roles["description"].column, " "), items.roles["description"].said)
        )
    if kinds := kinds_among(every, titles):
        path = path_of(kinds[0]) or _joined(kinds[0], " > ") if len(kinds) == 1 else ""
        path = path or f"category_path([{', '.join(quoted(column.name) for column in kinds)}])"
        columns.append(("category", path, "likely: by their names, the one with fewest values first"))
    elif not from_events and (shelf := shelf_among(items)):
        said = f"unsure: no name says so, but {shelf.filled:,} items share its {shelf.distinct} words"
        columns.append(("category", shelf.name, said))
    roles = {**guess_roles(items.sample.columns, ("brand", "image")), **items.roles}
    if "brand" in roles and roles["brand"].column.kind == "whole":
        # A name that is looked up by it says more than a number.
        roles |= guess_roles([column for column in every if column.kind == "text"], ("brand",))
    for role, name in (("brand", "brand"), ("unit_price", "price"), ("image", "image")):
        column = roles[role].column if role in roles else None
        if from_events and column and name == "brand" and "store" in plain_name(column.name).split("_"):
            continue  # of a deed it is where it was done
        if column and column.filled and not (role == "image" and column.kind == "list"):
            columns.append(
                price_with_words(column)
                if name == "price" and (column.unread or is_read_alone(items.sample, column))
                else (name, column.name, roles[role].said)
            )
    if not from_events and "price" in names and names["price"].kind == "text":
        columns.append(price_with_words(names["price"]))
    return columns


def draft_users(users: FileGuess) -> tuple[list[Drafted], list[str]]:
    """Draft the users: their id, and the traits that name nobody."""
    guess = users.roles["user_id"]
    traits = [
        column.name
        for column in users.sample.columns
        if column.name != guess.column.name
        and column.kind in ("text", "whole", "number")
        and 0 < column.distinct <= max(12, column.filled // 5)
        and not set(plain_name(column.name).split("_")) & set(_PRIVATE)
        and not tells_of_a_person(plain_name(column.name))
        and column.name not in users.sample.personal
    ]
    return [("user_id", own_id(guess.column), guess.said)], traits


def _amounts(file: FileGuess, roles: dict[str, Guess]) -> list[Drafted]:
    found: list[Drafted] = counted_in_cell(file, roles)
    quantity = roles.get("quantity")
    units = quoted(quantity.column.name) if quantity else "1"
    in_cell = {name for name, _, _ in found}
    if quantity and "quantity" not in in_cell:
        low = quantity.column.minimum or 0
        made = f"abs({units})" if low < 0 else units
        found.append(("quantity", f"nullif({made}, 0)", quantity.said))
    price, total = (_money(roles.get(name)) for name in ("unit_price", "line_total"))
    if "unit_price" in in_cell:
        price = total = None
    if total and quantity and (price is None or price.confidence == "unsure"):
        made = f"{quoted(total.column.name)} / nullif({units}, 0)"
        made = f"abs({made})" if (quantity.column.minimum or 0) < 0 else made
        found.append(("unit_price", made, f"{total.said}; taken as the price of the whole line"))
    elif only := price or total:
        found.append(("unit_price", only.column.name, only.said))
    off = roles["discount"].column if "discount" in roles else None
    # What is taken off an order stands in each of its lines.
    if off and _is_an_amount(off) and file.sample.amounts.get(off.name) != "order":
        found.append(("discount", _money_off(off), roles["discount"].said))
    return found


def _is_an_amount(column: ColumnProfile) -> bool:
    """Whether a discount, which may be written below zero, is an amount: one of at most 1 is a share."""
    return column.kind == "whole" or max(abs(each or 0) for each in (column.minimum, column.maximum)) > 1


def _money_off(column: ColumnProfile) -> str:
    """SQL of a discount that is never below zero: what is written with the other sign takes nothing off."""
    low, high = column.minimum or 0, column.maximum or 0
    made = f"-{quoted(column.name)}" if -low > high else quoted(column.name)
    return f"greatest({made}, 0)" if low < 0 < high else made


def _money(guess: Guess | None) -> Guess | None:
    """An amount, unless most are below zero: numbers that were standardised are no money."""
    return guess if guess and (guess.column.median is None or guess.column.median >= 0) else None


def _own_ids(guess: FileGuess, roles: dict[str, Guess]) -> list[tuple[str, str]]:
    """The setting event_id, where the export numbers its events itself."""
    taken = {role.column.name for role in roles.values()}
    if _names_several_users(guess, roles):
        return []
    # rental.csv has a rental_id.
    by_file = f"{plain_name(Path(guess.sample.file).name.partition('.')[0]).removesuffix('s')}_id"
    for column in guess.sample.columns:
        name = plain_name(column.name)
        named = (re.fullmatch(_EVENT_ID, name) or name == by_file) and column.name not in taken
        named = bool(named or re.fullmatch(_LINE_ID, name))
        if named and column.distinct == column.rows > 1:
            return [
                (f"event_id: {column.name} differs in each row, so it names the event", f'event_id = ["{column.name}"]')
            ]
        if named and not column.nulls and "unnest" in guess.sample.keys and "item_id" in roles:
            why = f"event_id: {column.name} names what the items of one list came with"
            return [(why, f'event_id = ["{column.name}", "item_id"]')]
    return []


def _duplicates(guess: FileGuess, roles: dict[str, Guess], made: str) -> list[tuple[str, str]]:
    """The setting duplicates; `made` is the SQL of what was done."""
    copies, deeds = guess.sample.copies, roles.get("event_type")
    sold = made not in ("'review'", "'view'")
    if deeds is not None:
        sold = {likely_meant_by(word) for word in deeds.column.words} <= {"purchase", "return"}
    if sold and roles.keys() & {"basket_id", "quantity", "unit_price", "line_total"}:
        note = (
            f"the sample has {copies:,} rows that another one equals" if copies else "one sale may have two like lines"
        )
        return [(f'duplicates: {note}; each is counted, "once" takes them once', 'duplicates = "count"')]
    if copies:
        return [(f"duplicates: the sample has {copies:,} rows that another one equals", 'duplicates = "once"')]
    return []


def _joined(column: ColumnProfile, sign: str) -> str:
    if column.kind == "list":
        return f"array_to_string(cast({quoted(column.name)} as varchar[]), '{sign}')"
    return column.name
