"""Rules generated from the contract's columns: required, unique, bounds, allowed values, references, finite numbers."""

from collections.abc import Sequence

from expectations.rules import (
    CLOCK_SKEW_DAYS,
    EARLIEST_TIME,
    Measure,
    References,
    Rule,
    broken_rows,
    identifier,
    literal,
    moment_literal,
    number_literal,
    quoted_value,
    row_rule,
)
from feature_repo.schema import Column

#: Optional VARCHAR column of a mapped relation: the values that could not be cast, as `unit_price='abc'`; else null.
UNCAST = "_uncast"
#: Row number of a mapped relation, int64; names a row until it is landed or held.
ROW_NUMBER = "_row"
#: DuckDB types that carry each type of the contract.
DUCKDB_TYPES = {
    "string": ("VARCHAR",),
    "timestamp": ("TIMESTAMP WITH TIME ZONE",),
    "float": ("DOUBLE", "FLOAT"),
    "int": ("BIGINT", "INTEGER", "SMALLINT", "TINYINT", "UBIGINT", "UINTEGER", "HUGEINT"),
    "bool": ("BOOLEAN",),
}


def typed(columns: Sequence[str]) -> tuple[Rule, ...]:
    """Return the rule that every value could be read as its column's type, where the relation says which could not."""
    if UNCAST not in columns:
        return ()
    broken = f"{UNCAST} IS NOT NULL"
    return (
        Rule(
            name="typed",
            level="row",
            sentence="Every value can be read as its column's type.",
            severity="warning",
            expected="values of the contract's types",
            measures=(broken_rows("typed", broken),),
            columns=(UNCAST,),
            broken=broken,
            came=f"left({UNCAST}, 200)",
        ),
    )


def column_rules(column: Column, references: References) -> tuple[Rule, ...]:
    """Return the row rules that one column's declaration states, in the order in which a row is told of them."""
    rules: list[Rule] = []
    if not column.nullable:
        rules.append(_required(column))
    if column.dtype in ("float", "timestamp"):
        rules.append(_finite(column))
    if column.minimum is not None or column.maximum is not None:
        rules.append(_in_bounds(column))
    if column.allowed is not None:
        rules.append(_allowed(column))
    if column.references == "items.item_id" and references.known_item_ids:
        rules.append(_known(column, references.known_item_ids))
    return tuple(rules)


def time_rules(column: str, references: References) -> tuple[Rule, ...]:
    """Return the rules that a moment is neither in the future (with a day of clock skew) nor before 1990."""
    name = identifier(column)
    limit = f"({moment_literal(references.now)} + INTERVAL {CLOCK_SKEW_DAYS} DAY)"
    seen = f"FILTER (WHERE isfinite({name}))"
    latest = (references.now.timestamp() + CLOCK_SKEW_DAYS * 86_400) * 1e6
    return (
        row_rule(
            f"{column}_not_in_future",
            column,
            f"at most {CLOCK_SKEW_DAYS} day after now ({references.now:%Y-%m-%d %H:%M} UTC)",
            f"isfinite({name}) AND {name} > {limit}",
            Measure(f"latest {column}", f"epoch_us(max({name}) {seen})", maximum=latest, kind="moment"),
            sentence=f"{column} is not in the future; a shop's clock may run {CLOCK_SKEW_DAYS} day ahead.",
        ),
        row_rule(
            f"{column}_not_too_old",
            column,
            f"not before {EARLIEST_TIME:%Y-%m-%d}",
            f"isfinite({name}) AND {name} < {moment_literal(EARLIEST_TIME)}",
            Measure(
                f"earliest {column}",
                f"epoch_us(min({name}) {seen})",
                minimum=EARLIEST_TIME.timestamp() * 1e6,
                kind="moment",
            ),
            sentence=f"{column} is not before {EARLIEST_TIME:%Y}; older times are mistakes of reading.",
        ),
    )


