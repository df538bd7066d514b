"""What things are, told as keys and values, a row for each: the keys that mean something become columns of items."""

from collections.abc import Sequence
from dataclasses import replace

import duckdb

from flows.connection import literal, quoted
from flows.sources.column_profile import ColumnProfile, profile_columns
from flows.sources.draft_kinds import kinds_among
from flows.sources.roles import guess_roles, plain_name
from flows.sources.sample import Sample

_KEYS = {"property", "property_name", "attribute", "attribute_name", "attribute_code", "key", "feature", "feature_name"}
_VALUES = {"value", "property_value", "attribute_value", "feature_value"}
#: Keys looked at, the commonest first.
_MOST = 60
#: The catalogue's own word; what says nothing of it can be bought.
AVAILABLE = "available"
_MEANT = ("title", "description", "brand", "image", "unit_price")


def spread_properties(connection: duckdb.DuckDBPyConnection, samples: Sequence[Sample]) -> list[Sample]:
    """The samples, those of keys and values of items as tables with a row an item and a column for each key of meaning.

    Their `spread` is the SQL that makes such a table of `products`. Files whose keys mean nothing stay as they are.
    """
    groups: dict[tuple[str, ...], list[Sample]] = {}
    for sample in samples:
        groups.setdefault(tuple(each.name for each in sample.columns), []).append(sample)
    made: dict[int, Sample] = {}
    for parts in groups.values():
        named = _named(parts[0])
        # The parts of one export tell of other things by the same keys.
        keys = _keys(connection, parts, *named) if named else []
        for part in parts if keys else []:
            made[id(part)] = _spread(connection, part, keys, named)
    return [made.get(id(sample), sample) for sample in samples]


def _named(sample: Sample) -> tuple[str, ...]:
    """The columns of the item, the key, the value, and the time where it has an order; none for other files."""
    key = next((each.name for each in sample.columns if plain_name(each.name) in _KEYS), None)
    value = next((each.name for each in sample.columns if plain_name(each.name) in _VALUES), None)
    left = [each for each in sample.columns if each.name not in (key, value)]
    roles = guess_roles(left, ("item_id", "user_id", "session_id", "event_time"))
    if key is None or value is None or "item_id" not in roles or roles.keys() & {"user_id", "session_id"}:
        return ()
    item = roles["item_id"].column
    times = roles["event_time"].column if "event_time" in roles else None
    ordered = times is not None and (times.kind.startswith("epoch") or times.time_formats == ("iso",))
    return (item.name, key, value, *([times.name] if times is not None and ordered else []))


def _keys(
    connection: duckdb.DuckDBPyConnection, parts: Sequence[Sample], item: str, key: str, value: str, *time: str
) -> list[str]:
    """The keys of files that a catalogue has a column for, by their names and what is said by them."""
    word = f"cast({quoted(key)} as varchar)"
    every = " union all by name ".join(f"from {quoted(part.view)}" for part in parts)
    common = connection.execute(
        f"select {word} from ({every}) where regexp_matches({word}, '[^\\W\\d_]') group by 1 "
        f"order by count(*) desc, 1 limit {_MOST}"
    ).fetchall()
    words = [row[0] for row in common if row[0] not in (item, *time)]
    if not words:
        return []
    profiles = _profiles(connection, _spread_sql(words, f"({every})", item, key, value, *time))
    left = [each for each in profiles if each.name != item]
    meant = {guess.column.name for guess in guess_roles(left, _MEANT).values()}
    meant |= {each.name for each in kinds_among(left)} | {AVAILABLE}
    return [each for each in words if each in meant]


def _profiles(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[ColumnProfile, ...]:
    connection.execute(f"create or replace temp view properties_as_columns as {query}")
    return profile_columns(connection, "properties_as_columns")


def _spread(
    connection: duckdb.DuckDBPyConnection, sample: Sample, keys: Sequence[str], named: tuple[str, ...]
) -> Sample:
    view = f"{sample.view}_spread"
    connection.execute(f"create view {quoted(view)} as {_spread_sql(keys, quoted(sample.view), *named)}")
    columns = profile_columns(connection, view)
    # Its rows stay those of the file: whether all of it was seen, they tell.
    return replace(sample, view=view, columns=columns, spread=_spread_sql(keys, "products", *named))


def _spread_sql(keys: Sequence[str], relation: str, item: str, key: str, value: str, time: str = "") -> str:
    """SQL that makes a row an item of rows of keys and values: the newest value of each key."""
    newest = f"max_by({quoted(value)}, {quoted(time)})" if time else f"max({quoted(value)})"
    told = {word: f"{newest} filter ({quoted(key)} = {literal(word)})" for word in keys}
    if AVAILABLE in told:
        told[AVAILABLE] = f"coalesce({told[AVAILABLE]}, '1')"
    columns = ", ".join(f"{made} as {quoted(word)}" for word, made in told.items())
    return f"select {quoted(item)}, {columns} from {relation} group by all"
