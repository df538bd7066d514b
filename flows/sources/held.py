"""Held rows read again: a raw row of the quarantine becomes a staged row under the mapping as it stands now.

A raw row is kept as JSON; its origin says which section read it, its columns' types, and which columns hold pseudonyms
in place of user ids. Those are taken as they are: a pseudonym is never made of a pseudonym.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from flows.connection import failure_of, literal, quoted
from flows.sources.columns import Expression, as_expression, contract_expressions, raw_columns_of, raw_names
from flows.sources.event_catalogue import open_catalogue_of_events
from flows.sources.file_sets import Reading
from flows.sources.mapping import Mapping, Section
from flows.sources.mapping_keys import ExportRejected, MappingError
from flows.sources.reading import cleaned
from flows.sources.row_choice import choose_rows
from flows.sources.staging import (
    MAY_NAME_USER,
    Export,
    hide_users,
    open_section_connection,
    write_staged,
)
from flows.sources.user_columns import user_columns

#: The raw column that carries a held row's id through staging; a catalogue made of replayed events has none.
ROW_ID = "_held_row_id"


@dataclass(frozen=True)
class StagedHeld:
    """Held rows of one table, staged: their files, the rows in them, and what became of the others.

    `unread`: row_id → why it could not be read; `left_out`: ids of rows that the mapping now leaves out.
    """

    table: str
    files: tuple[str, ...]
    rows: int
    unread: dict[str, str]
    left_out: frozenset[str]


class NotKept(ValueError):
    """What a mapping reads of a held row is not in the quarantine; the message says what."""


def stage_held(mapping: Mapping, rows: pa.Table, folder: Path, key: bytes) -> dict[str, StagedHeld]:
    """Stage the held rows of a mapping's source, table by table, events first; a staged row's `_raw` has its id.

    `rows` has the quarantine's columns. Rows that the mapping cannot read stay out, with the reason. Where the shop's
    catalogue is made of its events, the events staged here give their items too.
    """
    staged: dict[str, StagedHeld] = {}
    events: list[tuple[Section, Path]] = []
    for table in sorted(mapping.tables, key=lambda name: name != "events"):
        files, unread, left_out = [], {}, set()
        for number, (origin, part) in enumerate(_by_origin(rows, table)):
            file = folder / f"{table}-held-{number}.parquet"
            try:
                section = _section_of(mapping, table, origin)
                left_out |= _stage(mapping, section, origin, part, file, key)
            except (MappingError, ExportRejected, NotKept, duckdb.Error) as error:
                unread |= dict.fromkeys(part["row_id"].to_pylist(), _why_unread(mapping, error))
                continue
            files.append(str(file))
            events += [(section, file)] if table == "events" else []
        if table == "items" and events:
            files += _stage_catalogue(mapping, events, folder)
        count = sum(pq.read_metadata(file).num_rows for file in files)
        staged[table] = StagedHeld(table, tuple(files), count, unread, frozenset(left_out))
    return staged


def _why_unread(mapping: Mapping, error: Exception) -> str:
    if isinstance(error, duckdb.Error):
        return f"{mapping.file}: expected SQL that works on every held row, came an error: {failure_of(error)}"
    return str(error)


def _by_origin(rows: pa.Table, table: str) -> Iterator[tuple[dict[str, object], pa.Table]]:
    """The rows of one table, those of one origin together; lines that could not be split have none and stay out."""
    mine = rows.filter(pa.compute.equal(rows["table_name"], table))
    for text in sorted(set(mine["origin"].drop_null().to_pylist())):
        yield json.loads(text), mine.filter(pa.compute.equal(mine["origin"], text))


def _section_of(mapping: Mapping, table: str, origin: dict[str, object]) -> Section:
    """The section that read these rows, by its label; where the table has one section now or had one then, the first.

    Raises NotKept when the mapping has no such section any more.
    """
    sections = mapping.sections_of(table)
    labels = [section.label for section in sections]
    if origin["section"] in labels:
        return sections[labels.index(str(origin["section"]))]
    if origin["section"] != table and len(sections) > 1:
        raise NotKept(f"{mapping.file}: expected a section {origin['section']}, came {', '.join(labels)}.")
    return sections[0]


def _stage(
    mapping: Mapping, section: Section, origin: dict[str, object], rows: pa.Table, file: Path, key: bytes
) -> set[str]:
    """Stage the rows of one origin; return the ids of those that the mapping leaves out."""
    connection = open_section_connection(file.parent, section)
    try:
        connection.register("kept", rows.select(["row_id", "raw"]))
        _open_raw(connection, mapping, section, origin)
        _require_kept(connection, section, origin)
        expressions = contract_expressions(connection, mapping, section)
        as_pseudonym = _require_values(connection, section, origin, expressions)
        choose_rows(connection, mapping, section)
        users = _users(connection, mapping, section, (key, as_pseudonym), expressions)
        write_staged(connection, Export(mapping), section, users, file)
        left = connection.execute(f"select row_id from kept where row_id not in (select {ROW_ID} from raw)").fetchall()
        return {row_id for (row_id,) in left}
    finally:
        connection.close()


def _open_raw(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, section: Section, origin: dict[str, object]
) -> None:
    """Make the view `raw` of the raw columns in their first types, null words and numbers read as the mapping says."""
    types = {name: _read_type(dtype) for name, dtype in origin["types"].items()}  # type: ignore[attr-defined]
    columns = []
    for name, dtype in types.items():
        pointer = literal("/" + name.replace("~", "~0").replace("/", "~1"))
        text = f"json_extract_string(raw, {pointer})"
        value = text if dtype == "VARCHAR" else f"cast(json_extract(raw, {pointer}) as {dtype})"
        columns.append(f"{value} as {quoted(name)}")
    once = "qualify row_number() over (partition by raw order by row_id) = 1" if section.duplicates == "once" else ""
    connection.execute(f"create table given as select row_id, {', '.join(columns)} from kept {once}")
    reading = _reading(mapping, section)
    selected = [cleaned(name, dtype, reading) if reading else quoted(name) for name, dtype in types.items()]
    connection.execute(f"create view raw as select {', '.join(selected)}, row_id as {quoted(ROW_ID)} from given")


def _read_type(dtype: str) -> str:
    """The type to read a held column in: a private one was kept as a null without a type, to which nothing casts."""
    return "VARCHAR" if dtype == '"NULL"' else dtype


def _reading(mapping: Mapping, section: Section) -> Reading | None:
    """How the section's text is read: null words and numbers of its files, or of the inputs that it joins."""
    if section.reading is not None:
        return section.reading
    words = set(re.findall(r"\w+", section.relation or ""))
    readings = [reading for name, reading in mapping.inputs.items() if name in words]
    if not readings:
        return None
    nulls = set.intersection(*(set(reading.nulls) for reading in readings))
    numbers = {name for reading in readings for name in reading.numbers}
    return replace(readings[0], nulls=tuple(sorted(nulls)), numbers=tuple(sorted(numbers)))