def unique_key(key: Sequence[str], relation: str) -> Rule:
    """Return the rule that a key names one row; the first by row number stays, later ones break it.

    Without a relation the rule has no predicate: it counts the repeated rows and does not select them.
    """
    names = [identifier(column) for column in key]
    value = names[0] if len(names) == 1 else f"({', '.join(names)})"
    present = " AND ".join(f"{name} IS NOT NULL" for name in names)
    repeated = f"count(*) FILTER (WHERE {present}) - count(DISTINCT {value}) FILTER (WHERE {present})"
    groups = f"FROM {relation} WHERE {present} GROUP BY {', '.join(names)} HAVING count(*) > 1"
    title = " and ".join(key)
    later = f"({value} IN (SELECT {value} {groups}) AND {ROW_NUMBER} NOT IN (SELECT min({ROW_NUMBER}) {groups}))"
    return Rule(
        name=f"{'_'.join(key)}_unique",
        level="row",
        sentence=f"{title} names one row; the first stays, later ones are held.",
        severity="warning",
        expected=f"{title} once",
        measures=(Measure(f"repeated {title}", repeated, maximum=0, distinct=value),),
        columns=tuple(key),
        broken=later if relation else "",
        came=" || ', ' || ".join(quoted_value(column) for column in key) + " || ' again'",
    )


def _required(column: Column) -> Rule:
    name = identifier(column.name)
    value = f"nullif({name}, '')" if column.dtype == "string" else name
    missing = f"count(*) - count({value})"
    return row_rule(
        f"{column.name}_required",
        column.name,
        "not null" if column.dtype != "string" else "not null and not empty",
        f"{value} IS NULL",
        Measure(f"missing {column.name}", missing, maximum=0, distinct=name if column.unique else ""),
        sentence=f"Every row has its {column.name} ({column.meaning}).",
    )


def _finite(column: Column) -> Rule:
    name = identifier(column.name)
    what = "a number that is finite (not NaN, not infinite)" if column.dtype == "float" else "a moment, not infinite"
    return row_rule(
        f"{column.name}_finite",
        column.name,
        what,
        f"NOT isfinite({name})",
        Measure(f"not finite {column.name}", f"count({name}) - count_if(isfinite({name}))", maximum=0),
        sentence=f"{column.name} is finite.",
    )


def _in_bounds(column: Column) -> Rule:
    name = identifier(column.name)
    finite = f"isfinite({name})" if column.dtype == "float" else "true"
    seen = f"FILTER (WHERE {finite})"
    sides, measures, words = [], [], []
    if column.minimum is not None:
        sides.append(f"{name} < {number_literal(column.minimum)}")
        words.append(f"at least {column.minimum:,}")
        smallest = f"CAST(min({name}) {seen} AS DOUBLE)"
        measures.append(Measure(f"smallest {column.name}", smallest, minimum=column.minimum, kind="number"))
    if column.maximum is not None:
        sides.append(f"{name} > {number_literal(column.maximum)}")
        words.append(f"at most {column.maximum:,}")
        largest = f"CAST(max({name}) {seen} AS DOUBLE)"
        measures.append(Measure(f"largest {column.name}", largest, maximum=column.maximum, kind="number"))
    sentence = f"{column.name} ({column.meaning}) lies in its bounds."
    broken = f"{finite} AND ({' OR '.join(sides)})"
    return row_rule(f"{column.name}_in_bounds", column.name, " and ".join(words), broken, *measures, sentence=sentence)


def _allowed(column: Column) -> Rule:
    name = identifier(column.name)
    values = ", ".join(literal(value) for value in column.allowed or ())
    among = f"{name} IN ({values})"
    return row_rule(
        f"{column.name}_allowed",
        column.name,
        f"one of {', '.join(column.allowed or ())}",
        f"nullif({name}, '') IS NOT NULL AND NOT ({among})",
        Measure(f"unknown {column.name}", f"count(nullif({name}, '')) - count_if({among})", maximum=0),
        sentence=f"{column.name} ({column.meaning}) is a word of the contract.",
    )


def _known(column: Column, relation: str) -> Rule:
    name = identifier(column.name)
    among = f"{name} IN (SELECT item_id FROM {relation} WHERE item_id IS NOT NULL)"
    broken = f"{name} IS NOT NULL AND NOT ({among})"
    return row_rule(f"{column.name}_known", column.name, "an item of the catalogue", broken)
