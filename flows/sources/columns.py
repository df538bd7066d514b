"""Contract columns as DuckDB SQL over raw columns: types checked, text read as the contract's types."""

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import duckdb

from feature_repo.schema import TABLES, Column
from flows.connection import literal, quoted
from flows.sources.mapping import Mapping, Section
from flows.sources.mapping_keys import ExportRejected, MappingError
from flows.sources.reading import TEXT_OF, joined_offset, number_sql

_NUMBERS = re.compile(r"^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*)$")
_TIMES = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATE", "TIMESTAMP WITH TIME ZONE")
_EPOCHS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1, "epoch_ns": 0.001}
_KINDS = {
    "string": "text",
    "timestamp": "a time",
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "list<string>": "a list",
}


@dataclass(frozen=True)
class Expression:
    """One contract column: its SQL value, and SQL that is null or says which value could not be read."""

    value: str
    unreadable: str | None = None


def contract_expressions(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, section: Section
) -> dict[str, Expression]:
    """An Expression for each column of the section's table, over the relation `raw r`.

    Raises MappingError where an expression is wrong, ExportRejected where a column is missing or of the wrong type.
    """
    raw = {row[0]: row[1] for row in connection.execute("describe raw").fetchall()}
    expressions = {}
    for column in TABLES[section.table].columns:
        given = _given(mapping, section, column, raw)
        if given is None:
            expressions[column.name] = Expression(f"cast(null as {_sql_type(column)})")
            continue
        dtype = _type_of(connection, mapping, section, column, given)
        expressions[column.name] = _read_as(connection, mapping, section, column, (f"({given})", dtype, raw))
    return expressions


def as_expression(given: str, raw: Collection[str]) -> str:
    """What a mapping says of a column as SQL: the bare name of a raw column needs no quotes, blanks in it or not."""
    return quoted(given) if given in raw else given


def raw_columns_of(connection: duckdb.DuckDBPyConnection, expression: str, null_tests: bool = True) -> set[str]:
    """The raw columns that an expression reads, written as the export does: SQL takes `Customer` for `customer`.

    Without `null_tests`, those of which it asks no more than whether they are null do not count.
    """
    known = {name.casefold(): name for name in raw_names(connection)}
    return {known.get(name.casefold(), name) for name in columns_in(connection, f"select {expression}", null_tests)}


def columns_in(connection: duckdb.DuckDBPyConnection, query: str, null_tests: bool = True) -> set[str]:
    """The names of all columns that a query writes out, as it writes them; `null_tests` as above."""
    row = connection.execute("select json_serialize_sql(?)", [query]).fetchone()
    found: set[str] = set()
    todo = [json.loads(row[0])] if row else []
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            if not null_tests and _tests_for_null(node):
                continue
            if node.get("class") == "COLUMN_REF":
                found.update(node["column_names"])
            found.update(node.get("using_columns") or ())
            todo.extend(node.values())
        elif isinstance(node, list):
            todo.extend(node)
    return found


def _tests_for_null(node: dict[str, Any]) -> bool:
    """Whether a part of a query is `column is null` or `column is not null`."""
    tests = node.get("type") in ("OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL")
    return tests and len(node["children"][0].get("column_names", ())) == 1


