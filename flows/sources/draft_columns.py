"""The columns of a drafted mapping: for each contract column an SQL expression, and why it is thought so."""

import json
from dataclasses import dataclass
from pathlib import Path

from flows.connection import quoted
from flows.sources.column_profile import ColumnProfile
from flows.sources.draft_plan import FileGuess, Plan
from flows.sources.roles import Guess, guess_roles, meant_by, plain_name

#: (contract column, SQL expression, why).
Drafted = tuple[str, str, str]
_NUMBER_KINDS = ("whole", "number", "comma_number", "grouped_number")
_PRIVATE = ("name", "mail", "phone", "address", "street", "zip", "postal", "birth", "lat", "lng", "iban", "fn", "id")
_CATEGORY_NAMES = ("category", "categories", "genre", "genres", "department", "aisle", "subclass", "commodity")


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
    roles = dict(guess.roles)
    relation = None
    if guess is plan.lines and plan.orders:
        shared = guess.roles["basket_id"].column.name
        people = plan.people
        roles = {**plan.orders.roles, **guess.roles}
        roles |= {name: plan.orders.roles[name] for name in ("event_time", "user_id") if name in plan.orders.roles}
        relation = f"lines left join {_orders(plan.orders)} using ({quoted(shared)})"
        if people:
            relation += f" left join people using ({quoted(plan.orders.roles['user_id'].column.name)})"
            roles["user_id"] = people.roles["user_id"]
    _read_numbers(plan, guess, roles)
    time_settings, time_column, days = _time(plan, guess, roles)
    type_settings, type_column = _event_type(guess, roles)
    columns = [
        time_column,
        _user(roles),
        ("item_id", _id(roles["item_id"].column), _said(roles["item_id"])),
        type_column,
    ]
    for name in ("session_id", "basket_id"):
        if name in roles:
            columns.append((name, _id(roles[name].column), _said(roles[name])))
    columns += _amounts(roles)
    for name in ("currency", "text"):
        if name in roles:
            columns.append((name, roles[name].column.name, _said(roles[name])))
    return EventsDraft(guess, relation, [*time_settings, *type_settings, *_duplicates(guess, roles)], columns, days)


def draft_items(items: FileGuess, lookups: list[FileGuess], from_events: bool) -> list[Drafted]:
    """Draft the catalogue: of a file of items with what is looked up, or of the events' own columns."""
    columns: list[Drafted] = []
    if not from_events:
        columns.append(("item_id", _id(items.roles["item_id"].column), _said(items.roles["item_id"])))
    every = [*items.sample.columns, *(column for guess in lookups for column in guess.sample.columns)]
    names = {plain_name(column.name): column for column in reversed(every)}
    titles = [names[name] for name in _title_names(names) if names[name].kind == "text"]
    if "title" in items.roles:
        titles.insert(0, items.roles["title"].column)
    if titles:
        columns.append(("title", titles[0].name, "likely: what a shopper reads, by its name and words"))
    if "description" in items.roles and items.roles["description"].column not in titles[:1]:
        columns.append(
            ("description", _joined(items.roles["description"].column, " "), _said(items.roles["description"]))
        )
    if categories := _categories(every, titles):
        path = _joined(categories[0], " > ") if len(categories) == 1 else ""
        path = path or f"category_path([{', '.join(quoted(column.name) for column in categories)}])"
        columns.append(("category", path, "likely: by their names, the one with fewest values first"))
    roles = {**guess_roles(items.sample.columns, ("brand", "image")), **items.roles}
    for role, name in (("brand", "brand"), ("unit_price", "price"), ("image", "image")):
        if role in roles and not (role == "image" and roles[role].column.kind == "list"):
            columns.append((name, roles[role].column.name, _said(roles[role])))
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
    ]
    return [("user_id", _id(guess.column), _said(guess))], traits


def _read_numbers(plan: Plan, guess: FileGuess, roles: dict[str, Guess]) -> None:
    """Note in the keys of the file that has them which columns are numbers, and how those are written."""
    for sample in (guess.sample, *((plan.orders.sample,) if plan.orders and guess is plan.lines else ())):
        for name in ("quantity", "line_total", "unit_price", "discount", "rating"):
            column = roles[name].column if name in roles else None
            if column is None or column not in sample.columns or column.kind not in _NUMBER_KINDS:
                continue
            numbers = sample.keys.setdefault("numbers", [])
            numbers.extend([column.name] if column.name not in numbers else [])
            if column.kind == "comma_number":
                sample.keys.update(decimal=",", thousands=".")
                sample.reasons["decimal"] = f"{column.name} is written like 1.234,50"
            elif column.kind == "grouped_number":
                sample.keys["thousands"] = ","
                sample.reasons["thousands"] = f"{column.name} is written like 1,234.50"


