"""A look at one raw file: how it seems to be written, and what its columns are like."""

import codecs
import csv
import glob
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from flows.connection import literal, quoted
from flows.sources.column_profile import MOST, ColumnProfile, profile_columns
from flows.sources.export_files import found_files, head_of
from flows.sources.file_sets import reading_of
from flows.sources.list_columns import list_within, look_for_lists, objects_within
from flows.sources.mapping_keys import ExportRejected
from flows.sources.reading import format_of, open_raw
from flows.sources.roles import names_item
from flows.sources.sample_words import personal_columns, with_every_word, word_that_sells
from flows.sources.spreadsheets import sheets_of

#: Rows of a file that a draft looks at.
SAMPLE_ROWS = 20_000
_HEAD_BYTES = 1 << 20
#: Words that exports write for nothing.
_WORDS = ("NA", "N/A", "NULL", "null", "None", "nan", "NaN", "\\N", "-", "(not set)", "#N/A")
#: What stands before a thing in a cell that says how many there are, like `2× Tea`.
COUNT_BEFORE = "^(\\d+)\\s*(×\\s*|[xX*]\\s+)"


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
    #: A value of each column that has any.
    examples: dict[str, str] = field(default_factory=dict)
    #: Columns whose values reach a person: mail addresses, phone numbers.
    personal: tuple[str, ...] = ()
    #: The word for a deed whose rows alone name an order or an amount, and the column that does, where no word says so.
    selling: tuple[str, str] | None = None

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
        _look_at_text(file, keys, reasons)
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
    distinct = f"(select count(*) from (select distinct * from {quoted(view)}))"
    query = f"select count(*), count(*) - {distinct} from {quoted(view)}"
    rows, copies = connection.execute(query).fetchone() or (0, 0)
    if not rows:
        raise ExportRejected(f"{file}: expected rows, but it has none that can be read. Is it the right file?")
    columns = with_every_word(connection, view, profile_columns(connection, view))
    counted = tuple(each.name for each in columns if each.kind == "text" and _is_counted(connection, view, each.name))
    examples, personal = _examples(connection, view, columns), personal_columns(connection, view, columns)
    selling = word_that_sells(connection, view, columns)
    return Sample(file, view, keys, reasons, columns, rows, copies, counted, examples, personal, selling)


def _is_counted(connection: duckdb.DuckDBPyConnection, view: str, name: str) -> bool:
    """Whether most values of a column of text begin with a count."""
    query = f"select avg(cast(regexp_matches({quoted(name)}, {literal(COUNT_BEFORE)}) as int)) from {quoted(view)}"
    return bool(((connection.execute(query).fetchone() or (0,))[0] or 0) > MOST)


def _examples(connection: duckdb.DuckDBPyConnection, view: str, columns: tuple[ColumnProfile, ...]) -> dict[str, str]:
    values = ", ".join(f"left(cast(min({quoted(each.name)}) as varchar), 40)" for each in columns)
    row = connection.execute(f"select {values} from {quoted(view)}").fetchone() or ()
    return {each.name: value for each, value in zip(columns, row, strict=False) if value is not None}


def _open(connection: duckdb.DuckDBPyConnection, file: str, view: str, keys: dict[str, Any], scratch: Path) -> None:
    reading = reading_of("the draft", view, {"files": file, **keys}, {})
    if open_raw(connection, reading, [file], view, scratch, SAMPLE_ROWS).empty:
        raise ExportRejected(f"{file}: expected JSON objects, but it has none. Is it the right file?")


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
        return "" if b"\x00" in head or not head else "jsonl" if head.lstrip()[:1] == b"{" else "csv"


def _named_otherwise(file: str) -> bool:
    try:
        format_of(file)
    except ExportRejected:
        return True
    return False


def _look_at_text(name: str, keys: dict[str, Any], reasons: dict[str, str]) -> None:
    """Find encoding, delimiter, quoting and whether there is a header; note what is not the default."""
    head = head_of(name, _HEAD_BYTES)
    encoding = _encoding(head)
    if encoding in ("cp1252", "latin-1"):
        keys["encoding"] = encoding
        reasons["encoding"] = "it has bytes that are no UTF-8; cp1252 and latin-1 differ in few signs: look at accents"
    every = [line.rstrip("\r") for line in head.decode(encoding, errors="replace").lstrip("\ufeff").split("\n")[:200]]
    if above := _lines_above(every):
        keys["skip"] = above
        reasons["skip"] = f"the first {above} lines have fewer columns than the next ones: a heading, it seems"
    lines = [line for line in every[above:] if line]
    if not lines:
        raise ExportRejected(f"{name}: expected rows, but the file is empty. Fetch it again.")
    if len(lines[0].split("::")) > 2:
        keys |= {"delimiter": "::", "quote": ""}
        reasons["delimiter"] = "the first line is cut by ::"
    text = "\n".join(lines)
    if "delimiter" not in keys and re.search(r'[^,;\t|\n\\]\\"[^",;\t|\n]', text):
        keys["escape"] = "\\"
        reasons["escape"] = 'a quote within quotes is written \\"'
    fields = lines[0].split("::") if "delimiter" in keys else _widest_cut(lines[0])
    # No column is named by a number or a time.
    if any(re.match(r"\s*-?\d", field) for field in fields):
        keys["names"] = [f"column{place}" for place in range(1, len(fields) + 1)]
        reasons["names"] = f"the first line looks like data, not like names: {lines[0][:60]!r}; give better names here"


def _lines_above(lines: list[str]) -> int:
    """How many lines stand above the header: those with fewer columns than most lines have.

    Of the signs that may cut the lines it is the one that cuts most of them alike; at best the first line, too.
    """
    cuts = []
    for sign in ",;\t|":
        widths = [len(_cut(line, sign)) for line in lines]
        usual = max(set(widths), key=widths.count, default=0)
        if usual > 1:
            cuts.append((widths[0] == usual, widths.count(usual), usual, widths))
    _, _, usual, widths = max(cuts, default=(False, 0, 0, []))
    above = next((place for place, width in enumerate(widths) if width >= usual), 0)
    return above if usual > 2 and above <= 20 else 0


def _widest_cut(line: str) -> list[str]:
    return max((_cut(line, sign) for sign in ",;\t|"), key=len)


def _cut(line: str, sign: str) -> list[str]:
    return next(csv.reader([line], delimiter=sign), [])


def _encoding(head: bytes) -> str:
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "cp1252" if any(0x80 <= byte <= 0x9F for byte in head) else "latin-1"
    return "utf-8"
