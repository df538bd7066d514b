"""Raw rows to staged rows: the contract's columns, pseudonyms in place of user ids, one parquet file a section.

A staged file (staged_rows.py) has the contract's columns and: `_window`, `_uncast` (the first value that could not be
read as its column's type, or null), and two hashes by which the raw row is found again (raw_forms.py); where a
catalogue is made of the rows, `_raw` (the raw row as a struct, user ids replaced) itself. It is sorted by its content,
so that the order of the raw rows changes nothing.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from feature_repo.schema import pseudonym
from flows.connection import connect, failure_of, quoted
from flows.sources.columns import (
    Expression,
    columns_in,
    contract_expressions,
    over_pseudonyms,
    raw_columns_of,
    raw_names,
)
from flows.sources.event_catalogue import open_catalogue_of_events
from flows.sources.export_files import files_of
from flows.sources.macros import add_macros
from flows.sources.mapping import Mapping, Section
from flows.sources.mapping_keys import ExportRejected, MappingError
from flows.sources.raw_forms import RawForms, keep_recipe, keyed
from flows.sources.reading import TEXT_OF, Raw, open_raw
from flows.sources.row_choice import choose_rows
from flows.sources.staged_rows import constants, in_content_order, origin_of, write_rows
from flows.sources.staging_query import derived_columns, raw_row_query, staging_query, within
from flows.sources.unread import mask_unread
from flows.sources.user_columns import columns_behind, query_of, user_columns

#: Columns that say a visit, a checkout or a trait in the shop's words; a user id in them becomes the pseudonym.
MAY_NAME_USER = ("session_id", "basket_id", "text", "traits")
_USERS_AT_ONCE = 100_000
#: Rows of a joined input that a rehearsal reads for each one of the input that they are joined to.
JOINED_ROWS = 25


@dataclass(frozen=True)
class Export:
    """What is to be landed: a shop's mapping, where its files lie, and which event times.

    `path` None means where the mapping says; `since` is included, `until` is not, None is open. `rows` bounds how much
    of each file is read: a rehearsal's sample.
    """

    mapping: Mapping
    path: Path | None = None
    since: datetime | None = None
    until: datetime | None = None
    rows: int | None = None

    @property
    def whole(self) -> bool:
        """No event time is left out."""
        return self.since is None and self.until is None


@dataclass(frozen=True)
class StagedTable:
    """One table of one run, staged: its files, the rows in them, and the lines that no column could be read from.

    `left_out` counts the raw rows that the mapping says to leave out (`where`, `leave_out`, `duplicates = "once"`).
    `forms` says, file by file, how raw rows are read again; None (and no entry) where the file has them.
    """

    table: str
    files: tuple[str, ...]
    rows: int
    unread_files: tuple[str, ...]
    unread_rows: int
    left_out: int = 0
    forms: tuple[RawForms | None, ...] = ()


def stage_table(export: Export, table: str, folder: Path, key: bytes) -> StagedTable:
    """Stage every section of one table into `folder`; `key` makes the pseudonyms. Stage events before items.

    Raises MappingError (the mapping is wrong) or ExportRejected (the export is); the lake is not touched.
    """
    mapping = export.mapping
    staged, forms, raws, left_out = [], [], [], 0
    in_file = table == "events" and any(section.from_events for section in mapping.sections_of("items"))
    for position, section in enumerate(mapping.sections_of(table)):
        recipe = None if in_file else RawForms(str(folder / f"{table}-{position}.duckdb"), section.timezone)
        connection = open_section_connection(folder, section, recipe)
        own_folder = folder / f"{table}-{position}"
        own_folder.mkdir()
        opened = _open_section(connection, export, section, folder, own_folder)
        raws.extend(raw for raw in opened or () if raw.unread)
        _mask_unread(connection, mapping, section, opened or [], key)
        if opened is not None and not any(raw.empty for raw in opened):
            file = folder / f"{table}-{position}.parquet"
            with _failures_told(mapping, section):
                left_out += choose_rows(connection, mapping, section)
                users = _hide_users(connection, mapping, section, opened, key)
                staged.append((str(file), write_staged(connection, export, section, users, file, recipe)))
            forms.append(recipe)
        connection.close()
    rows, lost = sum(rows for _, rows in staged), sum(raw.unread_rows for raw in raws)
    # A catalogue made of events is empty when none of them can be read: their own verdict says why.
    needed = not all(section.from_events for section in mapping.sections_of(table))
    if needed and not rows + lost and export.whole and not mapping.may_be_empty:
        raise ExportRejected(
            f"{mapping.source}: expected rows for {table}, but the export has none. Nothing was written. "
            f'Look into the files that {mapping.file} names, or set empty = "allow" there.'
        )
    unread = tuple(str(raw.unread) for raw in raws)
    return StagedTable(table, tuple(file for file, _ in staged), rows, unread, lost, left_out, tuple(forms))


@contextmanager
def _failures_told(mapping: Mapping, section: Section) -> Iterator[None]:
    """SQL of the mapping that fails on a row is a MappingError; the error itself, which quotes values, ends here."""
    try:
        yield
    except duckdb.Error as error:
        expected = "expressions that work on every row of the export"
        raise MappingError(mapping.file, section.label, expected, f"an error: {failure_of(error)}") from None


def open_section_connection(
    folder: Path, section: Section, recipe: RawForms | None = None
) -> duckdb.DuckDBPyConnection:
    """Open a connection in the section's time zone, with the short names that a mapping may use."""
    connection = connect(folder, section.timezone, Path(recipe.database) if recipe else None)
    add_macros(connection)
    return connection


