"""Orders whose lines stand beside each other, in columns that are numbered through: `item_id_1`, `item_id_2`."""

import re
from dataclasses import replace

from flows.connection import quoted
from flows.sources.draft_plan import Plan
from flows.sources.file_guess import FileGuess
from flows.sources.roles import Guess

#: Conditions on rows: (why, SQL).
Conditions = list[tuple[str, str]]


def slots_of(file: FileGuess) -> list[list[str]]:
    """Columns that are numbered through, like line_item_1 and line_item_2, by their names without the number."""
    groups: dict[str, list[str]] = {}
    for column in file.sample.columns:
        if re.search(r"(line|item|product|sku).*\d+$", column.name.lower()):
            groups.setdefault(re.sub(r"\d+$", "", column.name), []).append(column.name)
    return [names for names in groups.values() if len(names) > 1]


def slots_as_rows(
    plan: Plan, guess: FileGuess, roles: dict[str, Guess], relation: str | None
) -> tuple[str | None, dict[str, Guess], Conditions]:
    """The relation in which each slot of an order is a row, where the item is told by one of them; what is filled.

    A file that is read as it is becomes the input `deeds`.
    """
    item = roles.get("item_id")
    slots = next((each for each in slots_of(guess) if item and item.column.name in each), [])
    source = "lines" if relation else "deeds"
    other = relation is not None and not relation.startswith("lines ")
    if item is None or not slots or other or plan.copies or (relation is None and len(plan.events) != 1):
        return relation, roles, []
    name = quoted(item.column.name)
    rows = f"(select * replace (unnest([{', '.join(quoted(each) for each in slots)}]) as {name}) from {source})"
    plan.filled_in = plan.filled_in or relation is None
    relation = f"{rows} as {source}{relation.removeprefix('lines')}" if relation else f"select * from {rows}"
    why = f"{slots[0]} to {slots[-1]} are the lines of an order, a row each; one that is empty is none"
    column = replace(item.column, nulls=0)
    return relation, {**roles, "item_id": replace(item, column=column)}, [(why, f"{name} is not null")]
