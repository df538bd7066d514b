"""One pass of DuckDB over a relation gives all the numbers that the rules are judged on."""

from collections.abc import Mapping, Sequence

import duckdb

from expectations.columns import DUCKDB_TYPES
from expectations.rules import Measure, Rule, flag, identifier
from feature_repo.schema import Column

#: Prefix of the profile's columns that count the rows that break a row rule.
FAILED = "failed: "
ROWS = "rows"
ROWS_BROKEN = "rows that break a rule"

Profile = dict[str, float | None]


def described(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """Return the relation's columns and their DuckDB types. Raises duckdb.CatalogException when it does not exist."""
    rows = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    return {row[0]: row[1] for row in rows}


def shape_rules(columns: Sequence[Column], found: Mapping[str, str]) -> tuple[Rule, Rule]:
    """Return the two rules on a table's shape, that its columns are there and carry the contract's types."""
    missing = [column.name for column in columns if column.name not in found]
    mistyped = [
        f"{column.name} is {found[column.name]}, not {column.dtype}"
        for column in columns
        if column.name in found and not carries(found[column.name], column.dtype)
    ]
    return (
        _shape_rule(
            "columns_present",
            "Every column of the contract is there.",
            "missing columns",
            missing,
            "name it",
        ),
        _shape_rule("columns_typed", "Every column has the contract's type.", "wrong types", mistyped, "cast it"),
    )


def carries(duckdb_type: str, dtype: str) -> bool:
    """Tell whether a DuckDB type carries a type of the contract, lists included."""
    if dtype.startswith("list<"):
        return duckdb_type.endswith("[]") and carries(duckdb_type[:-2], dtype[5:-1])
    return duckdb_type in DUCKDB_TYPES[dtype]


def profile(connection: duckdb.DuckDBPyConnection, relation: str, rules: Sequence[Rule]) -> Profile:
    """Return every measure of the rules by name, the failed rows of each rule, and the row counts, in one pass.

    A measure is None where there was nothing to measure.
    """
    flagged = {flag(rule.name): rule.broken for rule in rules if rule.broken and not rule.failed}
    selected = {ROWS: "count(*)", ROWS_BROKEN: f"count_if({' OR '.join(flagged)})" if flagged else "0"}
    for rule in rules:
        selected |= {measure.name: measure.sql for measure in rule.measures}
        if rule.failed or rule.broken:
            selected[FAILED + rule.name] = rule.failed or f"count_if({flag(rule.name)})"
    columns = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in selected.items())
    flags = "".join(f", {broken} AS {name}" for name, broken in flagged.items())
    row = connection.execute(f"SELECT {columns} FROM (SELECT *{flags} FROM {relation})").fetchone()
    return dict(zip(selected, row or (), strict=True))


def _shape_rule(name: str, sentence: str, measured: str, faults: Sequence[str], advice: str) -> Rule:
    return Rule(
        name=name,
        level="table",
        sentence=sentence,
        severity="critical",
        expected="all of them" if name == "columns_present" else "the contract's types",
        measures=(Measure(measured, f"CAST({len(faults)} AS BIGINT)", maximum=0),),
        advice=f"For each such column, {advice} in the mapping (or mend the export) and run again.",
        detail=", ".join(faults),
    )