def _orders(orders: FileGuess) -> str:
    """The orders; where they count days from one order to the next, with a time made of that."""
    names = {plain_name(column.name): column.name for column in orders.sample.columns}
    since = next((names[name] for name in names if name.startswith("days_since")), None)
    if "event_time" in orders.roles or since is None or "user_id" not in orders.roles:
        return "orders"
    user, number = quoted(orders.roles["user_id"].column.name), names.get("order_number", "")
    hours = next((f"hours := try_cast({quoted(names[name])} as double), " for name in names if "hour" in name), "")
    turn = f"order by try_cast({quoted(number)} as double)" if number else "rows unbounded preceding"
    days = f"sum(coalesce(try_cast({quoted(since)} as double), 0)) over (partition by {user} {turn})"
    return f"(select *, after('2000-01-01', {hours}days := {days}) as ordered_at from orders)"


def _time(plan: Plan, guess: FileGuess, roles: dict[str, Guess]) -> tuple[list[tuple[str, str]], Drafted, float]:
    told = "the export counts days but does not say from when: write the true first day instead of 2000-01-01"
    if "event_time" in roles:
        column = roles["event_time"].column
        within = _named(guess, "timeframe")
        if within and column.kind == "time":
            made = f"after({quoted(column.name)}, milliseconds := {quoted(within)})"
            return [], ("event_time", made, f"likely: the day, and {within} within it in milliseconds"), _days(column)
        formats = list(column.time_formats)
        value = json.dumps(formats[0] if len(formats) == 1 else formats)
        settings = [] if formats == ["iso"] else [(_format_note(formats), f"time_format = {value}")]
        return settings, ("event_time", column.name, _said(roles["event_time"])), _days(column)
    if guess is plan.lines and plan.orders and "ordered_at" in _orders(plan.orders):
        return [], ("event_time", "ordered_at", f"unsure: {told}"), 0.0
    day = _named(guess, "day", "day_no", "day_number")
    if day:
        clock = _named(guess, "trans_time", "time", "hhmm")
        made = f"after('2000-01-01', days := {quoted(day)}{f', clock := {quoted(clock)}' if clock else ''})"
        return [], ("event_time", made, f"unsure: {told}"), 0.0
    return [], ("event_time", "null::timestamp", "MISSING: no column of times was found: name it here"), 0.0


def _format_note(formats: list[str]) -> str:
    other = {"%m/%d": "%d/%m", "%d/%m": "%m/%d"}.get(formats[0][:5])
    doubt = f"; if the first number is the {'day' if other == '%d/%m' else 'month'}, it is {other}…" if other else ""
    return f"time_format: all values of the sample read so{doubt}"


def _days(column: ColumnProfile) -> float:
    unit = {"epoch_ms": 1e3, "epoch_us": 1e6, "epoch_ns": 1e9}.get(column.kind, 1.0)
    return 0.0 if column.minimum is None else ((column.maximum or 0) - column.minimum) / unit / 86_400


def _named(guess: FileGuess, *names: str) -> str | None:
    return next((column.name for column in guess.sample.columns if plain_name(column.name) in names), None)


def _user(roles: dict[str, Guess]) -> Drafted:
    visit = roles.get("session_id") or roles.get("basket_id")
    if "user_id" not in roles:
        guess = roles["session_id"]
        return "user_id", _id(guess.column), "likely: no column names users, so each session is one"
    guess = roles["user_id"]
    if guess.column.nulls and visit:
        made = f"coalesce({_id(guess.column, True)}, 'guest ' || {quoted(visit.column.name)})"
        share = guess.column.nulls / guess.column.rows
        return "user_id", made, f"{_said(guess)}; {share:.0%} have none: such a visit is a guest of its own"
    return "user_id", _id(guess.column), _said(guess)