def _require_kept(connection: duckdb.DuckDBPyConnection, section: Section, origin: dict[str, object]) -> None:
    """Raise NotKept where the mapping's words need what the quarantine does not have: a row is not judged by a guess.

    A user id that is one column is null where its pseudonym is; whether it is null may be asked.
    """
    hidden, private = _lost(origin)
    raw = raw_names(connection)
    for name, given in section.columns.items():
        _require_none(section, name, raw_columns_of(connection, as_expression(given, raw)) & private)
    if section.where is not None:
        user = section.columns.get("user_id", "user_id").strip('"').casefold()
        plain = {name.casefold() for name in hidden} == {user}
        lost = raw_columns_of(connection, section.where, null_tests=not plain) & hidden
        _require_none(section, "where", lost | (raw_columns_of(connection, section.where) & private))


def _require_values(
    connection: duckdb.DuckDBPyConnection,
    section: Section,
    origin: dict[str, object],
    expressions: dict[str, Expression],
) -> str | None:
    """The raw column that holds the pseudonym, where it is that of the user id. Raises NotKept as above."""
    hidden, private = _lost(origin)
    wanted = user_columns(connection, section) if "user_id" in expressions else set()
    own = set(origin["pseudonyms"])  # type: ignore[call-overload]
    kept_as_pseudonym = bool(own) and own == wanted
    for name, expression in expressions.items():
        lost = raw_columns_of(connection, expression.value) & (hidden | private)
        # Where the clean export would have the pseudonym, the kept pseudonym is what is wanted.
        same = kept_as_pseudonym and name in ("user_id", *MAY_NAME_USER)
        _require_none(section, name, lost & private if same else lost)
    return min(own) if kept_as_pseudonym else None


def _lost(origin: dict[str, object]) -> tuple[set[str], set[str]]:
    """The raw columns that hold pseudonyms, and those of which nothing is kept."""
    hidden = {*origin["pseudonyms"], *origin.get("behind", ())}  # type: ignore[misc,call-overload]
    return hidden, set(origin["private"])  # type: ignore[call-overload]


def _require_none(section: Section, name: str, lost: set[str]) -> None:
    if lost:
        raise NotKept(
            f"{section.label}.{name} is made of {', '.join(sorted(lost))}, of which the quarantine keeps no more "
            "than a pseudonym. Land these rows with their export: aisle ingest."
        )


def _users(
    connection: duckdb.DuckDBPyConnection,
    mapping: Mapping,
    section: Section,
    kept: tuple[bytes, str | None],
    expressions: dict[str, Expression],
) -> tuple[dict[str, Expression], set[str]]:
    """The contract's columns over `raw`, and the relation `pseudonyms`; `kept`: the key, the column of pseudonyms."""
    key, as_pseudonym = kept
    if as_pseudonym is None:
        return hide_users(connection, mapping, section, key, expressions)
    column = quoted(as_pseudonym)
    connection.execute(
        f"create table pseudonyms as select distinct {column} as raw_id, {column} as pseudonym from raw "
        f"where {column} is not null"
    )
    return expressions | {"user_id": Expression(f"r.{column}")}, user_columns(connection, section)


def _stage_catalogue(mapping: Mapping, events: Sequence[tuple[Section, Path]], folder: Path) -> list[str]:
    """The items that staged events imply, one file a section of items made of events; they have no row_id."""
    made = []
    for section in mapping.sections_of("items"):
        if section.from_events:
            connection = open_section_connection(folder, section)
            open_catalogue_of_events(connection, mapping, events)
            connection.execute("alter view raw rename to of_events")
            connection.execute(f"create view raw as select * exclude ({quoted(ROW_ID)}) from of_events")
            expressions = contract_expressions(connection, mapping, section)
            file = folder / f"items-made-{len(made)}.parquet"
            write_staged(connection, Export(mapping), section, (expressions, set()), file)
            made.append(str(file))
            connection.close()
    return made
