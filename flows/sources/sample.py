"""A look at one raw file: how it seems to be written, and what its columns are like."""

import glob
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from flows.connection import literal, quoted
from flows.sources.column_profile import ColumnProfile, profile_columns
from flows.sources.column_times import MOST
from flows.sources.export_files import found_files, head_of
from flows.sources.file_sets import reading_of
from flows.sources.list_columns import list_within, look_for_lists, objects_within
from flows.sources.mapping_keys import ExportRejected
from flows.sources.reading import format_of, open_raw
from flows.sources.roles import names_item
from flows.sources.sample_amounts import amounts_of
from flows.sources.sample_words import (
    charges_of,
    personal_columns,
    with_every_word,
    word_that_sells,
    words_among_numbers,
)
from flows.sources.spreadsheets import heading_of, sheets_of
from flows.sources.text_signs import look_at_text

#: Rows of a file that a draft looks at.
SAMPLE_ROWS = 20_000
#: A thing with a number behind it has several numbers: there are less things than this share of the values.
_OTHERS = 0.8
#: Words that exports write for nothing.
_WORDS = ("NA", "N/A", "NULL", "null", "None", "nan", "NaN", "\\N", "-", "(not set)", "#N/A")
#: What stands before a thing in a cell that says how many there are, like `2× Tea`.
COUNT_BEFORE = "^(\\d+)\\s*(×\\s*|[xX*]\\s+)"
#: What stands behind a thing in a cell, with the number in it: column of ours → form, the likelier first.
_BEHIND = (
    ("quantity", "\\s+[xX×*]\\s?(\\d+)$"),
    ("quantity", "\\s*\\((\\d+)\\)$"),
    ("quantity", "\\s*:\\s*(\\d+)$"),
    ("unit_price", "\\s*:\\s*(\\d+(\\.\\d+)?)$"),
)


class EmptyFile(ExportRejected):
    """A file has no rows; others of the export may have some."""


@dataclass(frozen=True)
class Sample:
    """One file of an export: keys that a mapping needs to read it, why, the DuckDB view of its rows, its columns."""

    file: str
    view: str
    keys: dict[str, Any]
    reasons: dict[str, str]
    columns: tuple[ColumnProfile, ...]
    rows: int
    copies: int
    #: Columns whose values begin with how many there are.
    counted: tuple[str, ...] = ()
    #: Columns whose values end with a number: its meaning among our columns, and its form.
    numbered: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: A value of each column that has any.
    examples: dict[str, str] = field(default_factory=dict)
    #: Columns whose values reach a person: mail addresses, phone numbers.
    personal: tuple[str, ...] = ()
    #: The word for a deed whose rows alone name an order or an amount, and the column that does, where no word says so.
    selling: tuple[str, str] | None = None
    #: Column → of what its amounts are, where the rows tell it: a piece, a line or an order.
    amounts: dict[str, str] = field(default_factory=dict)
    #: Rows of the sample in which nothing stands; they are in none of its other numbers.
    blank: int = 0
    #: Column of addresses → what stands before the item in those of things.
    pages: dict[str, str] = field(default_factory=dict)
    #: Column of text → some of its values that are of a fee or of postage, and no thing.
    charges: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: Of a file of keys and values: the SQL that makes a row an item of it, out of `products`.
    spread: str = ""

    def column(self, name: str) -> ColumnProfile:
        """The profile of one column."""
        return next(each for each in self.columns if each.name == name)


def files_named(patterns: list[str]) -> list[str]:
    """The files of a draft: globs opened, folders listed, zips looked into. Raises ExportRejected for none."""
    found: list[str] = []
    for pattern in patterns:
        entries = sorted(glob.glob(f"{pattern}/*" if Path(pattern).is_dir() else pattern))
        for entry in entries:
            found += _files_in(entry)
        if not entries:
            raise ExportRejected(f"No file matches {pattern}. Name the files of one export, like: events.csv items.csv")
    readable = [name for name in found if not name.endswith((".toml", ".md", ".pdf")) and _kind(name)]
    if not readable:
        raise ExportRejected(f"None of {', '.join(found)} is CSV, JSON, parquet or Excel by its name or its beginning.")
    return readable


def _files_in(entry: str) -> list[str]:
    """What one entry of a folder holds: the members of a zip, the sheets of a workbook, or itself."""
    if entry.endswith(".zip"):
        return found_files(f"{entry}/*")
    if entry.endswith(".xlsx"):
        return sheets_of(entry)
    return [entry] if Path(entry).is_file() else []


