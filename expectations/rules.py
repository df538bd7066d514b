"""What a rule is: a sentence about the business, what the suite measures, and which rows break it."""

from dataclasses import dataclass
from datetime import UTC, datetime

#: A shop's clock may run ahead of ours by this much before an event counts as being in the future.
CLOCK_SKEW_DAYS = 1
#: Nothing that a shop exports happened before this moment; older times are parsing mistakes.
EARLIEST_TIME = datetime(1990, 1, 1, tzinfo=UTC)
#: The table is refused when more than this share of its rows would be held ...
HELD_SHARE_LIMIT = 0.2
#: ... judged from this many rows on; in a smaller window every bad row is simply held.
HELD_SHARE_FROM_ROWS = 20


@dataclass(frozen=True)
class References:
    """What a table is judged against besides itself.

    `known_item_ids` names a DuckDB relation with a column item_id; `previous_rows` is the row count of the window
    before; `as_of` is the moment that a feature table pretends to be; `whole` is false of a part of an export, bounded
    by time; `acknowledged` is true of rows that serving took in one by one: however many are held, the others land.
    Raises ValueError for a time without a zone.
    """

    known_item_ids: str | None
    now: datetime
    previous_rows: int | None = None
    as_of: datetime | None = None
    whole: bool = True
    acknowledged: bool = False

    def __post_init__(self) -> None:
        for name, moment in (("now", self.now), ("as_of", self.as_of)):
            if moment is not None and moment.tzinfo is None:
                raise ValueError(f"References.{name} must carry a time zone (UTC), but is {moment.isoformat()}.")


@dataclass(frozen=True)
class Measure:
    """One number of a table's profile, and the bounds that the suite holds it to.

    `sql` is an aggregate; null means that there was nothing to measure. `kind` says how to print it:
    count, rows, number, share, or moment (microseconds since 1970, UTC). Where `distinct` names a key (SQL), a sort of
    its hashes that finds no two alike and none of an empty key proves the measure to be 0, and saves the aggregate.
    """

    name: str
    sql: str
    minimum: float | None = None
    maximum: float | None = None
    kind: str = "count"
    distinct: str = ""


@dataclass(frozen=True)
class Rule:
    """One thing that must be true of each row (level 'row') or of the whole table (level 'table').

    `measures` are what the suite decides on. `broken` (row rules) is the DuckDB predicate that is true for a row that
    breaks the rule and `came` the SQL text of what that row has; where there is no predicate, `failed` is an aggregate
    that counts failed rows. `advice` says what to do next and `detail` what came, where numbers do not say it.
    A critical rule stops the table; a warning does not.
    """

    name: str
    level: str
    sentence: str
    severity: str
    expected: str
    measures: tuple[Measure, ...]
    columns: tuple[str, ...] = ()
    broken: str = ""
    came: str = ""
    failed: str = ""
    advice: str = ""
    detail: str = ""


def row_rule(name: str, column: str, expected: str, broken: str, *measures: Measure, sentence: str = "") -> Rule:
    """Return a row rule of one column whose reason quotes the value; without measures the suite counts broken rows."""
    return Rule(
        name=name,
        level="row",
        sentence=sentence or f"{column} is {expected}.",
        severity="warning",
        expected=f"{column} {expected}",
        measures=measures or (broken_rows(name, broken),),
        columns=(column,),
        broken=broken,
        came=quoted_value(column),
    )


def broken_rows(name: str, broken: str) -> Measure:
    """Return the measure that counts the rows for which a rule's predicate is true; none may."""
    return Measure(f"rows that break {name}", f"count_if({broken})", maximum=0, kind="rows")


def identifier(name: str) -> str:
    """Return a name quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text quoted for SQL."""
    return "'" + text.replace("'", "''") + "'"


def moment_literal(moment: datetime) -> str:
    """Return a moment as a DuckDB timestamp with time zone, in UTC."""
    return f"TIMESTAMPTZ '{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00'"


def number_literal(number: float) -> str:
    """Return a number as a DuckDB double, so that no decimal rounding creeps in."""
    return f"CAST({number!r} AS DOUBLE)"


def quoted_value(column: str) -> str:
    """Return the SQL text `column = value`, the value cut at 80 characters, for a reason."""
    value = f"CAST({identifier(column)} AS VARCHAR)"
    return f"{literal(column + ' = ')} || coalesce(left({value}, 80), 'null')"


def rows_present() -> Rule:
    """Return the rule that a table is not empty."""
    return Rule(
        name="rows_present",
        level="table",
        sentence="The table has at least one row.",
        severity="critical",
        expected="at least 1 row",
        measures=(Measure("rows", "count(*)", minimum=1),),
        advice="Look whether the export is empty or its window is the one you meant.",
    )


def volume_as_before(references: References) -> tuple[Rule, ...]:
    """Return the rule that the row count is within a fifth and five times of the window before, where one is known."""
    before = references.previous_rows
    if not before:
        return ()
    return (
        Rule(
            name="volume_as_before",
            level="table",
            sentence="The table has about as many rows as the window before: between a fifth and five times.",
            severity="warning",
            expected=f"between {before / 5:,.0f} and {before * 5:,.0f} rows",
            measures=(Measure("rows in this window", "count(*)", before / 5, before * 5),),
            advice="Ask the shop whether the export is complete; if sales moved this much, nothing is to be done.",
        ),
    )