def _open_section(
    connection: duckdb.DuckDBPyConnection, export: Export, section: Section, folder: Path, own_folder: Path
) -> list[Raw] | None:
    """Make the view `raw` of a section's raw rows; None when there are no files and there need not be.

    `folder` has the tables staged before; `own_folder` takes what reading this section needs.
    """
    mapping = export.mapping
    if section.from_events:
        sections = enumerate(mapping.sections_of("events"))
        files = [(each, folder / f"events-{position}.parquet") for position, each in sections]
        others = sorted(folder.glob("items-*.parquet"))
        there = [(each, file) for each, file in files if file.is_file()]
        return open_catalogue_of_events(connection, mapping, there, others)
    if section.reading is not None:
        files = files_of(export.mapping, section.reading, export.path)
        return [open_raw(connection, section.reading, files, "raw", own_folder, export.rows)] if files else None
    raws = []
    for name, rows in _inputs_of(export, section).items():
        files = files_of(mapping, mapping.inputs[name], export.path)
        raws.append(open_raw(connection, mapping.inputs[name], files, name, own_folder, rows))
    try:
        connection.execute(f"create or replace view raw as {query_of(section)}")
    except duckdb.Error as error:
        expected = f"SQL over the inputs {', '.join(mapping.inputs)}"
        came = f"{str(section.relation).strip()!r}, which fails: {str(error).splitlines()[0]}"
        raise MappingError(mapping.file, f"{section.label}.from", expected, came) from error
    return raws


def _inputs_of(export: Export, section: Section) -> dict[str, int | None]:
    """Return the inputs that a section's relation names, and how many rows of each to read.

    Of a sample, the first one named has its rows, and those joined to it many more: the first lines of an export are
    seldom those of its first orders.
    """
    relation = str(section.relation)
    found = {name: re.search(rf"\b{re.escape(name)}\b", relation) for name in export.mapping.inputs}
    first = min((match.start() for match in found.values() if match), default=0)
    joined = None if export.rows is None else export.rows * JOINED_ROWS
    return {name: export.rows if match.start() == first else joined for name, match in found.items() if match}


def _hide_users(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, section: Section, raws: list[Raw], key: bytes
) -> tuple[dict[str, Expression], set[str]]:
    """Make the relation `pseudonyms`; return the columns and the raw columns of user ids."""
    expressions = contract_expressions(connection, mapping, section)
    _require_in_every_file(mapping, section, raws, expressions, connection)
    return hide_users(connection, mapping, section, key, expressions)