def take_samples(connection: duckdb.DuckDBPyConnection, file: str, view: str, scratch: Path) -> list[Sample]:
    """Look at the first rows of a file: as they are, and as the lists of items within their objects, where it has any.

    Raises ExportRejected when it cannot be read at all.
    """
    read = _look(connection, file, view, scratch, {})
    outer = read.keys.get("unnest")
    inner, within = list_within(connection, view, outer)
    if inner is None:
        return [_profiled(connection, file, view, read)]
    names = {row[0] for row in connection.execute(f"describe {quoted(view)}").fetchall()}
    if not {name for name in names if names_item(name)} & set(within):
        lists = _look(connection, file, f"{view}_lists", scratch / "lists", {"unnest": inner})
        return [_profiled(connection, file, view, read), _profiled(connection, file, f"{view}_lists", lists)]
    both = _look(connection, file, f"{view}_both", scratch / "both", {"unnest": [inner, outer]})
    both.reasons["unnest"] = f"each element of {inner} is a row; where a row has none, {outer} itself has the item"
    return [_profiled(connection, file, f"{view}_both", both)]


@dataclass(frozen=True)
class _Look:
    """The keys that a file is read by, and why."""

    keys: dict[str, Any]
    reasons: dict[str, str]


def _look(connection: duckdb.DuckDBPyConnection, file: str, view: str, scratch: Path, known: dict[str, Any]) -> _Look:
    """Find how a file is written, and make a view of its first rows."""
    keys: dict[str, Any] = dict(known)
    reasons = dict.fromkeys(known, "a list within an object; each element is a row")
    kind = _kind(file)
    if kind == "csv":
        if not look_at_text(file, keys, reasons):
            raise EmptyFile(f"{file}: expected rows, but the file is empty. Fetch it again.")
    elif kind == "xlsx" and (above := heading_of(file)):
        keys["skip"] = above
        reasons["skip"] = f"the first {above} rows have fewer cells than the next ones: a heading, it seems"
    if _named_otherwise(file):
        keys["format"] = kind
    scratch.mkdir(parents=True, exist_ok=True)
    _open(connection, file, view, {"format": kind, **keys}, scratch)
    if not {"names", "unnest"} & keys.keys() and look_for_lists(connection, view, keys, reasons):
        connection.execute(f"drop view {quoted(view)}")
        _open(connection, file, view, {"format": kind, **keys}, scratch)
    if "names" not in keys and (objects := objects_within(connection, view)):
        keys["objects"] = objects
        reasons["objects"] = f"each key of {', '.join(objects)} becomes a column, {objects[0]}_ before it"
        connection.execute(f"drop view {quoted(view)}")
        _open(connection, file, view, {"format": kind, **keys}, scratch)
    return _Look(keys, reasons)


def _profiled(connection: duckdb.DuckDBPyConnection, file: str, view: str, look: _Look) -> Sample:
    """Look at the columns of a view of a file's rows."""
    keys, reasons = look.keys, look.reasons
    if used := _null_words(connection, view):
        keys["nulls"] = ["", *used]
        reasons["nulls"] = f"words that seem to mean nothing: {', '.join(used)}"
    blank = _leave_out_blank_rows(connection, view)
    distinct = f"(select count(*) from (select distinct * from {quoted(view)}))"
    query = f"select count(*), count(*) - {distinct} from {quoted(view)}"
    rows, copies = connection.execute(query).fetchone() or (0, 0)
    if not rows:
        raise EmptyFile(f"{file}: expected rows, but it has none that can be read. Is it the right file?")
    columns = with_every_word(connection, view, profile_columns(connection, view))
    counted = tuple(each.name for each in columns if each.kind == "text" and _is_counted(connection, view, each.name))
    examples, personal = _examples(connection, view, columns), personal_columns(connection, view, columns)
    selling = word_that_sells(connection, view, columns)
    texts = [each for each in columns if each.kind == "text" and each.name not in counted]
    behind = {each.name: form for each in texts if (form := _number_behind(connection, view, each))}
    amounts, charges = amounts_of(connection, view, columns), charges_of(connection, view, texts)
    return Sample(
        file, view, keys, reasons, columns, rows, copies, counted, behind, examples, personal, selling, amounts, blank,
        charges=charges,
    )  # fmt: skip


