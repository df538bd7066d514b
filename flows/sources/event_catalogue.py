"""The catalogue that a shop's events imply, where it exports none."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from expectations.rules import CLOCK_SKEW_DAYS
from feature_repo.schema import EVENTS
from flows.connection import quoted
from flows.sources.mapping import Mapping, Section
from flows.sources.reading import Raw, number_sql
from flows.sources.staged_rows import rows_of

#: SQL over a staged event: whether it can be read, is not ahead of the clock and within the contract's bounds.
_SOUND = " and ".join(
    [
        "_uncast is null",
        f"event_time <= now() + interval {CLOCK_SKEW_DAYS} day",
        *(
            f"coalesce({quoted(column.name)} between {column.minimum} and {column.maximum}, true)"
            for column in EVENTS.columns
            if column.minimum is not None and column.maximum is not None
        ),
    ]
)


def open_catalogue_of_events(
    connection: duckdb.DuckDBPyConnection,
    mapping: Mapping,
    staged: Sequence[tuple[Section, Path]],
    others: Sequence[Path] = (),
) -> list[Raw] | None:
    """The catalogue that staged events imply: the newest raw row of each item, its numbers as numbers again.

    A row that will be held itself tells of an item only where no other does: it would hold the item and all its events.
    Items that one of the `others` has, staged files of sections before, are left to it.
    """
    parts, numbers = [], {}
    for section, file in staged:
        parts.append(
            f"with told as (select *, {_SOUND} as sound from {rows_of(connection, file)}) "
            "select unnest(newest.raw), newest.item_id as _item_id, newest.event_time as _event_time, "
            "newest.event_id as _event_id, newest.sound as _sound from (select arg_max({'raw': _raw, "
            "'item_id': item_id, 'event_time': event_time, 'event_id': event_id, 'sound': sound}, "
            "(sound, event_time, event_id)) as newest from told where item_id is not null and event_time is not null "
            "group by item_id)"
        )
        readings = [section.reading] if section.reading else mapping.inputs.values()
        numbers.update({name: reading.number_format for reading in readings for name in reading.numbers})
    if not parts:
        return None
    connection.execute(
        f"create or replace view of_sections as {' union all by name '.join(f'({part})' for part in parts)}"
    )
    typed = {row[0]: row[1] for row in connection.execute("describe of_sections").fetchall()}
    read = ", ".join(
        f"{number_sql(quoted(name), number_format)} as {quoted(name)}"
        for name, number_format in numbers.items()
        if typed.get(name) == "VARCHAR"
    )
    there = " union all ".join(f"select item_id from {rows_of(connection, file)}" for file in others)
    read = f"replace ({read})" if read else ""
    lacking = f"where _item_id not in (select item_id from ({there}) where item_id is not null)"
    connection.execute(
        f"create or replace view raw as select * exclude (_event_id, _sound) {read} from of_sections "
        f"{lacking if others else ''} "
        "qualify row_number() over (partition by _item_id order by _sound desc, _event_time desc, _event_id desc) = 1"
    )
    return []
