"""Lines that could not be split into columns: kept for the quarantine, but never with a shop's own user id in them."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

#: What is written about each such line; `header` (a JSON list) and `delimiter` are null for JSON lines.
COLUMNS = ("file", "number", "line", "problem", "header", "delimiter")


def mask_unread(path: Path, user_columns: set[str], pseudonym_of: Callable[[str], str]) -> None:
    """Replace the user id in each line by its pseudonym; where it cannot be found, keep only the line's fingerprint."""
    rows = pq.read_table(path).to_pylist()
    for row in rows:
        row["line"] = _masked(row, user_columns, pseudonym_of)
    pq.write_table(pa.Table.from_pylist(rows, schema=pq.read_schema(path)), path)


def _masked(row: dict[str, str], user_columns: set[str], pseudonym_of: Callable[[str], str]) -> str | None:
    line = row["line"] or ""
    if row["delimiter"] is None:
        return _masked_json(line, user_columns, pseudonym_of)
    header = json.loads(row["header"])
    fields = next(csv.reader([line.strip("\r\n")], delimiter=row["delimiter"]), [])
    places = [header.index(name) for name in user_columns if name in header]
    if '"' in line or not places or max(places) >= min(len(fields), len(header)) or len(fields) > len(header):
        return None
    for place in places:
        fields[place] = pseudonym_of(fields[place])
    return row["delimiter"].join(fields)


def _masked_json(line: str, user_columns: set[str], pseudonym_of: Callable[[str], str]) -> str | None:
    for name in user_columns:
        pattern = re.compile(rf'("{re.escape(name)}"\s*:\s*)(?:"([^"\\]*)"|(-?\d+))(?=\s*[,}}])')
        line, found = pattern.subn(lambda at: at[1] + json.dumps(pseudonym_of(at[2] or at[3])), line)
        if not found or line.count(f'"{name}"') != found:
            return None
    return line
