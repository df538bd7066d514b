"""A list within a row to rows of their own: the lines of an order, the events of a session, the items of a basket."""

import ast
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from duckdb.sqltypes import VARCHAR

from flows.connection import literal, quoted
from flows.sources.mapping_keys import ExportRejected

#: The whole value of the list's column, and one element of it.
_WHOLE, _ELEMENT = "_whole", "_element"


@dataclass(frozen=True)
class ListColumn:
    """A column that has a list or an object: JSON, a type of parquet, text cut at `separator` ('' for none).

    `name` may be a path into objects, `properties.products`. `others` are the paths that a row without it is asked for
    next; they begin with the same column.
    """

    name: str
    separator: str = ""
    others: tuple[str, ...] = ()


def unnested(connection: duckdb.DuckDBPyConnection, source: str, listed: ListColumn, target: Path, file: str) -> str:
    """Write one row for each element of the list to a parquet file; return the SQL that reads it, all text.

    The keys of an element that is an object are columns (`events_ts` where the row has a column `ts` already); an
    element that is a plain value stands in the list's own column. One object in place of a list is a list of one.
    `properties.products` is a list within the object `properties`, whose other keys are columns as well; what is a
    list on the way becomes rows, too. A row whose list is empty, null or no list stays, with nulls in place of an
    element. Of several paths (`listed.others`) each row is read by the first that has elements. Raises ExportRejected
    when there is no such column.
    """
    types = {row[0]: row[1] for row in connection.execute(f"describe {source}").fetchall()}
    column, *path = [listed.name] if listed.name in types else listed.name.split(".")
    if column not in types:
        raise ExportRejected(
            f"{file} lacks the column {listed.name!r}, which the mapping names in unnest. Nothing was written. "
            f"The export's columns are: {', '.join(types)}."
        )
    whole = as_json(connection, column, types[column])
    if listed.separator:
        whole = _parts(column, listed.separator)
    read = f"select * exclude ({quoted(column)}), {whole} as {_WHOLE} from ({source})"
    paths = [path, *(other.split(".")[1:] for other in listed.others)]
    rows, levels = _rows(read, paths)
    columns = _columns(connection, rows, [each for each in types if each != column], [column, *path], levels)
    chosen = ", ".join(f"{made} as {quoted(each)}" for each, made in columns.items())
    connection.execute(f"copy (select {chosen} from ({rows})) to {literal(str(target))} (format parquet)")
    return f"select * from read_parquet({literal(str(target))})"


@dataclass(frozen=True)
class _Levels:
    """The SQL columns of what lies on the way to an element, the outermost first, and whether the last may be one."""

    values: tuple[str, ...] = ()
    last_itself: bool = False


def _rows(read: str, paths: Sequence[Sequence[str]]) -> tuple[str, _Levels]:
    """SQL for the rows, one an element. All paths go the same way first; each list on it becomes rows step by step."""
    path, *others = paths
    if not path:
        return f"select *, unnest({_elements([_WHOLE])}) as {_ELEMENT} from ({read})", _Levels()
    shared = 0
    while shared < len(path) - 1 and all(each[: shared + 1] == path[: shared + 1] for each in others):
        shared += 1
    rows, value, values = read, _WHOLE, []
    for depth, step in enumerate([[], *([name] for name in path[:shared])]):
        values.append(f"{_WHOLE}_{depth}")
        rows = f"select *, unnest({_elements([_at(value, step)])}) as {values[-1]} from ({rows})"
        value = values[-1]
    ends = [_at(value, each[shared:]) for each in paths]
    levels = _Levels(tuple(values), any(len(each) == shared for each in others))
    return f"select *, unnest({_elements(ends)}) as {_ELEMENT} from ({rows})", levels


def _columns(
    connection: duckdb.DuckDBPyConnection, rows: str, beside: Sequence[str], names: Sequence[str], levels: _Levels
) -> dict[str, str]:
    """Column → SQL: those beside the list, the keys of an element, the other keys of the objects on the way to it.

    `names` are the steps of the path, the list's own column first.
    """
    columns = {each: quoted(each) for each in beside}
    last = len(levels.values) - 1
    # Where what has the list may itself be the element, a key is one column, whichever of the two has it.
    name = names[last] if levels.last_itself else names[-1]
    columns |= _columns_of(connection, rows, _ELEMENT, name, beside)
    outermost_first = sorted(range(last + 1), key=lambda depth: (not (levels.last_itself and depth == last), depth))
    for depth in outermost_first:
        known = set(beside) if levels.last_itself and depth == last else set(columns)
        for each, made in _columns_of(connection, rows, levels.values[depth], names[depth], known).items():
            columns[each] = f"coalesce({columns[each]}, {made})" if each in columns else made
        step = names[depth + 1]
        columns.pop(f"{names[depth]}_{step}" if step in known else step, None)
    plain = f"case when json_type({_ELEMENT}) <> 'OBJECT' then json_extract_string({_ELEMENT}, '$') end"
    return {**columns, name: plain}


