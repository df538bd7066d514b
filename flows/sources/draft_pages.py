"""Deeds that a log of pages tells: what was looked at stands within each address, like /product/17."""

from dataclasses import replace

import duckdb

from flows.connection import literal, quoted
from flows.sources.column_profile import ColumnProfile, profile_columns
from flows.sources.draft_ids import item_on_page, on_page
from flows.sources.draft_plan import Plan
from flows.sources.event_words import likely_meant_by
from flows.sources.file_guess import FileGuess, kind_of
from flows.sources.roles import Guess
from flows.sources.sample import SAMPLE_ROWS

#: What stands before the last part of an address, and that part.
_STEM, _LAST = r"^([^?#]*/)[^/?#]+/?([?#].*)?$", r"^[^?#]*/([^/?#]+)/?([?#].*)?$"
#: Pages of a score of things at least; of a catalogue that is longer than its sample some are not in it.
_FEW, _NEARLY_ALL, _SOME = 20, 0.9, 0.3


def add_pages(connection: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    """Take files that name users but no item for views, where a column has the catalogue's items in its addresses."""
    key = plan.items.roles["item_id"].column.name if plan.items else None
    for guess in list(plan.unused):
        if plan.items is None or key is None or "event_time" not in guess.roles or "item_id" in guess.roles:
            continue
        if guess.roles.keys() & {"user_id", "session_id"} and (found := _pages(connection, guess, plan.items, key)):
            plan.unused = [each for each in plan.unused if each is not guess]
            plan.events.append(_as_views(connection, guess, *found))


def _pages(
    connection: duckdb.DuckDBPyConnection, guess: FileGuess, items: FileGuess, key: str
) -> tuple[ColumnProfile, str] | None:
    """The column of addresses, and what stands before the item in those of things; None where no column has them."""
    enough = _NEARLY_ALL if items.sample.rows < SAMPLE_ROWS else _SOME
    best: tuple[int, ColumnProfile, str] | None = None
    for column in guess.sample.columns:
        if column.kind != "text":
            continue
        value = f"cast({quoted(column.name)} as varchar)"
        query = (
            f"with pages as (select regexp_extract({value}, {literal(_STEM)}, 1) as stem, "
            f"regexp_extract({value}, {literal(_LAST)}, 1) as item from {quoted(guess.sample.view)} "
            f"where contains({value}, '/')) "
            "select stem, count(distinct item) from pages where stem <> '' group by stem "
            f"having count(distinct item) >= {_FEW} and avg(cast(item in "
            f"(select cast({quoted(key)} as varchar) from {quoted(items.sample.view)}) as int)) >= {enough} "
            "order by 2 desc, 1 limit 1"
        )
        row = connection.execute(query).fetchone()
        if row is not None and (best is None or row[1] > best[0]):
            best = (row[1], column, row[0])
    return best[1:] if best else None


def _as_views(connection: duckdb.DuckDBPyConnection, guess: FileGuess, column: ColumnProfile, stem: str) -> FileGuess:
    """The file as one of events, its items out of the addresses; its words stay where they tell of deeds there."""
    sample, view = guess.sample, f"{guess.sample.view}_pages"
    there = f"from {quoted(sample.view)} where {on_page(column.name, stem)}"
    made = item_on_page(column.name, stem)
    connection.execute(f"create or replace view {quoted(view)} as select {made} as {quoted(column.name)} {there}")
    why = f"the last part of addresses that begin with {stem} has the catalogue's items"
    roles = {**guess.roles, "item_id": Guess("item_id", profile_columns(connection, view)[0], why, "likely")}
    if "event_type" in roles:
        word = quoted(roles["event_type"].column.name)
        words = [row[0] for row in connection.execute(f"select distinct {word} {there}").fetchall()]
        if not any(word and likely_meant_by(str(word)) for word in words):
            roles.pop("event_type")
    sample = replace(sample, pages={column.name: stem})
    return replace(guess, sample=sample, kind="events", why=kind_of(sample, roles)[1], roles=roles)
