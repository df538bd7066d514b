"""Lines that could not be split into columns: kept for the quarantine, but never with a shop's own user id in them."""

import csv
import json
import re
from collections.abc import Callable, Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

#: What is written about each such line; `header` (a JSON list) and `delimiter` are null for JSON lines.
COLUMNS = ("file", "number", "line", "problem", "header", "delimiter")


def mask_unread(
    path: Path, user_columns: set[str], private: Collection[str], pseudonym_of: Callable[[str], str]
) -> None:
    """Replace the user id in each line by its pseudonym, and what is private by nothing.

    Where these cannot be found for sure, only the line's fingerprint is kept.
    """
    rows = pq.read_table(path).to_pylist()
    made = dict.fromkeys(map(str.casefold, private), lambda _: "")
    made |= dict.fromkeys(map(str.casefold, user_columns), pseudonym_of)
    for row in rows:
        row["line"] = _masked(row, made, {name.casefold() for name in user_columns})
    pq.write_table(pa.Table.from_pylist(rows, schema=pq.read_schema(path)), path)


def _masked(row: dict[str, str], made: dict[str, Callable[[str], str]], users: set[str]) -> str | None:
    """The line with its user id and private values replaced; `made`: a column's name in small letters → how."""
    line = row["line"] or ""
    if row["delimiter"] is None:
        return _masked_json(line, made)
    header = [name.casefold() for name in json.loads(row["header"])]
    fields = next(csv.reader([line.strip("\r\n")], delimiter=row["delimiter"]), [])
    places = [place for place, name in enumerate(header) if name in made]
    if not places and not users:
        return line
    named = not users or bool(users & set(header))
    # A line that was cut may lack its first field as well as its last one: nobody knows which field is the user's.
    if '"' in line or not named or len(fields) != len(header):
        return None
    for place in places:
        fields[place] = made[header[place]](fields[place])
    return row["delimiter"].join(fields)


def _masked_json(line: str, made: dict[str, Callable[[str], str]]) -> str | None:
    """The same of a JSON line. A key that the line does not have may lie within an object, under another name."""
    for name, value_of in made.items():
        key = rf'"{re.escape(name)}"'
        pattern = re.compile(rf'({key}\s*:\s*)(?:"([^"\\]*)"|(-?\d+))(?=\s*[,}}])', re.IGNORECASE)
        line, found = pattern.subn(lambda at, of=value_of: at[1] + json.dumps(of(at[2] or at[3] or "")), line)
        if not found or found != len(re.findall(key, line, re.IGNORECASE)):
            return None
    return line
