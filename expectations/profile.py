"""One pass of DuckDB over a relation gives all the numbers that the rules are judged on."""

from collections.abc import Mapping, Sequence

import duckdb

from expectations.columns import DUCKDB_TYPES
from expectations.rules import Measure, Rule, identifier
from feature_repo.schema import Column

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
            "missing column",
            missing,
            "name it",
        ),
        _shape_rule("columns_typed", "Every column has the contract's type.", "wrong type", mistyped, "cast it"),
    )


def carries(duckdb_type: str, dtype: str) -> bool:
    """Tell whether a DuckDB type carries a type of the contract, lists included."""
    if dtype.startswith("list<"):
        return duckdb_type.endswith("[]") and carries(duckdb_type[:-2], dtype[5:-1])
    return duckdb_type in DUCKDB_TYPES[dtype]


def profile(connection: duckdb.DuckDBPyConnection, relation: str, rules: Sequence[Rule]) -> Profile:
    """Return every measure of the rules by name, and the row count, in one pass; None: there was nothing to measure."""
    measures = [measure for rule in rules for measure in rule.measures]
    proven = {m.name: 0.0 for m in measures if m.distinct and _never_repeats(connection, relation, m.distinct)}
    selected = {ROWS: "count(*)"} | {m.name: m.sql for m in measures if m.name not in proven}
    return _one_row(connection, selected, relation) | proven


def failed_rows(
    connection: duckdb.DuckDBPyConnection, relation: str, rules: Sequence[Rule]
) -> tuple[dict[str, int], int]:
    """Return the failed rows of each of the rules that failed, and how many rows break any of them, in one pass."""
    counted = [rule for rule in rules if rule.broken or rule.failed]
    if not counted:
        return {}, 0
    flags = {rule.name: identifier(f"breaks {rule.name}") for rule in counted if rule.broken}
    selected = {ROWS_BROKEN: f"count_if({' OR '.join(flags.values()) or 'false'})"}
    selected |= {rule.name: rule.failed or f"count_if({flags[rule.name]})" for rule in counted}
    predicates = "".join(f", {rule.broken} AS {flags[rule.name]}" for rule in counted if rule.broken)
    counts = _one_row(connection, selected, f"(SELECT *{predicates} FROM {relation})")
    return {rule.name: int(counts[rule.name] or 0) for rule in counted}, int(counts[ROWS_BROKEN] or 0)


def _never_repeats(connection: duckdb.DuckDBPyConnection, relation: str, key: str) -> bool:
    """Prove that no two rows share a key: equal keys have equal hashes. Half the CPU of counting distinct strings."""
    (hashes,) = connection.execute(f"SELECT hash({key}) AS hashed FROM {relation}").fetchnumpy().values()
    hashes.sort()
    return not bool((hashes[1:] == hashes[:-1]).any())


def _one_row(connection: duckdb.DuckDBPyConnection, selected: Mapping[str, str], relation: str) -> Profile:
    columns = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in selected.items())
    row = connection.execute(f"SELECT {columns} FROM {relation}").fetchone()
    return dict(zip(selected, row or (), strict=True))


def _shape_rule(name: str, sentence: str, measured: str, faults: Sequence[str], advice: str) -> Rule:
    name_of_faults = measured if len(faults) == 1 else f"{measured}s"
    return Rule(
        name=name,
        level="table",
        sentence=sentence,
        severity="critical",
        expected="all of them" if name == "columns_present" else "the contract's types",
        measures=(Measure(name_of_faults, f"CAST({len(faults)} AS BIGINT)", maximum=0),),
        advice=f"For each such column, {advice} in the mapping (or mend the export) and run again.",
        detail=", ".join(faults),
    )