def hide_users(
    connection: duckdb.DuckDBPyConnection,
    mapping: Mapping,
    section: Section,
    key: bytes,
    expressions: dict[str, Expression],
) -> tuple[dict[str, Expression], set[str]]:
    """Make the relation `pseudonyms` (one HMAC a distinct user); return the columns and the raw columns of user ids."""
    user = expressions.get("user_id")
    if user is None:
        return expressions, set()
    connection.execute("create or replace table pseudonyms (raw_id varchar, pseudonym varchar)")
    distinct = connection.cursor().execute(f"select distinct {user.value} from {_rows_that_differ(connection, user)} r")
    while ids := [row[0] for row in distinct.fetchmany(_USERS_AT_ONCE)]:
        made = [name if mapping.pseudonymous or not name else pseudonym(name, key) for name in ids]
        chunk = pa.table({"raw_id": pa.array(ids, pa.string()), "pseudonym": pa.array(made, pa.string())})
        connection.register("chunk", chunk)
        connection.execute("insert into pseudonyms select * from chunk")
    users = user_columns(connection, section)
    users |= columns_behind(connection, section, users, mapping.inputs)
    if not mapping.pseudonymous:
        for name in expressions.keys() & set(MAY_NAME_USER):
            value = expressions[name].value
            if raw_columns_of(connection, value) & users:
                expressions[name] = Expression(over_pseudonyms(connection, value, users))
    return expressions, users


def _rows_that_differ(connection: duckdb.DuckDBPyConnection, user: Expression) -> str:
    """The raw rows that user ids are to be made of: where one column makes them, each of its values once."""
    made_of = raw_columns_of(connection, user.value)
    one = len(made_of) == 1 and made_of <= set(raw_names(connection))
    return f"(select distinct {quoted(made_of.pop())} from raw)" if one else "raw"


def _mask_unread(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, section: Section, raws: list[Raw], key: bytes
) -> None:
    for raw in raws:
        if raw.unread and (mapping.private or not mapping.pseudonymous):
            columns = set() if mapping.pseudonymous else user_columns(connection, section)
            mask_unread(Path(raw.unread), columns, mapping.private, lambda user_id: pseudonym(user_id, key))


def _require_in_every_file(
    mapping: Mapping,
    section: Section,
    raws: list[Raw],
    expressions: dict[str, Expression],
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """A column that one of several files lacks would turn into nulls in silence."""
    read = [each.value for each in expressions.values()] + ([section.where] if section.where else [])
    used = {name.casefold() for each in read for name in raw_columns_of(connection, each)}
    used |= {name.casefold() for name in (*section.key, *columns_in(connection, query_of(section)))}
    for raw in raws:
        for column, file in raw.lacking.items():
            if column.casefold() in used:
                raise ExportRejected(
                    f"{mapping.source}: {file} lacks the column {column!r}, which {mapping.file} uses for "
                    f"{section.label} and other files of the export have. Nothing was written. Fetch the file again."
                )


def write_staged(
    connection: duckdb.DuckDBPyConnection,
    export: Export,
    section: Section,
    users: tuple[dict[str, Expression], set[str]],
    file: Path,
    recipe: RawForms | None = None,
) -> int:
    """Write the staged rows of the relation `raw` to a parquet file; return how many there are.

    `users`: the contract's columns, and the raw columns that hold pseudonyms. With a `recipe`, the raw rows are not
    written, but can be read again.
    """
    raw_columns = [row[0] for row in connection.execute("describe raw").fetchall()]
    query = staging_query(export.mapping, section, users[0], raw_columns, users[1])
    bounds, columns = within(section.table, export.since, export.until), "*"
    if recipe is not None:
        shown = [name for name in raw_columns if not name.startswith(TEXT_OF)]
        raw_rows = raw_row_query(export.mapping, users[0].get("user_id"), raw_columns, users[1])
        keep_recipe(connection, keyed(raw_rows, shown))
        query, columns = keyed(query, shown), "* exclude (_raw)"
    chosen = f"select {columns} from ({query}) where {bounds}"
    origin = origin_of(connection, export.mapping, section, query, users[1])
    alike = constants(users[0])
    made = derived_columns(export.mapping, section, users[0], alike)
    ordered = in_content_order(chosen, section.table, alike, made)
    return write_rows(connection, ordered, file, origin, alike)
