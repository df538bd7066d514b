"""Which raw columns hold a user's id: those that the mapping makes it of, and those that a `from` gave another name."""

from collections.abc import Collection

import duckdb

from flows.connection import literal
from flows.sources.columns import as_expression, raw_columns_of, raw_names
from flows.sources.lineage import names_behind
from flows.sources.mapping import Section


def query_of(section: Section) -> str:
    """The `from` of a section as a whole query; an empty one where it reads files."""
    relation = (section.relation or "").strip()
    return relation if not relation or relation.lower().startswith(("select", "with")) else f"select * from {relation}"


def user_columns(connection: duckdb.DuckDBPyConnection, section: Section) -> set[str]:
    """The raw columns that the user id is made of, but for a session or basket id that stands in for a missing one."""
    raw = raw_names(connection)
    users = raw_columns_of(connection, as_expression(section.columns.get("user_id", "user_id"), raw))
    return users if len(users) == 1 else _but_visits(section, users)


def columns_behind(
    connection: duckdb.DuckDBPyConnection, section: Section, users: set[str], inputs: Collection[str]
) -> set[str]:
    """The raw columns beside `users` that a `from` made them of: `customer` in `select *, customer as uid from sales`.

    A name that several inputs have is not followed: it may stand for an order's id as well as for a customer's.
    """
    behind = names_behind(connection, query_of(section), users) if section.relation and users else None
    if not behind:
        return set()
    rows = connection.execute(
        "select lower(column_name) from duckdb_columns() where table_name in "
        f"({', '.join(map(literal, inputs))}) group by 1 having count(distinct table_name) = 1"
    ).fetchall()
    told = behind & {str(name) for (name,) in rows}
    found = {name for name in raw_names(connection) if name.casefold() in told} - users
    return _but_visits(section, found)


def _but_visits(section: Section, found: set[str]) -> set[str]:
    visits = {section.columns.get(name, name).strip('"').casefold() for name in ("session_id", "basket_id")}
    return {name for name in found if name.casefold() not in visits} or found
