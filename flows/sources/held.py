"""Held rows read again: a raw row of the quarantine becomes a staged row under the mapping as it stands now.

A raw row is kept as JSON; its origin says which section read it, its columns' types, and which columns hold pseudonyms
in place of user ids. Those are taken as they are: a pseudonym is never made of a pseudonym.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from flows.connection import literal, quoted
from flows.sources.columns import Expression, contract_expressions, raw_columns_of
from flows.sources.mapping import Mapping, Reading, Section
from flows.sources.mapping_keys import ExportRejected, MappingError
from flows.sources.reading import cleaned
from flows.sources.staging import (
    Export,
    hide_users,
    open_catalogue_of_events,
    open_section_connection,
    user_columns,
    write_staged,
)

#: The raw column that carries a held row's id through staging; a catalogue made of replayed events has none.
ROW_ID = "_held_row_id"


@dataclass(frozen=True)
class StagedHeld:
    """Held rows of one table, staged: the files, the rows in them, and why others could not be read (row_id → why)."""

    table: str
    files: tuple[str, ...]
    rows: int
    unread: dict[str, str]


class NotKept(ValueError):
    """What a mapping reads of a held row is not in the quarantine; the message says what."""


def stage_held(mapping: Mapping, rows: pa.Table, folder: Path, key: bytes) -> dict[str, StagedHeld]:
    """Stage the held rows of a mapping's source, table by table, events first; a staged row's `_raw` has its id.

    `rows` has the quarantine's columns. Rows that the mapping cannot read stay out, with the reason. Where the shop's
    catalogue is made of its events, the events staged here give their items too.
    """
    staged: dict[str, StagedHeld] = {}
    catalogue: list[str] = []
    for table in sorted(mapping.tables, key=lambda name: name != "events"):
        files, count, unread = [], 0, {}
        for number, (origin, part) in enumerate(_by_origin(rows, table)):
            place = folder / f"{table}-held-{number}"
            place.mkdir()
            try:
                section = _section_of(mapping, table, origin)
                found = _stage(mapping, section, origin, part, place, key)
            except (MappingError, ExportRejected, NotKept) as error:
                unread |= dict.fromkeys(part["row_id"].to_pylist(), str(error))
                continue
            files.append(str(place / _file_name(mapping, section)))
            count += found
        if table == "items":
            made = _stage_catalogue(mapping, catalogue, folder, key)
            files, count = [*files, *made], count + len(made)
        catalogue += files if table == "events" else []
        staged[table] = StagedHeld(table, tuple(files), count, unread)
    return staged


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


def _file_name(mapping: Mapping, section: Section) -> str:
    return f"{section.table}-{mapping.sections_of(section.table).index(section)}.parquet"


def _stage(
    mapping: Mapping, section: Section, origin: dict[str, object], rows: pa.Table, folder: Path, key: bytes
) -> int:
    connection = open_section_connection(folder, section)
    try:
        _open_raw(connection, mapping, section, origin, rows)
        users = _users(connection, mapping, section, origin, key)
        return write_staged(connection, Export(mapping), section, users, folder / _file_name(mapping, section))
    finally:
        connection.close()


def _open_raw(
    connection: duckdb.DuckDBPyConnection,
    mapping: Mapping,
    section: Section,
    origin: dict[str, object],
    rows: pa.Table,
) -> None:
    """Make the view `raw` of the raw columns in their first types, null words and numbers read as the mapping says."""
    connection.register("kept", rows.select(["row_id", "raw"]))
    types: dict[str, str] = origin["types"]  # type: ignore[assignment]
    columns = []
    for name, dtype in types.items():
        pointer = literal("/" + name.replace("~", "~0").replace("/", "~1"))
        text = f"json_extract_string(raw, {pointer})"
        value = text if dtype == "VARCHAR" else f"cast(json_extract(raw, {pointer}) as {dtype})"
        columns.append(f"{value} as {quoted(name)}")
    connection.execute(f"create table given as select row_id, {', '.join(columns)} from kept")
    reading = _reading(mapping, section)
    selected = [cleaned(name, dtype, reading) if reading else quoted(name) for name, dtype in types.items()]
    connection.execute(f"create view raw as select {', '.join(selected)}, row_id as {quoted(ROW_ID)} from given")


def _reading(mapping: Mapping, section: Section) -> Reading | None:
    """How the section's text is read: null words and numbers of its files, or of the inputs that it joins."""
    if section.reading is not None:
        return section.reading
    readings = [reading for name, reading in mapping.inputs.items() if section.relation and name in section.relation]
    if not readings:
        return None
    nulls = set.intersection(*(set(reading.nulls) for reading in readings))
    numbers = {name for reading in readings for name in reading.numbers}
    return Reading(section.label, None, None, tuple(sorted(nulls)), tuple(sorted(numbers)))


def _users(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, section: Section, origin: dict[str, object], key: bytes
) -> tuple[dict[str, Expression], set[str]]:
    """The contract's columns over `raw`, and the relation `pseudonyms`. Raises NotKept where a user id is needed."""
    hidden, private = set(origin["pseudonyms"]), set(origin["private"])  # type: ignore[call-overload]
    expressions = contract_expressions(connection, mapping, section)
    wanted = user_columns(connection, section) if "user_id" in expressions else set()
    kept_as_pseudonym = bool(hidden) and hidden == wanted
    for name, expression in expressions.items():
        lost = raw_columns_of(connection, expression.value) & (hidden | private)
        if lost and not (name == "user_id" and kept_as_pseudonym and not lost & private):
            raise NotKept(
                f"{section.label}.{name} is made of {', '.join(sorted(lost))}, of which the quarantine keeps no more "
                "than a pseudonym. Land these rows with their export: aisle ingest."
            )
    if not kept_as_pseudonym:
        return hide_users(connection, mapping, section, key, expressions)
    column = quoted(sorted(hidden)[0])
    connection.execute(
        f"create table pseudonyms as select distinct {column} as raw_id, {column} as pseudonym from raw "
        f"where {column} is not null"
    )
    return expressions | {"user_id": Expression(f"r.{column}")}, hidden


def _stage_catalogue(mapping: Mapping, events: Sequence[str], folder: Path, key: bytes) -> list[str]:
    """The items that staged events imply, one file a file of the first events section; they have no row_id."""
    made = []
    for section in mapping.sections_of("items"):
        for number, file in enumerate(events):
            if not section.from_events or Path(file).name != "events-0.parquet":
                continue
            connection = open_section_connection(folder, section)
            open_catalogue_of_events(connection, Path(file).parent, mapping.sections_of("events")[0])
            expressions = contract_expressions(connection, mapping, section)
            target = folder / f"items-made-{number}.parquet"
            if write_staged(connection, Export(mapping), section, (expressions, set()), target):
                made.append(str(target))
            connection.close()
    return made