def opened_objects(
    connection: duckdb.DuckDBPyConnection, source: str, names: Sequence[str], target: Path, file: str
) -> str:
    """Write the rows with a column for each key of these objects, `customer_id`, to parquet; return the SQL to read it.

    An object within one that came before can be named as well. Raises ExportRejected when there is no such column.
    """
    for name in names:
        types = {row[0]: row[1] for row in connection.execute(f"describe {source}").fetchall()}
        if name not in types:
            raise ExportRejected(
                f"{file} lacks the column {name!r}, which the mapping names in objects. Nothing was written. "
                f"The export's columns are: {', '.join(types)}."
            )
        read = (
            f"select * exclude ({quoted(name)}), {as_json(connection, name, types[name])} as {_WHOLE} from ({source})"
        )
        others = {each: quoted(each) for each in types if each != name}
        keys = {f"{name}_{key}": made for key, made in _columns_of(connection, read, _WHOLE, name, ()).items()}
        chosen = ", ".join(f"{made} as {quoted(each)}" for each, made in (keys | others).items())
        part = target.with_name(f"{target.stem}-{name}.parquet")
        connection.execute(f"copy (select {chosen} from ({read})) to {literal(str(part))} (format parquet)")
        source = f"select * from read_parquet({literal(str(part))})"
    return source


def as_json(connection: duckdb.DuckDBPyConnection, column: str, dtype: str) -> str:
    """SQL that gives a column as JSON, also what Python printed (`[{'id': 1}]`); null where it is neither."""
    if dtype != "VARCHAR":
        return f"to_json({quoted(column)})"
    try:
        connection.execute("select printed('')")
    except duckdb.CatalogException:
        connection.create_function("printed", _printed, [VARCHAR], VARCHAR, null_handling="special")
    text = quoted(column)
    return f"cast(case when json_valid({text}) then {text} when {text} is not null then printed({text}) end as json)"


def _printed(text: str | None) -> str | None:
    """Return what Python printed, a list or a dict, as JSON; None for anything else."""
    if not text or text[0] not in "[{":
        return None
    try:
        return json.dumps(ast.literal_eval(text), ensure_ascii=False)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _parts(column: str, separator: str) -> str:
    """SQL for the parts of a cell as a JSON list."""
    parts = f"list_transform(string_split({quoted(column)}, {literal(separator)}), lambda part: trim(part))"
    return f"to_json(list_filter({parts}, lambda part: part <> ''))"


def _at(value: str, path: Sequence[str]) -> str:
    """SQL for what lies at a path of a JSON value."""
    return f"json_extract({value}, {literal('/' + '/'.join(path))})" if path else value


def _elements(wholes: Sequence[str]) -> str:
    """SQL for the elements (json[]) of the first value that has some, a list or one object; else one null."""
    cases = []
    for whole in wholes:
        found = f"case json_type({whole}) when 'ARRAY' then cast({whole} as json[]) when 'OBJECT' then [{whole}] end"
        cases.append(f"when coalesce(len({found}), 0) > 0 then {found}")
    return f"case {' '.join(cases)} else [null::json] end"


def _columns_of(
    connection: duckdb.DuckDBPyConnection, rows: str, value: str, name: str, taken: Collection[str]
) -> dict[str, str]:
    """Column → SQL, one a key of the objects in `value`; `name` stands before one that is taken."""
    keys = connection.execute(
        f"select distinct unnest(json_keys({value})) as key from ({rows}) "
        f"where json_type({value}) = 'OBJECT' order by key"
    ).fetchall()
    named = {key: f"{name}_{key}" if key in taken else key for (key,) in keys}
    return {each: f"json_extract_string({value}, {literal(_pointer(key))})" for key, each in named.items()}


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")
