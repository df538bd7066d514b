"""Which column of a file has the items in a list or an object, so that a draft makes rows of them."""

from typing import Any

import duckdb

from flows.connection import literal, quoted
from flows.sources.nested_lists import as_json
from flows.sources.roles import names_item, names_part, plain_name

#: Signs that cut a list in one cell.
_SEPARATORS = (";", "|", ",")
#: Rows of a column that are looked into.
_LOOKED_AT = 500


def look_for_lists(
    connection: duckdb.DuckDBPyConnection, view: str, keys: dict[str, Any], reasons: dict[str, str]
) -> bool:
    """Find the column whose list or object names the items, when no column names one; note how it becomes rows."""
    columns = {row[0]: row[1] for row in connection.execute(f"describe {quoted(view)}").fetchall()}
    if any(names_item(name) for name in columns if not _separator(connection, view, name)):
        return False
    for name, dtype in columns.items():
        what, inside = _keys_within(connection, view, name, dtype)
        if any(names_item(key) for key in inside):
            keys["unnest"] = name
            listed = ", ".join(inside)
            reasons["unnest"] = f"{name} is a list; each element is a row, with the columns {listed}"
            if what == "OBJECT":
                reasons["unnest"] = f"{name} is an object, with the columns {listed}"
        elif names_item(name) and (sign := _separator(connection, view, name)):
            keys |= {"unnest": name, "separator": sign}
            reasons["unnest"] = f"{name} has several items, cut by {sign!r}; each becomes a row"
        if "unnest" in keys:
            return True
    return False


def list_within(connection: duckdb.DuckDBPyConnection, view: str, column: str | None) -> tuple[str | None, list[str]]:
    """Return the path of a list of items within the objects of the column that was unnested, and its elements' keys.

    `view` has the keys of these objects as columns. The path is None where there is no such list.
    """
    if column is None:
        return None, []
    for name, dtype in ((row[0], row[1]) for row in connection.execute(f"describe {quoted(view)}").fetchall()):
        what, inside = _keys_within(connection, view, name, dtype)
        if what == "ARRAY" and any(names_item(key) for key in inside):
            return f"{column}.{name}", inside
    return None, []


def objects_within(connection: duckdb.DuckDBPyConnection, view: str) -> list[str]:
    """Return the columns with an object that has a user, an item, a price or a category in it."""
    found = []
    for name, dtype in ((row[0], row[1]) for row in connection.execute(f"describe {quoted(view)}").fetchall()):
        what, inside = _keys_within(connection, view, name, dtype)
        if what == "OBJECT" and any(names_part(f"{name}_{key}") for key in inside):
            found.append(name)
    return found


def _keys_within(
    connection: duckdb.DuckDBPyConnection, view: str, name: str, dtype: str
) -> tuple[str | None, list[str]]:
    """What the first filled rows of a column are (ARRAY of objects, OBJECT), and the keys of the objects; else none."""
    text = quoted(name) if dtype == "VARCHAR" else f"cast(to_json({quoted(name)}) as varchar)"
    begins = f"regexp_matches({text}, '^\\s*(\\{{|\\[\\s*\\{{)')"
    chosen = f"select {quoted(name)} from {quoted(view)} where {begins} limit {_LOOKED_AT}"
    values = f"select {as_json(connection, name, dtype)} as v from ({chosen})"
    elements = (
        f"select json_type(v) as what, unnest(case json_type(v) when 'ARRAY' then cast(v as json[]) else [v] end) as e "
        f"from ({values}) where json_type(v) in ('ARRAY', 'OBJECT')"
    )
    query = f"select what, unnest(json_keys(e)) from ({elements}) where json_type(e) = 'OBJECT'"
    found = connection.execute(f"select distinct * from ({query}) order by all").fetchall()
    kinds = {what for what, _ in found}
    return (kinds.pop() if len(kinds) == 1 else None), sorted({key for _, key in found})


def _separator(connection: duckdb.DuckDBPyConnection, view: str, name: str) -> str:
    """The sign that cuts a list of things in most cells of a column with many things' name, else ''."""
    if not plain_name(name).endswith("s"):
        return ""
    tests = ", ".join(f"avg(cast(contains(v, {literal(sign)}) as int))" for sign in _SEPARATORS)
    shares = (
        connection.execute(
            f"select {tests} from (select cast({quoted(name)} as varchar) as v from {quoted(view)} limit 2000)"
        ).fetchone()
        or ()
    )
    return next((sign for sign, share in zip(_SEPARATORS, shares, strict=False) if (share or 0) > 0.3), "")
