"""From the files of an export to a drafted mapping: samples, a plan, the text."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from flows.connection import connect
from flows.sources.draft import draft_mapping
from flows.sources.draft_length import shortened
from flows.sources.draft_pages import add_pages
from flows.sources.draft_people import look_at_people
from flows.sources.draft_plan import Plan, make_plan
from flows.sources.draft_properties import spread_properties
from flows.sources.event_words import meant_by_file
from flows.sources.export_files import head_of
from flows.sources.file_guess import FileGuess
from flows.sources.macros import add_macros
from flows.sources.mapping_keys import ExportRejected
from flows.sources.sample import EmptyFile, Sample, files_named, take_samples

#: Parts of one export that are looked at, and the bytes of a file that its first line is in.
_PARTS_LOOKED_AT, _FIRST_LINE = 3, 1 << 16
_NO_ROWS = "it has no rows"


@dataclass(frozen=True)
class Draft:
    """A drafted mapping file, and what each file of the export was taken for: (file, what, why)."""

    text: str
    files: tuple[tuple[str, str, str], ...]


def draft_source(patterns: Sequence[str], name: str, folder: Path) -> Draft:
    """Draft a mapping of the files (globs, folders, zips) that will lie in `folder`; nothing is written.

    Raises ExportRejected when a file cannot be read, or when none of them tells what users did.
    """
    connection = connect()
    add_macros(connection)
    with tempfile.TemporaryDirectory() as scratch:
        files = files_named(list(patterns))
        samples, empty = _samples(connection, files, Path(scratch))
        plan = make_plan(spread_properties(connection, samples))
        if not plan.events and not (plan.orders and plan.lines):
            seen = "; ".join(f"{Path(each.file).name}: {_columns(each.columns)}" for each in samples)
            raise ExportRejected(
                "No file seems to tell what users did: none has rows that name a user (or a session) and an item, and "
                f"no two are orders and their lines. The columns are: {seen}. Write the mapping by hand "
                "(docs/bring-your-own-data.md), or name the file of events too."
            )
        add_pages(connection, plan)
        look_at_people(connection, plan)
        text = shortened(draft_mapping(plan, name, folder.absolute()))
        text += "".join(f"\n# Not used: {Path(each).name}: {_NO_ROWS}.\n" for each in empty)
    connection.close()
    chosen = [*plan.events, plan.orders, plan.lines, plan.people, plan.items, plan.users]
    told = [guess for guess in [*chosen, *(each.guess for each in plan.lookups), *plan.unused] if guess is not None]
    said = [
        *dict.fromkeys(_told(guess, plan) for guess in told),
        *((Path(each).name, "not used", _NO_ROWS) for each in empty),
    ]
    return Draft(text, tuple(said))


def _samples(
    connection: duckdb.DuckDBPyConnection, files: Sequence[str], scratch: Path
) -> tuple[list[Sample], list[str]]:
    """Look at each file; of many parts with the same header and deed at the first few, and take the rest for such.

    Files without rows are told beside the samples. Raises ExportRejected where no file has any.
    """
    looked: dict[tuple[object, ...], list[list[Sample]]] = {}
    found: list[Sample] = []
    empty: dict[str, EmptyFile] = {}
    for number, file in enumerate(files):
        known = looked.setdefault(_header(file) or (file,), [])
        if len(known) >= _PARTS_LOOKED_AT and "names" not in known[0][0].keys:
            found += [replace(each, file=file) for each in known[0]]
            continue
        try:
            known.append(take_samples(connection, file, f"sample_{number}", scratch / str(number)))
            found += known[-1]
        except EmptyFile as error:
            empty[file] = error
    if empty and not found:
        raise next(iter(empty.values()))
    return found, list(empty)


def _header(file: str) -> tuple[object, ...]:
    """The first line of a text file, and the deed that its name tells; nothing for other files."""
    suffixes = Path(file).suffixes
    if not {".csv", ".tsv", ".txt"} & set(suffixes):
        return ()
    line, end, _ = head_of(file, _FIRST_LINE).partition(b"\n")
    return (line, tuple(suffixes[-2:]), meant_by_file(file)) if end else ()


def _told(guess: FileGuess, plan: Plan) -> tuple[str, str, str]:
    what = "words to look up" if guess.kind == "other" else guess.kind
    what = "not used" if guess in plan.unused else "events" if guess in plan.events else what
    return ", ".join(Path(file).name for file in guess.files), what, guess.why


def _columns(columns: Sequence[object]) -> str:
    return ", ".join(f"{column.name} ({column.kind})" for column in columns)  # type: ignore[attr-defined]
