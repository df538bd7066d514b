"""Which column of a file has the items in a list or an object, so that a draft makes rows of them."""

import json
from typing import Any

import duckdb

from flows.connection import literal, quoted
from flows.sources.column_times import MOST
from flows.sources.nested_lists import as_json
from flows.sources.roles import names_item, names_part, names_user, plain_name

#: Signs that cut a list in one cell.
_SEPARATORS = (";", "|", ",")
#: Rows of a column that are looked into.
_LOOKED_AT = 500
_FEW = 5
#: Share of the cells of a column of ids that have several; the others have one.
_SEVERAL = 0.5


def look_for_lists(
    connection: duckdb.DuckDBPyConnection, view: str, keys: dict[str, Any], reasons: dict[str, str]
) -> bool:
    """Find the column whose list or object names the items, when no column names one; note how it becomes rows."""
    columns = {row[0]: row[1] for row in connection.execute(f"describe {quoted(view)}").fetchall()}
    users = next((name for name in columns if names_user(name) and _has_several_ids(connection, view, name)), None)
    if users is not None and any(names_item(name) for name in columns):
        keys |= {"unnest": users, "separator": ","}
        reasons["unnest"] = f"{users} has several users, cut by ','; each becomes a row"
        return True
    listed = [name for name in columns if names_item(name) and _is_list_of_words(connection, view, name, columns[name])]
    if any(names_item(name) for name in columns if name not in listed and not _separator(connection, view, name)):
        return False
    if listed:
        keys["unnest"] = listed[0]
        reasons["unnest"] = f"{listed[0]} is a list; each element is a row"
        return True
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
    if path := _far_within(connection, view, columns):
        keys["unnest"] = path
        reasons["unnest"] = f"the first list of objects within {path.split('.')[0]}; each element is a row"
    return "unnest" in keys


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


def _far_within(connection: duckdb.DuckDBPyConnection, view: str, columns: dict[str, str]) -> str | None:
    """The path of a list that lies deeper than in one object, as answers of an API have it: data.orders.edges.

    Where the list's own objects name no item, but those of a list within them do, it goes on to that one. A list that
    names no item is one only where it is all that there is: in a file of one object.
    """
    rows = (connection.execute(f"select count(*) from {quoted(view)}").fetchone() or (0,))[0]
    for name, dtype in columns.items():
        text = quoted(name) if dtype == "VARCHAR" else f"cast(to_json({quoted(name)}) as varchar)"
        query = f"select {text} from {quoted(view)} where regexp_matches({text}, '^\\s*\\{{') limit {_FEW}"
        for (value,) in connection.execute(query).fetchall():
            path, elements = _first_list(_parsed(value), (name,))
            path, elements = _unwrapped(path, elements)
            within = next((key for key in _lists_of(elements) if _name_item(_elements_of(elements, key))), None)
            if elements and (_name_item(elements) or within or rows == 1):
                return ".".join([*path, *([within] if within and not _name_item(elements) else [])])
    return None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _first_list(value: Any, path: tuple[str, ...]) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    """The path and the elements of the first list of objects within an object, the shallowest first."""
    level = [(path, value)]
    while level:
        inside = [((*at, key), each) for at, one in level if isinstance(one, dict) for key, each in one.items()]
        for at, each in inside:
            if isinstance(each, list) and (objects := [one for one in each if isinstance(one, dict)]):
                return at, objects
        level = inside
    return path, []


def _unwrapped(path: tuple[str, ...], elements: list[dict[str, Any]]) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    """Elements that have one key each, an object, as those objects: `edges` with a `node` each."""
    while elements and len(keys := {key for each in elements for key in each}) == 1:
        key = keys.pop()
        inner = [each[key] for each in elements]
        if not all(isinstance(each, dict) for each in inner):
            break
        path, elements = (*path, key), inner
    return path, elements


def _lists_of(elements: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for each in elements for key, value in each.items() if isinstance(value, list)))


def _elements_of(elements: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    every = [each[key] for each in elements if isinstance(each.get(key), list)]
    return [one for each in every for one in each if isinstance(one, dict)]


def _name_item(elements: list[dict[str, Any]]) -> bool:
    return any(names_item(key) for each in elements for key in each)


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


def _is_list_of_words(connection: duckdb.DuckDBPyConnection, view: str, name: str, dtype: str) -> bool:
    """Whether nearly all values of a column are lists, as JSON has them or Python prints them, of words or numbers."""
    chosen = f"select {quoted(name)} from {quoted(view)} where {quoted(name)} is not null limit {_LOOKED_AT}"
    values = f"select {as_json(connection, name, dtype)} as v from ({chosen})"
    kinds = "list_transform(cast(v as json[]), lambda part: json_type(part))"
    plain = f"json_type(v) = 'ARRAY' and not list_has_any({kinds}, ['OBJECT', 'ARRAY'])"
    query = f"select avg(cast(coalesce(case when {plain} then true end, false) as int)) from ({values})"
    return bool(((connection.execute(query).fetchone() or (0,))[0] or 0) > MOST)


def _has_several_ids(connection: duckdb.DuckDBPyConnection, view: str, name: str) -> bool:
    """Whether most cells of a column have several ids, cut by commas: no blanks, a digit in each, which no name has."""
    several = "regexp_full_match(v, '[\\w-]*\\d[\\w-]*(,[\\w-]*\\d[\\w-]*)+') and not regexp_full_match(v, '\\d+,\\d+')"
    chosen = (
        f"select cast({quoted(name)} as varchar) as v from {quoted(view)} where {quoted(name)} is not null limit 2000"
    )
    query = f"select avg(cast({several} as int)) from ({chosen})"
    return bool(((connection.execute(query).fetchone() or (0,))[0] or 0) > _SEVERAL)


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
