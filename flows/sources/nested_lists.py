"""A list within a row to rows of their own: the lines of an order, the events of a session, the items of a basket."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from flows.connection import literal, quoted
from flows.sources.mapping_keys import ExportRejected

_ELEMENT = "_element"


@dataclass(frozen=True)
class ListColumn:
    """A column that has a list: JSON, a list type of parquet, or text that is cut at `separator` ('' for none)."""

    name: str
    separator: str = ""


def unnested(connection: duckdb.DuckDBPyConnection, source: str, listed: ListColumn, target: Path, file: str) -> str:
    """Write one row for each element of the list to a parquet file; return the SQL that reads it, all text.

    The keys of an element that is an object are columns (`events_ts` where the row has a column `ts` already); an
    element that is a plain value stands in the list's own column. A row whose list is empty, null or no list stays,
    with nulls in place of an element. Raises ExportRejected when there is no such column.
    """
    types = {row[0]: row[1] for row in connection.execute(f"describe {source}").fetchall()}
    if listed.name not in types:
        raise ExportRejected(
            f"{file} lacks the column {listed.name!r}, which the mapping names in unnest. Nothing was written. "
            f"The export's columns are: {', '.join(types)}."
        )
    elements = _elements(listed, types[listed.name])
    keys = [
        key
        for (key,) in connection.execute(
            f"select distinct unnest(json_keys({_ELEMENT})) as key from ({_rows(source, listed, elements)}) "
            f"where json_type({_ELEMENT}) = 'OBJECT' order by key"
        ).fetchall()
    ]
    others = [name for name in types if name != listed.name]
    columns = [quoted(name) for name in others]
    for key in keys:
        name = key if key not in types else f"{listed.name}_{key}"
        columns.append(f"json_extract_string({_ELEMENT}, {literal(_pointer(key))}) as {quoted(name)}")
    plain = f"case when json_type({_ELEMENT}) <> 'OBJECT' then json_extract_string({_ELEMENT}, '$') end"
    columns.append(f"{plain} as {quoted(listed.name)}")
    connection.execute(
        f"copy (select {', '.join(columns)} from ({_rows(source, listed, elements)})) to {literal(str(target))} "
        "(format parquet)"
    )
    return f"select * from read_parquet({literal(str(target))})"


def _rows(source: str, listed: ListColumn, elements: str) -> str:
    filled = f"case when coalesce(len({elements}), 0) = 0 then [null::json] else {elements} end"
    return f"select * exclude ({quoted(listed.name)}), unnest({filled}) as {_ELEMENT} from ({source})"


def _elements(listed: ListColumn, dtype: str) -> str:
    """SQL for the elements as json[]."""
    column = quoted(listed.name)
    if dtype != "VARCHAR":
        column = f"cast(to_json({column}) as varchar)"
    as_json = f"case when json_valid({column}) and json_type({column}) = 'ARRAY' then cast({column} as json[]) end"
    if not listed.separator:
        return as_json
    parts = f"list_transform(string_split({column}, {literal(listed.separator)}), lambda part: trim(part))"
    return f"list_transform(list_filter({parts}, lambda part: part <> ''), lambda part: to_json(part))"


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")
