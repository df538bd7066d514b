"""How the numbers of a drafted mapping are read: by the signs of their file, or alone where the file has others."""

from flows.connection import quoted
from flows.sources.column_profile import ColumnProfile, own_number_sql
from flows.sources.draft_plan import Plan
from flows.sources.draft_times import Drafted
from flows.sources.file_guess import FileGuess
from flows.sources.roles import NUMBERS, Guess
from flows.sources.sample import Sample

_AMOUNTS = ("quantity", "line_total", "unit_price", "discount", "rating")


def price_with_words(column: ColumnProfile) -> Drafted:
    """A price of which some values are words, `Free To Play`: an item without a price is still one."""
    some = "unsure: some of its values are no numbers; they become null"
    alone = "likely: it is written as no other number is"
    return "price", own_number_sql(column), some if column.unread or column.kind == "text" else alone


def read_numbers(plan: Plan, guess: FileGuess, roles: dict[str, Guess]) -> None:
    """Note in the keys of the file that has them which columns are numbers, and how those are written."""
    for sample in (guess.sample, *((plan.orders.sample,) if plan.orders and guess is plan.lines else ())):
        alone = _read_alone(sample, roles)
        for column in _amounts(sample, roles):
            if column.name not in alone:
                _note_number(sample, column)


def numbers_alone(drafted: list[Drafted], plan: Plan, guess: FileGuess, roles: dict[str, Guess]) -> list[Drafted]:
    """Drafted columns in which a number with other signs than its file's others is read by its own."""
    for sample in (guess.sample, *((plan.orders.sample,) if plan.orders and guess is plan.lines else ())):
        for name, made in _read_alone(sample, roles).items():
            drafted = [
                (column, made if sql == name else sql.replace(quoted(name), made), why) for column, sql, why in drafted
            ]
    return drafted


def is_read_alone(sample: Sample, column: ColumnProfile) -> bool:
    """Whether a price has a comma before its fraction that the mapping does not say of its file."""
    return column.kind == "comma_number" and "decimal" not in sample.keys


def _amounts(sample: Sample, roles: dict[str, Guess]) -> list[ColumnProfile]:
    found = [roles[name].column for name in _AMOUNTS if name in roles]
    return [column for column in found if column in sample.columns and column.kind in NUMBERS]


def _read_alone(sample: Sample, roles: dict[str, Guess]) -> dict[str, str]:
    """Column → SQL of numbers with a comma before the fraction, where another one of the file has a point there."""
    amounts = _amounts(sample, roles)
    if not any(column.kind in ("number", "grouped_number") for column in amounts):
        return {}
    return {column.name: own_number_sql(column) for column in amounts if column.kind == "comma_number"}


def _note_number(sample: Sample, column: ColumnProfile) -> None:
    numbers = sample.keys.setdefault("numbers", [])
    numbers.extend([column.name] if column.name not in numbers else [])
    if column.kind == "comma_number":
        sample.keys.update(decimal=",", thousands=".")
        sample.reasons["decimal"] = f"{column.name} is written like 1.234,50"
        if column.dotted:
            why = "is taken for thousands, 125.000 for 125 thousand; take both signs out if it is a fraction"
            sample.reasons["decimal"] = f"unsure: {column.name} {why}"
    elif column.kind == "grouped_number":
        sample.keys["thousands"] = ","
        sample.reasons["thousands"] = f"{column.name} is written like 1,234.50"


def read_prices(items: FileGuess) -> None:
    """Note in the keys of a file of items how its prices are written, where it is not as numbers are."""
    price = items.roles.get("unit_price")
    if price is not None and price.column.kind in ("comma_number", "grouped_number") and not price.column.unread:
        _note_number(items.sample, price.column)