def _event_type(guess: FileGuess, roles: dict[str, Guess]) -> tuple[list[tuple[str, str]], Drafted]:
    if "event_type" in roles:
        words = {word: meant_by(word) or "leave_out" for word in sorted(roles["event_type"].column.words)}
        unknown = [word for word, ours in words.items() if ours == "leave_out"]
        table = ", ".join(f"{json.dumps(word)} = {json.dumps(ours)}" for word, ours in words.items() if word != ours)
        note = "event_types: the shop's word = ours"
        note += f"; unsure: {', '.join(unknown)} may be something in Aisle's words" if unknown else ""
        settings = [(note, f"event_types = {{ {table} }}")] if table else []
        return settings, ("event_type", roles["event_type"].column.name, _said(roles["event_type"]))
    quantity = roles["quantity"].column if "quantity" in roles else None
    if quantity and (quantity.minimum or 0) < 0:
        made = f"case when {quoted(quantity.name)} < 0 then 'return' else 'purchase' end"
        return [], ("event_type", made, "likely: a quantity below zero is a return")
    stem = plain_name(Path(guess.files[0]).name.partition(".")[0]).split("_")
    named = next((meant for word in stem if (meant := meant_by(word))), None)
    if named and not ("rating" in roles and named != "review"):
        return [], ("event_type", f"'{named}'", "likely: by the name of the file; no column says it")
    if "rating" in roles:
        return [], ("event_type", "'review'", "unsure: there are ratings; one could take those of 4 and 5 as a like")
    bought = roles.keys() & {"basket_id", "quantity", "line_total", "unit_price"}
    return [], ("event_type", "'purchase'" if bought else "'view'", "unsure: no column says what the user did")


def _amounts(roles: dict[str, Guess]) -> list[Drafted]:
    found: list[Drafted] = []
    quantity = roles.get("quantity")
    units = quoted(quantity.column.name) if quantity else "1"
    if quantity:
        low = quantity.column.minimum or 0
        made = f"abs({units})" if low < 0 else units
        found.append(("quantity", f"nullif({made}, 0)", _said(quantity)))
    if "line_total" in roles and quantity:
        made = f"{quoted(roles['line_total'].column.name)} / nullif({units}, 0)"
        found.append(("unit_price", made, f"{_said(roles['line_total'])}; taken as the price of the whole line"))
    elif price := roles.get("unit_price") or roles.get("line_total"):
        found.append(("unit_price", price.column.name, _said(price)))
    if "discount" in roles:
        sign = "-" if (roles["discount"].column.minimum or 0) < 0 else ""
        found.append(("discount", f"{sign}{quoted(roles['discount'].column.name)}", _said(roles["discount"])))
    return found


def _duplicates(guess: FileGuess, roles: dict[str, Guess]) -> list[tuple[str, str]]:
    copies = guess.sample.copies
    if "event_type" not in roles and roles.keys() & {"basket_id", "quantity", "unit_price", "line_total"}:
        note = (
            f"the sample has {copies:,} rows that another one equals" if copies else "one sale may have two like lines"
        )
        return [(f'duplicates: {note}; each is counted, "once" takes them once', 'duplicates = "count"')]
    if copies:
        return [(f"duplicates: the sample has {copies:,} rows that another one equals", 'duplicates = "once"')]
    return []


def _categories(every: list[ColumnProfile], titles: list[ColumnProfile]) -> list[ColumnProfile]:
    """Up to three columns that name categories, broad ones first; one with words rather than numbers."""
    found: list[ColumnProfile] = []
    for column in every:
        name = plain_name(column.name)
        parts = set(name.split("_"))
        fits = parts & set(_CATEGORY_NAMES) or name.endswith(("group_name", "type_name", "class", "class_name"))
        if fits and column.kind in ("text", "list", "whole") and column not in titles and column not in found:
            found.append(column)
    words = [column for column in found if column.kind in ("text", "list")]
    english = [column for column in words if "english" in plain_name(column.name)]
    chosen = english or words or found
    lists = [column for column in chosen if column.kind == "list"]
    return lists[:1] or sorted(chosen, key=lambda column: column.distinct)[:3]


def _title_names(names: dict[str, ColumnProfile]) -> list[str]:
    likely = (
        "product_name",
        "item_name",
        "title",
        "prod_name",
        "name",
        "description",
        "product_title",
        "sub_commodity_desc",
    )
    return [name for name in likely if name in names]


def _id(column: ColumnProfile, within: bool = False) -> str:
    """The id as it is; without the .0 of a spreadsheet. `within` a longer expression its name wants quotes."""
    if column.kind == "number":
        return f"whole({quoted(column.name)})"
    return quoted(column.name) if within else column.name


def _joined(column: ColumnProfile, sign: str) -> str:
    if column.kind == "list":
        return f"array_to_string(cast({quoted(column.name)} as varchar[]), '{sign}')"
    return column.name


def _said(guess: Guess) -> str:
    others = f"; could also be {', '.join(guess.others)}" if guess.others else ""
    return f"{guess.confidence}: {guess.why}{others}"
