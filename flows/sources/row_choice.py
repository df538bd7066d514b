"""Which raw rows a section takes: those that `where` names, without left-out event types, duplicates once."""

import duckdb

from flows.connection import literal
from flows.sources.columns import as_expression
from flows.sources.mapping import LEFT_OUT, Mapping, Section
from flows.sources.mapping_keys import MappingError
from flows.sources.reading import TEXT_OF
from flows.sources.staging_query import unread_number


def choose_rows(connection: duckdb.DuckDBPyConnection, mapping: Mapping, section: Section) -> int:
    """Narrow the view `raw` to the rows that the mapping wants; return how many it leaves out.

    Raises MappingError when `where` is no condition over the export's columns.
    """
    conditions = []
    if section.where is not None:
        _require_condition(connection, mapping, section)
        # What a condition cannot judge, because a number cannot be read, is held and not left out.
        columns = [row[0] for row in connection.execute("describe raw").fetchall()]
        unread = [f"{unread_number(name, columns)} is not null" for name in columns if name.startswith(TEXT_OF)]
        conditions.append(f"({' or '.join([f'coalesce({section.where}, false)', *unread])})")
    unwanted = [word for word, meant in section.event_types.items() if meant == LEFT_OUT]
    if unwanted:
        raw = [row[0] for row in connection.execute("describe raw").fetchall()]
        given = as_expression(section.columns.get("event_type", "event_type"), raw)
        words = ", ".join(literal(word) for word in unwanted)
        conditions.append(f"coalesce(cast(({given}) as varchar) not in ({words}), true)")
    once = section.duplicates == "once"
    if not conditions and not once:
        return 0
    connection.execute("alter view raw rename to raw_before")
    chosen = f"select {'distinct ' if once else ''}* from raw_before r where {' and '.join(conditions) or 'true'}"
    # A sort of all rows is done once, not each time that the view is looked at.
    connection.execute(f"create {'table' if once else 'view'} raw as {chosen}")
    row = connection.execute("select (select count(*) from raw_before) - (select count(*) from raw)").fetchone()
    return int(row[0]) if row else 0


def _require_condition(connection: duckdb.DuckDBPyConnection, mapping: Mapping, section: Section) -> None:
    try:
        connection.execute(f"describe select coalesce({section.where}, false) from raw")
    except duckdb.Error as error:
        columns = [row[0] for row in connection.execute("describe raw").fetchall()]
        came = f"{section.where!r}, which fails: {str(error).splitlines()[0]}"
        expected = "an SQL condition over the export's columns"
        raise MappingError(mapping.file, f"{section.label}.where", expected, came, columns) from error
