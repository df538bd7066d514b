"""The words of a raw column as the mapping reads them: an event type is judged by what its expression makes of it."""

from collections.abc import Collection

import duckdb
import pyarrow as pa

from flows.connection import connect
from flows.sources.columns import as_expression
from flows.sources.macros import add_macros
from flows.sources.mapping import Section


def words_as_read(section: Section, given: str, column: str, words: Collection[str]) -> set[str]:
    """What the expression `given` makes of a column's words; none where it reads other columns, too.

    Words that the section's `where` leaves out are not read, if it asks for nothing but this column.
    """
    connection = connect()
    add_macros(connection)
    connection.register("raw", pa.table({column: pa.array(sorted(words), pa.string())}))
    query = f"select distinct cast({as_expression(given, (column,))} as varchar) from raw r"
    try:
        for condition in (section.where, None):
            try:
                rows = connection.execute(f"{query} where {condition}" if condition else query).fetchall()
            except duckdb.Error:
                continue
            return {word for (word,) in rows if word is not None}
    finally:
        connection.close()
    return set()