def _leave_out_blank_rows(connection: duckdb.DuckDBPyConnection, view: str) -> int:
    """Take the rows in which no column has a value out of a view; return how many they were."""
    names = [row[0] for row in connection.execute(f"describe {quoted(view)}").fetchall()]
    filled = " or ".join(f"{quoted(name)} is not null" for name in names)
    query = f"select count(*), coalesce(count_if(not ({filled})), 0) from {quoted(view)}"
    rows, blank = connection.execute(query).fetchone() or (0, 0)
    if 0 < blank < rows:
        connection.execute(f"alter view {quoted(view)} rename to {quoted(view + '_every')}")
        connection.execute(f"create view {quoted(view)} as from {quoted(view + '_every')} where {filled}")
    return int(blank) if blank < rows else 0


def _is_counted(connection: duckdb.DuckDBPyConnection, view: str, name: str) -> bool:
    """Whether most values of a column of text begin with a count."""
    query = f"select avg(cast(regexp_matches({quoted(name)}, {literal(COUNT_BEFORE)}) as int)) from {quoted(view)}"
    return bool(((connection.execute(query).fetchone() or (0,))[0] or 0) > MOST)


def _number_behind(connection: duckdb.DuckDBPyConnection, view: str, column: ColumnProfile) -> tuple[str, str] | None:
    """What a number behind most values of a column of text says, and its form; a thing comes with several of them."""
    value = quoted(column.name)
    for meant, form in _BEHIND:
        query = (
            f"select avg(cast(regexp_matches({value}, {literal(form)}) as int)), "
            f"count(distinct regexp_replace({value}, {literal(form)}, '')) from {quoted(view)}"
        )
        share, things = connection.execute(query).fetchone() or (0, 0)
        if (share or 0) > MOST and 1 < things < _OTHERS * column.distinct:
            return meant, form
    return None


def _examples(connection: duckdb.DuckDBPyConnection, view: str, columns: tuple[ColumnProfile, ...]) -> dict[str, str]:
    values = ", ".join(f"left(cast(min({quoted(each.name)}) as varchar), 40)" for each in columns)
    row = connection.execute(f"select {values} from {quoted(view)}").fetchone() or ()
    return {each.name: value for each, value in zip(columns, row, strict=False) if value is not None}


def _open(connection: duckdb.DuckDBPyConnection, file: str, view: str, keys: dict[str, Any], scratch: Path) -> None:
    reading = reading_of("the draft", view, {"files": file, **keys}, {})
    if open_raw(connection, reading, [file], view, scratch, SAMPLE_ROWS).empty:
        raise EmptyFile(f"{file}: expected JSON objects, but it has none. Is it the right file?")


def _null_words(connection: duckdb.DuckDBPyConnection, view: str) -> list[str]:
    """Which words that mean nothing are in a view; there they become nulls."""
    columns = connection.execute(f"describe {quoted(view)}").fetchall()
    texts = [name for name, dtype, *_ in columns if dtype == "VARCHAR"]
    if not texts:
        return []
    tests = ", ".join(
        f"bool_or({' or '.join(f'{quoted(name)} = {literal(word)}' for name in texts)})" for word in _WORDS
    )
    found = connection.execute(f"select {tests} from {quoted(view)}").fetchone() or ()
    used = [word for word, there in zip(_WORDS, found, strict=False) if there]
    used += [word for word in words_among_numbers(connection, view, texts) if word not in used]
    if used:
        listed = ", ".join(literal(word) for word in used)
        cleaned = [
            f"case when {quoted(name)} in ({listed}) then null else {quoted(name)} end as {quoted(name)}"
            if dtype == "VARCHAR"
            else quoted(name)
            for name, dtype, *_ in columns
        ]
        connection.execute(f"alter view {quoted(view)} rename to {quoted(view + '_plain')}")
        connection.execute(f"create view {quoted(view)} as select {', '.join(cleaned)} from {quoted(view + '_plain')}")
    return used


def _kind(file: str) -> str:
    """How a file is to be read, by its name, else by its first bytes; '' when neither says."""
    try:
        return format_of(file)
    except ExportRejected:
        head = head_of(file, 4096)
        if head[:4] == b"PAR1":
            return "parquet"
        return "" if b"\x00" in head or not head else "jsonl" if head.lstrip()[:1] == b"{" else "csv"


def _named_otherwise(file: str) -> bool:
    try:
        format_of(file)
    except ExportRejected:
        return True
    return False
