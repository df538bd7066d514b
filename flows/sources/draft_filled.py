"""Fields of an order that stand in its first line alone: written into the others, so that each line says them."""

from dataclasses import replace

from flows.connection import quoted
from flows.sources.column_profile import ColumnProfile
from flows.sources.draft_undone import undone_by
from flows.sources.file_guess import FileGuess
from flows.sources.roles import Guess

#: What an order may say once: in as many rows as there are orders, give or take this share of them.
_ONCE = ("event_time", "user_id", "status", "currency")
_ALIKE = 0.02


def said_once(guess: FileGuess, roles: dict[str, Guess]) -> list[str]:
    """The columns that are filled in one row of each order; none where its time and status are in each."""
    basket = roles["basket_id"].column if "basket_id" in roles else None
    if basket is not None and _stands_once(basket, roles):
        read = {each.column.name for each in (*roles.values(), *undone_by(guess.sample.columns))}
        return [each.name for each in guess.sample.columns if each.name in read and each.filled <= basket.filled]
    if basket is None or basket.nulls or "item_id" not in roles or basket.distinct > 0.95 * basket.rows:
        return []
    told = {role: roles[role].column for role in _ONCE if role in roles}
    once = {
        role: column.name
        for role, column in told.items()
        if column in guess.sample.columns
        and column.filled < 0.95 * column.rows
        and abs(column.filled - basket.distinct) <= _ALIKE * basket.distinct
    }
    if once.keys() & {"event_time", "status"}:
        names = [*once.values(), *(each.column.name for each in undone_by(guess.sample.columns) if each.column.nulls)]
        return list(dict.fromkeys(names))
    # A user alone lacks in the lines of guests, too.
    return []


def _stands_once(basket: ColumnProfile, roles: dict[str, Guess]) -> bool:
    """Whether the order's number itself stands in its first line alone, and the lines below it belong to it."""
    once = basket.nulls > 0 and 1 < basket.distinct == basket.filled
    told = [roles[role].column for role in ("event_time", "user_id") if role in roles]
    item = roles["item_id"].column if "item_id" in roles else None
    return once and bool(told) and item is not None and not item.nulls and all(each.nulls for each in told)


def filled_in(names: list[str], basket: str) -> str:
    """SQL of the relation `deeds` in which every line of an order has what one of them says.

    Where the order's number is among these, a line belongs to the last number above it.
    """
    if basket in names:
        said = ", ".join(f"max({quoted(name)}) over lines as {quoted(name)}" for name in names)
        above = f"count({quoted(basket)}) over (rows between unbounded preceding and current row) as place"
        return (
            f"select * exclude (place) replace ({said}) from (select *, {above} from deeds) "
            "window lines as (partition by place)"
        )
    said = ", ".join(f"first_value({quoted(name)} ignore nulls) over lines as {quoted(name)}" for name in names)
    whole = "rows between unbounded preceding and unbounded following"
    return f"select * replace ({said}) from deeds window lines as (partition by {quoted(basket)} {whole})"


def with_all(roles: dict[str, Guess], names: list[str]) -> dict[str, Guess]:
    """The roles with these columns as they are once they are filled in; of an order, a user may lack still."""
    whole = roles["basket_id"].column.name in names
    return {
        role: replace(each, column=replace(each.column, nulls=0))
        if each.column.name in names and (whole or role != "user_id")
        else each
        for role, each in roles.items()
    }
