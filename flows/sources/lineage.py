"""What the columns of a `from` are made of: the names behind its aliases, through joins, subqueries and renamings."""

import json
from collections.abc import Iterator
from typing import Any

import duckdb


def names_behind(connection: duckdb.DuckDBPyConnection, query: str, wanted: set[str]) -> set[str] | None:
    """All names that these columns of a query may be made of, their own too, in small letters; None: nobody knows.

    A column that takes its name by its place (a union, `t(name)`) is not followed, nor is SQL that has no tree.
    """
    row = connection.execute("select json_serialize_sql(?)", [query]).fetchone()
    tree = json.loads(row[0]) if row else {"error": True}
    nodes = list(_nodes(tree))
    if tree["error"] or any(_names_by_place(node) for node in nodes):
        return None
    found = {name.casefold() for name in wanted}
    while True:
        more = {name for node in nodes for alias, names in _made(node) if alias in found for name in names}
        if more <= found:
            return found
        found |= more


def _nodes(tree: object) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
    for part in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _nodes(part)


def _names_by_place(node: dict[str, Any]) -> bool:
    by_place = node.get("type") == "SET_OPERATION_NODE" and node.get("setop_type") != "UNION_BY_NAME"
    return by_place or bool(node.get("column_name_alias")) or bool(node.get("aliases"))


def _made(node: dict[str, Any]) -> Iterator[tuple[str, set[str]]]:
    """The names that one part of a query makes, each with the names that it is made of; tables have aliases, too."""
    if node.get("class") and node.get("alias"):
        yield node["alias"].casefold(), _read_in(node)
    for renamed in node.get("rename_list") or ():
        yield renamed["value"].casefold(), {renamed["key"]["column"].casefold()}
    for replaced in node.get("replace_list") or ():
        yield replaced["key"].casefold(), _read_in(replaced["value"])


def _read_in(tree: object) -> set[str]:
    refs = (node for node in _nodes(tree) if node.get("class") == "COLUMN_REF")
    return {name.casefold() for node in refs for name in node["column_names"]}
