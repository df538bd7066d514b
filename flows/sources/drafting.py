"""From the files of an export to a drafted mapping: samples, a plan, the text."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.connection import connect
from flows.sources.draft import draft_mapping
from flows.sources.draft_plan import FileGuess, Plan, make_plan
from flows.sources.macros import add_macros
from flows.sources.mapping_keys import ExportRejected
from flows.sources.sample import files_named, take_sample


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
        places = [Path(scratch) / str(number) for number in range(len(files))]
        named = zip(files, places, strict=True)
        samples = [take_sample(connection, file, f"sample_{place.name}", place) for file, place in named]
        plan = make_plan(samples)
        if not plan.events and not (plan.orders and plan.lines):
            seen = "; ".join(f"{Path(each.file).name}: {_columns(each.columns)}" for each in samples)
            raise ExportRejected(
                "No file seems to tell what users did: none has rows that name a user (or a session) and an item, and "
                f"no two are orders and their lines. The columns are: {seen}. Write the mapping by hand "
                "(docs/bring-your-own-data.md), or name the file of events too."
            )
        text = draft_mapping(plan, name, folder.absolute())
    connection.close()
    chosen = [*plan.events, plan.orders, plan.lines, plan.people, plan.items, plan.users]
    told = [guess for guess in [*chosen, *(guess for guess, _ in plan.lookups), *plan.unused] if guess is not None]
    return Draft(text, tuple(dict.fromkeys(_told(guess, plan) for guess in told)))


def _told(guess: FileGuess, plan: Plan) -> tuple[str, str, str]:
    what = "words to look up" if guess.kind == "other" else guess.kind
    what = "not used" if guess in plan.unused else "events" if guess in plan.events else what
    return ", ".join(Path(file).name for file in guess.files), what, guess.why


def _columns(columns: Sequence[object]) -> str:
    return ", ".join(f"{column.name} ({column.kind})" for column in columns)  # type: ignore[attr-defined]
