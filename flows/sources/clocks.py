"""How the clock of a raw column's times is written: times of day, and how far from UTC."""

import duckdb

from flows.connection import literal

#: What stands behind the seconds of a time that names its offset: the third group.
OFFSET = r"(:\d\d(\.\d+)?)(Z| ?UTC| ?[+-]\d\d(:?\d\d)?)$"

#: How Spanish writes the half of the day, `p. m.`: the first group is its letter.
HALF_OF_DAY = r"([AaPp])\.[ \x{00a0}\x{202f}]?[Mm]\.?"


def offsets_of(
    connection: duckdb.DuckDBPyConnection, source: str, formats: tuple[str, ...]
) -> tuple[float, ...] | None:
    """The middle offset in hours of the texts `v` of `source`; () where none has one, None where only some have."""
    if any(each.startswith("epoch_") or "%z" in each for each in formats):
        return (0.0,)
    if formats != ("iso",):
        return ()
    text = f"regexp_extract(v, {literal(OFFSET)}, 3)"
    hours = f"try_cast(regexp_extract({text}, '[+-](\\d\\d)', 1) as double)"
    minutes = f"coalesce(try_cast(regexp_extract({text}, '\\d\\d:?(\\d\\d)$', 1) as double), 0)"
    offset = f"case when {text} like '%-%' then -1 else 1 end * coalesce({hours} + {minutes} / 60, 0)"
    row = connection.execute(
        f"select count(*), count_if({text} <> ''), median({offset}) filter ({text} <> '') from {source} "
        "where v is not null"
    ).fetchone()
    filled, with_one, middle = row or (0, 0, None)
    if not with_one:
        return ()
    return (float(middle),) if with_one == filled else None


def clock_format(connection: duckdb.DuckDBPyConnection, source: str) -> tuple[str, ...]:
    """The one format of times of day that reads most of them, the likelier first; `p. m.` counts as `pm`."""
    formats = ("%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p")
    value = f"regexp_replace(v, {literal(HALF_OF_DAY)}, '\\1m')"
    counts = connection.execute(
        f"select {', '.join(f'count(try_strptime({value}, {literal(each)}))' for each in formats)} from {source}"
    ).fetchone() or [0]
    return (formats[counts.index(max(counts))],)
