"""What the files of a staged table say, row by row."""

from typing import Any

from flows.connection import connect
from flows.sources.staged_rows import rows_of
from flows.sources.staging import StagedTable


def rows_in(staged: StagedTable) -> list[dict[str, Any]]:
    """The staged rows of all files, in their order, as dicts; the columns that all have alike among them."""
    connection = connect()
    read = (f"select * exclude (file_row_number) from {rows_of(connection, file)}" for file in staged.files)
    return [row for each in read for row in connection.sql(each).to_arrow_table().to_pylist()]
