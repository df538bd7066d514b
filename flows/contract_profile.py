"""The small profile of a shop's last export: what each raw column looked like. Kept beside the lake.

A lake in a folder has it under AISLE_HOME/profiles, a lake on S3 in its own bucket, so that every machine that ingests
compares with the last export that any of them landed.

It has no raw rows: counts, kinds, ranges, the commonest words of columns with few, and keyed hashes. Of a column that
names users, or that the mapping calls private, it has neither range nor words.
"""

import json
import re
import secrets
import tempfile
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb

from feature_repo.schema import CONTRACT_VERSION, TABLES
from flows.connection import connect
from flows.release_objects import put_object, read_or_none
from flows.settings import Settings
from flows.sources.column_profile import ColumnProfile, profile_columns, profile_from
from flows.sources.columns import columns_in
from flows.sources.export_files import files_of
from flows.sources.file_sets import Reading
from flows.sources.lineage import names_behind
from flows.sources.macros import add_macros
from flows.sources.mapping import Mapping, Section
from flows.sources.reading import open_raw
from flows.sources.staging import Export
from flows.sources.user_columns import query_of

#: Rows of each file that a profile is made of.
PROFILE_ROWS = 5_000


@dataclass(frozen=True)
class ExportProfile:
    """What one export looked like: by file set (a section or an input) its columns; what judged it, and when."""

    source: str
    contract_version: str
    mapping_hash: str
    recorded_at: str
    columns: dict[str, tuple[ColumnProfile, ...]]


def profile_export(export: Export, salt: str, now: datetime) -> ExportProfile:
    """Profile the first rows of every file set of an export. Raises ExportRejected when one cannot be read."""
    mapping = export.mapping
    columns = {}
    with tempfile.TemporaryDirectory() as scratch:
        for number, (label, reading) in enumerate(file_sets(mapping).items()):
            files = files_of(mapping, reading, export.path)
            place = Path(scratch) / str(number)
            place.mkdir()
            if files:
                columns[label] = _profile(reading, files, place, mapping, salt)
    return ExportProfile(mapping.source, CONTRACT_VERSION, mapping.digest, now.isoformat(), columns)


def record_profile(settings: Settings, export: Export, now: datetime) -> None:
    """Keep the profile of an export that has landed, in place of the one before."""
    profile = profile_export(export, salt_of(settings), now)
    record = {label: [column.as_record() for column in columns] for label, columns in profile.columns.items()}
    _write(settings, profile.source, json.dumps({**profile.__dict__, "columns": record}))


def recorded_profile(settings: Settings, source: str) -> ExportProfile | None:
    """The profile of a shop's last export; None when none has landed."""
    text = _read(settings, source)
    if text is None:
        return None
    record = json.loads(text)
    columns = {label: tuple(profile_from(each) for each in found) for label, found in record["columns"].items()}
    return ExportProfile(**{**record, "columns": columns})


def salt_of(settings: Settings) -> str:
    """What keys the hashes of values, so that nobody without the pseudonym key can look for a value in them."""
    return settings.pseudonym_key.hex()


def file_sets(mapping: Mapping) -> dict[str, Reading]:
    """Every set of files that a mapping reads, by its label."""
    readings = [section.reading for section in mapping.sections if section.reading is not None]
    return {reading.label: reading for reading in [*mapping.inputs.values(), *readings]}


def sections_over(mapping: Mapping, label: str) -> list[Section]:
    """The sections that read a file set: its own, those whose `from` names it, and a catalogue made of such events."""
    name = label.removeprefix("inputs.")
    found = [
        section
        for section in mapping.sections
        if (section.reading and section.reading.label == label)
        or (label.startswith("inputs.") and mentions(section.relation or "", name))
    ]
    if any(section.table == "events" for section in found):
        found += [section for section in mapping.sections_of("items") if section.from_events]
    return found


def mentions(text: str, name: str) -> bool:
    """Whether SQL names a column; as in SQL, letters may be large or small."""
    text, name = text.casefold(), name.casefold()
    return text == name or re.search(rf"(?<![\w'])\"?{re.escape(name)}\"?(?![\w'])", text) is not None


def _profile(reading: Reading, files: list[str], place: Path, mapping: Mapping, salt: str) -> tuple[ColumnProfile, ...]:
    connection = connect(place)
    add_macros(connection)
    # All as text: whether a column is still a number is what the profile is to say.
    raw = open_raw(connection, replace(reading, numbers=()), files, "raw", place, PROFILE_ROWS)
    try:
        return () if raw.empty else profile_columns(connection, "raw", _hidden(connection, mapping, reading), salt)
    finally:
        connection.close()


def _hidden(connection: duckdb.DuckDBPyConnection, mapping: Mapping, reading: Reading) -> Collection[str]:
    """The columns of which no word is kept: those that name users, and private ones."""
    names = [row[0] for row in connection.execute("describe raw").fetchall()]
    hidden = {name for name in names if mapping.is_private(name)}
    for section in sections_over(mapping, reading.label):
        if "user_id" in TABLES[section.table].column_names:
            hidden |= _of_users(connection, section, names)
    return hidden


def _of_users(connection: duckdb.DuckDBPyConnection, section: Section, names: list[str]) -> set[str]:
    """The columns that a section's user id may be made of; all, where nobody can follow its `from`."""
    user = section.columns.get("user_id", "user_id")
    named = {name for name in names if mentions(user, name)}
    if section.relation is None:
        return named
    wanted = columns_in(connection, f"select {user}") or {user}
    behind = names_behind(connection, query_of(section), wanted)
    return set(names) if behind is None else named | {name for name in names if name.casefold() in behind}


def _write(settings: Settings, source: str, text: str) -> None:
    if (lake := _lake_bucket(settings)) is not None:
        put_object(lake[0], f"{lake[1]}{source}.json", text.encode())
        return
    path = _path(settings, source)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{secrets.token_hex(4)}")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def _read(settings: Settings, source: str) -> str | None:
    if (lake := _lake_bucket(settings)) is not None:
        body = read_or_none(lake[0], f"{lake[1]}{source}.json", f"read the profile of {source}'s last export")
        return None if body is None else body.decode()
    path = _path(settings, source)
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _lake_bucket(settings: Settings) -> tuple[Settings, str] | None:
    """Settings whose bucket is the lake's, and the prefix of profiles there; None for a lake in a folder."""
    if not settings.lake_uri.startswith("s3://"):
        return None
    bucket, _, prefix = settings.lake_uri.removeprefix("s3://").strip("/").partition("/")
    store = replace(settings.object_store, bucket=bucket)
    return replace(settings, object_store=store), f"{prefix}/_profiles/".removeprefix("/")


def _path(settings: Settings, source: str) -> Path:
    return settings.home / "profiles" / f"{source}.json"
