"""Of what the amounts beside a number of pieces are: of one piece, of the whole line, or of the order it belongs to."""

from collections.abc import Sequence

import duckdb

from flows.connection import quoted
from flows.sources.column_profile import ColumnProfile, own_number_sql
from flows.sources.roles import NUMBERS, guess_roles, names_amount

#: Things with two numbers of pieces, or orders of several lines, from which on amounts are compared; what must agree.
_PAIRS, _ORDERS, _MOST = 5, 5, 0.8
#: By how much an amount may differ, as a share of it: discounts, changed prices.
_NEAR = 0.1


def amounts_of(connection: duckdb.DuckDBPyConnection, view: str, columns: Sequence[ColumnProfile]) -> dict[str, str]:
    """Column → of what its amounts are, piece, line or order, where the rows tell it.

    The amount of a line grows with how many were bought of the same thing, that of a piece does not; the amount of an
    order is the same in all of its lines.
    """
    roles = guess_roles(columns, ("item_id", "basket_id", "quantity"))
    amounts = [each for each in columns if each.kind in NUMBERS and names_amount(each.name)]
    if not amounts or "item_id" not in roles:
        return {}
    item = quoted(roles["item_id"].column.name)
    found = {}
    if "quantity" in roles:
        units = roles["quantity"].column
        for each in amounts:
            numbers = (own_number_sql(units), own_number_sql(each))
            if each.name != units.name and (told := _grows(connection, view, item, numbers)):
                found[each.name] = told
    if "basket_id" in roles:
        order = quoted(roles["basket_id"].column.name)
        found |= {each.name: "order" for each in amounts if _is_of_order(connection, view, order, item, each)}
        off = guess_roles(columns, ("discount",)).get("discount")
        if off and _is_off_orders(connection, view, (order, item), own_number_sql(off.column)):
            found[off.column.name] = "order"
    return found


def _grows(connection: duckdb.DuckDBPyConnection, view: str, item: str, numbers: tuple[str, str]) -> str:
    """Line where an amount grows as the pieces do, piece where it stays the same; '' where the rows tell neither."""
    units, amount = numbers
    query = (
        f"with told as (select {item} as item, abs({units}) as units, median(abs({amount})) as amount "
        f"from {quoted(view)} where {units} <> 0 and {amount} <> 0 group by all) "
        "select count(*), "
        f"coalesce(avg(cast(abs(more.amount / few.amount / (more.units / few.units) - 1) < {_NEAR} as int)), 0), "
        f"coalesce(avg(cast(abs(more.amount / few.amount - 1) < {_NEAR} as int)), 0) "
        "from told as few join told as more using (item) where few.units < more.units"
    )
    pairs, grown, same = connection.execute(query).fetchone() or (0, 0, 0)
    return "" if pairs < _PAIRS else "line" if grown >= _MOST else "piece" if same >= _MOST else ""


def _is_of_order(
    connection: duckdb.DuckDBPyConnection, view: str, order: str, item: str, amount: ColumnProfile
) -> bool:
    """Whether an amount is the same in all lines of each order with several things, and differs between orders."""
    query = (
        f"select count(*), count_if(amounts = 1), count(distinct amount) from (select "
        f"count(distinct {quoted(amount.name)}) as amounts, any_value({quoted(amount.name)}) as amount "
        f"from {quoted(view)} where {quoted(amount.name)} is not null group by {order} "
        f"having count(distinct {item}) > 1)"
    )
    orders, alike, values = connection.execute(query).fetchone() or (0, 0, 0)
    return bool(orders >= _ORDERS and alike == orders and values > 2)


def _is_off_orders(connection: duckdb.DuckDBPyConnection, view: str, named: tuple[str, str], amount: str) -> bool:
    """Whether money off is the same in all lines of each order with several things that has any off."""
    order, item = named
    query = (
        f"select count(*), count_if(amounts = 1) from (select count(distinct {amount}) as amounts from {quoted(view)} "
        f"group by {order} having count(distinct {item}) > 1 and max(abs({amount})) > 0)"
    )
    orders, alike = connection.execute(query).fetchone() or (0, 0)
    return bool(orders >= _ORDERS and alike == orders)