def raw_names(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The columns of the relation `raw`; none where there is none."""
    query = "select column_name from duckdb_columns() where table_name = 'raw'"
    return [name for (name,) in connection.execute(query).fetchall()]


def over_pseudonyms(connection: duckdb.DuckDBPyConnection, expression: str, user_columns: set[str]) -> str:
    """The expression with the pseudonym (p.pseudonym) in place of each raw column that the user id is made of."""
    row = connection.execute("select json_serialize_sql(?)", [f"select {expression}"]).fetchone()
    tree, hidden = json.loads(row[0]) if row else {}, {name.casefold() for name in user_columns}
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            if node.get("class") == "COLUMN_REF" and node["column_names"][-1].casefold() in hidden:
                node["column_names"] = ["p", "pseudonym"]
            todo.extend(node.values())
        elif isinstance(node, list):
            todo.extend(node)
    written = connection.execute("select json_deserialize_sql(?)", [json.dumps(tree)]).fetchone()
    return str(written[0]).removeprefix("SELECT ") if written else expression


def _given(mapping: Mapping, section: Section, column: Column, raw: dict[str, str]) -> str | None:
    """The mapping's expression, else the raw column of the same name, else the shop's default."""
    name = column.name
    if name == "source":
        return literal(mapping.source)
    if name in section.columns:
        return as_expression(section.columns[name], raw)
    if section.from_events and name in ("item_id", "updated_at"):
        return {"item_id": "_item_id", "updated_at": "_event_time"}[name]
    if name == "traits":
        return _traits(section)
    if name in raw:
        return quoted(name)
    defaults = {"currency": mapping.currency, "channel": mapping.channel}
    if defaults.get(name) is not None:
        return literal(str(defaults[name]))
    if name == "available":
        return "true"
    if name == "title":
        return _title_by_id(section, raw)
    if column.nullable or name in ("known_at", "updated_at", "event_id"):
        return _event_id_or_null(mapping, section, name)
    raise MappingError(
        mapping.file,
        f"{section.label}.columns.{name}",
        f"an SQL expression over the export's columns ({column.meaning}; it may not be null)",
        "nothing",
        _shown(raw),
    )


def _shown(columns: Iterable[str]) -> list[str]:
    return [name for name in columns if not name.startswith(TEXT_OF)]


def _event_id_or_null(mapping: Mapping, section: Section, name: str) -> None:
    if name == "event_id" and not section.key:
        raise MappingError(
            mapping.file,
            f"{section.label}.event_id",
            'the columns that name one event, like ["user_id", "event_time", "item_id"]',
            "none",
        )


def _traits(section: Section) -> str:
    if not section.traits:
        return "'{}'"
    pairs = ", ".join(f"{literal(name)}: cast({quoted(name)} as varchar)" for name in section.traits)
    return f"cast(json_merge_patch('{{}}'::json, to_json({{{pairs}}})) as varchar)"


def _type_of(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, section: Section, column: Column, given: str
) -> str:
    try:
        row = connection.execute(f"describe select ({given}) as value from raw r").fetchone()
    except duckdb.Error as error:
        came = f"{given!r}, which fails: {str(error).splitlines()[0]}"
        columns = _shown([name for name, *_ in connection.execute("describe raw").fetchall()])
        expected = f"an SQL expression over the export's columns ({column.meaning})"
        raise MappingError(mapping.file, f"{section.label}.columns.{column.name}", expected, came, columns) from error
    return str(row[1]) if row else "VARCHAR"


def _read_as(
    connection: duckdb.DuckDBPyConnection,
    mapping: Mapping,
    section: Section,
    column: Column,
    typed: tuple[str, str, Collection[str]],
) -> Expression:
    given, dtype, raw = typed
    if column.name == "event_type" and section.event_types:
        given = _mapped_event_type(given, section.event_types)
    target = _sql_type(column)
    if column.dtype == "string":
        text = f"cast({given} as varchar)"
        bare = column.name in ("user_id", "item_id") and _NUMBERS.match(dtype)  # no blanks to look for
        return Expression(text if bare else _text(section, column.name, text, raw))
    if column.dtype == "timestamp":
        read = _time(connection, mapping, section, given, dtype)
    elif column.dtype == "list<string>":
        read = f"cast({given} as varchar[])" if dtype.endswith("[]") else None
    elif column.dtype == "float" and dtype == "VARCHAR":
        read = number_sql(given, section.number_format)
    elif dtype == "VARCHAR" or _NUMBERS.match(dtype) or dtype == "BOOLEAN":
        read = f"try_cast({given} as {target})"
    else:
        read = None
    if dtype == '"NULL"':
        read = f"cast(null as {target})"
    if read is None:
        raise ExportRejected(
            f"{mapping.source}: {section.label}.{column.name}: expected {_KINDS[column.dtype]}, but {given} is of type "
            f"{dtype} in the export. Nothing was written. Mend the export, or the expression in {mapping.file}."
        )
    if dtype != "VARCHAR":
        return Expression(read)
    private = mapping.private and any(map(mapping.is_private, raw_columns_of(connection, given)))
    came = "'something else'" if private else f"left({given}, 200)"
    told = f"{literal(f'{column.name}: expected {_KINDS[column.dtype]}, came ')} || {came}"
    return Expression(read, f"case when {given} is not null and {read} is null then {told} end")


def _text(section: Section, name: str, value: str, raw: Collection[str]) -> str:
    """An item without a title is called by its id; blanks around an id are no part of it, and blanks alone are none."""
    if name in ("user_id", "item_id"):
        return f"nullif({_trimmed(value)}, '')"
    if name in ("category", "brand", "title"):
        words = f"nullif({_single_blanks(value)}, '')"
        return f"coalesce({words}, {_title_by_id(section, raw)})" if name == "title" else words
    return value


def _title_by_id(section: Section, raw: Collection[str]) -> str:
    given = section.columns.get("item_id", "_item_id" if section.from_events else "item_id")
    return f"'Item ' || {_trimmed(f'cast({as_expression(given, raw)} as varchar)')}"


def _trimmed(text: str) -> str:
    # Few ids have blanks, and to look for them costs a quarter of taking them off.
    blanks = "' ' || chr(9) || chr(10) || chr(13) || chr(160)"
    return f"case when regexp_matches({text}, '^[\\s\\xA0]|[\\s\\xA0]$') then trim({text}, {blanks}) else {text} end"


def _single_blanks(text: str) -> str:
    odd = f"regexp_matches({text}, '[\\s\\xA0]{{2}}|[^\\S ]|\\xA0|^ | $')"  # looked for first, as with ids
    return f"case when {odd} then trim(regexp_replace({text}, '[\\s\\xA0]+', ' ', 'g')) else {text} end"


def _mapped_event_type(given: str, event_types: dict[str, str]) -> str:
    cases = " ".join(f"when {literal(raw)} then {literal(meant)}" for raw, meant in event_types.items())
    return f"case cast({given} as varchar) {cases} else cast({given} as varchar) end"


def _time(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, section: Section, given: str, dtype: str
) -> str | None:
    """SQL that reads a time by the first of the section's formats that fits, or None for a type that is no time."""
    if dtype in _TIMES:
        return f"cast({given} as timestamptz)"
    numeric = _NUMBERS.match(dtype) is not None
    read = []
    for time_format in section.time_formats:
        if time_format in _EPOCHS:
            microseconds = f"try_cast(round(try_cast({given} as double) * {_EPOCHS[time_format]}) as bigint)"
            read.append(f"try(make_timestamptz({microseconds}))")
        elif time_format == "iso" and not numeric:
            # A blank before the offset makes DuckDB look for a time zone of like name: 0.7 ms a row.
            read.append(f"try_cast({joined_offset(given)} as timestamptz)")
        elif not numeric:
            _require_strptime(connection, mapping, section, time_format)
            read.append(f"cast(try_strptime({given}, {literal(time_format)}) as timestamptz)")
    usable = read and (numeric or dtype == "VARCHAR")
    return f"coalesce({', '.join([*read, 'null::timestamptz'])})" if usable else None


def _require_strptime(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, section: Section, time_format: str
) -> None:
    came = repr(time_format)
    try:
        connection.execute(f"select try_strptime('', {literal(time_format)})")
        if "%" in time_format:
            return
    except duckdb.Error as error:
        came += f", which fails: {str(error).splitlines()[0]}"
    expected = f"iso, {', '.join(_EPOCHS)}, or a strptime format like %d.%m.%Y %H:%M"
    raise MappingError(mapping.file, f"{section.label}.time_format", expected, came)


def _sql_type(column: Column) -> str:
    return {
        "string": "varchar",
        "timestamp": "timestamptz",
        "float": "double",
        "int": "bigint",
        "bool": "boolean",
        "list<string>": "varchar[]",
    }[column.dtype]
