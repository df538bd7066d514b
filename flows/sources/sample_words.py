"""What values say beyond their profiles: all words where they are not many, whose rows sell, what reaches a person."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import duckdb

from flows.connection import literal, quoted
from flows.sources.column_profile import ColumnProfile
from flows.sources.event_words import likely_meant_by
from flows.sources.roles import TIMES, guess_roles

#: Words that one column may have at most, and how often each comes at least on average.
_WORDS, _TIMES_EACH = 200, 3
#: Values of which more than this share is of charges are of nothing else.
_CHARGES = 0.2
#: A column reaches persons when this share of its values does.
_PERSONAL = 0.5
#: Up to so many words in the place of numbers may mean nothing, in less than this share of the filled rows.
_FEW, _AMONG = 4, 0.5
#: What such words say; others, like a size among numbers of sizes, mean something.
_NOTHING = r"(?i)(unknown|error|missing|undefined|invalid|unavailable|(not|un)[ _-]?(available|known|specified|set)"
_NOTHING += r"|unbekannt|fehler|fehlt|inconnu|manquant|erreur|desconocido|desconhecido|sconosciuto|onbekend)"
#: Mail addresses, phone numbers with a sign that no number has, addresses of computers.
_REACHES = (
    r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}",
    r"\+\d[\d ()/.-]{6,}\d|\(\d{2,4}\) ?\d[\d -]{4,}\d|0\d{2,4}[ /-]\d[\d -]{3,}\d|\d{3}-\d{3}-\d{4}",
    r"\d{1,3}(\.(\d{1,3}|x)){3}",
)


def with_every_word(
    connection: duckdb.DuckDBPyConnection, view: str, columns: Sequence[ColumnProfile]
) -> tuple[ColumnProfile, ...]:
    """The columns, those of text that have some words more than a profile keeps with all of them."""
    every = []
    for column in columns:
        more = len(column.common) < column.distinct <= min(_WORDS, column.filled // _TIMES_EACH)
        if column.kind == "text" and more:
            found = connection.execute(
                f"select left(cast({quoted(column.name)} as varchar), 60) as word, count(*) / {column.filled} "
                f"from {quoted(view)} where word is not null group by 1 order by count(*) desc, 1"
            ).fetchall()
            column = replace(column, common=tuple((word, round(share, 4)) for word, share in found))
        every.append(column)
    return tuple(every)


def word_that_sells(
    connection: duckdb.DuckDBPyConnection, view: str, columns: Sequence[ColumnProfile]
) -> tuple[str, str] | None:
    """The one word for a deed whose rows alone name an order or an amount, and the column with it; None elsewhere."""
    roles = guess_roles(columns, ("event_type", "basket_id", "line_total"))
    deed = roles["event_type"].column if "event_type" in roles else None
    if deed is None or deed.kind != "text" or any(likely_meant_by(word) == "purchase" for word in deed.words):
        return None
    for role in ("basket_id", "line_total"):
        if role in roles and roles[role].column.filled:
            name = roles[role].column.name
            query = f"select distinct {quoted(deed.name)} from {quoted(view)} where {quoted(name)} is not null limit 2"
            found = [row[0] for row in connection.execute(query).fetchall()]
            if len(found) == 1 and found[0] is not None:
                return str(found[0]), name
    return None


def personal_columns(
    connection: duckdb.DuckDBPyConnection, view: str, columns: Sequence[ColumnProfile]
) -> tuple[str, ...]:
    """The columns whose values are mail addresses, phone numbers or addresses of computers."""
    may_be = [each for each in columns if each.kind not in (*TIMES, "whole", "list", "empty", "clock")]
    if not may_be:
        return ()
    form = literal("|".join(_REACHES))
    tests = ", ".join(
        f"coalesce(avg(cast(regexp_full_match(cast({quoted(each.name)} as varchar), {form}) as int)), 0)"
        for each in may_be
    )
    shares = connection.execute(f"select {tests} from {quoted(view)}").fetchone() or ()
    return tuple(each.name for each, share in zip(may_be, shares, strict=False) if share > _PERSONAL)


def charges_of(
    connection: duckdb.DuckDBPyConnection, view: str, columns: Sequence[ColumnProfile]
) -> dict[str, tuple[str, ...]]:
    """Column → its values that are of postage, fees or discounts, where it has others too; the commonest first."""
    found = {}
    for column in columns:
        name = quoted(column.name)
        query = f"select trim({name}) from {quoted(view)} where is_charge({name}) group by 1 order by count(*) desc, 1"
        values = tuple(row[0] for row in connection.execute(query).fetchall())
        if 0 < len(values) < _CHARGES * column.distinct:
            found[column.name] = values
    return found


def words_among_numbers(connection: duckdb.DuckDBPyConnection, view: str, names: Sequence[str]) -> list[str]:
    """Words in the place of a value in two or more columns that have numbers or days otherwise: ERROR, UNKNOWN."""
    found = Counter[str]()
    for name in names:
        value = f"trim({quoted(name)})"
        query = (
            f"select {value}, count(*) from {quoted(view)} where {quoted(name)} <> '' "
            f"and not regexp_matches({value}, '[0-9]') group by 1 limit {_FEW + 1}"
        )
        words = connection.execute(query).fetchall()
        filled = connection.execute(f"select count(*) from {quoted(view)} where {quoted(name)} <> ''").fetchone()
        without = sum(count for _, count in words)
        if 0 < len(words) <= _FEW and without < _AMONG * (filled or (0,))[0]:
            found.update(word for word, _ in words if re.fullmatch(_NOTHING, word))
    return sorted(word for word, columns in found.items() if columns > 1)
