"""One pass of DuckDB over a relation gives all the numbers that the rules are judged on."""

from collections.abc import Mapping, Sequence

import duckdb
import numpy as np

from expectations.columns import DUCKDB_TYPES, ROW_NUMBER
from expectations.rules import Measure, Rule, identifier, literal
from feature_repo.schema import Column

ROWS = "rows"

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
    keys = {m.distinct for m in measures if m.distinct}
    proven_keys = {key for key in keys if _is_a_key(connection, relation, key)}
    proven = {m.name: 0.0 for m in measures if m.distinct in proven_keys}
    selected = {ROWS: "count(*)"} | {m.name: m.sql for m in measures if m.name not in proven}
    return _one_row(connection, selected, relation) | proven


def failed_rows(
    connection: duckdb.DuckDBPyConnection, relation: str, rules: Sequence[Rule]
) -> tuple[dict[str, int], int]:
    """Return the failed rows of each of the rules that failed, and how many rows break any of them.

    The broken rows' numbers, first rules and reasons stay in `broken_relation`: nobody has to look for them again.
    """
    selected = {rule.name: rule.failed for rule in rules if rule.failed}
    counts = _one_row(connection, selected, relation) if selected else {}
    flags = {rule.name: identifier(f"breaks {rule.name}") for rule in rules if rule.broken}
    if not flags:
        return {name: int(count or 0) for name, count in counts.items()}, 0
    broken = broken_relation(relation)
    _keep_broken(connection, relation, [rule for rule in rules if rule.broken], flags)
    counts |= _one_row(connection, {name: f"count_if({flag})" for name, flag in flags.items()}, broken)
    held = _one_row(connection, {ROWS: "count(*)"}, broken)[ROWS]
    return {name: int(count or 0) for name, count in counts.items()}, int(held or 0)


def _keep_broken(
    connection: duckdb.DuckDBPyConnection, relation: str, rules: Sequence[Rule], flags: Mapping[str, str]
) -> None:
    """Only the columns that rules name are read: a broken row itself is taken from the relation by its number."""
    number = ROW_NUMBER if ROW_NUMBER in described(connection, relation) else f"CAST(NULL AS BIGINT) AS {ROW_NUMBER}"
    predicates = ", ".join(f"{rule.broken} AS {flags[rule.name]}" for rule in rules)
    names = " ".join(f"WHEN {flags[rule.name]} THEN {literal(rule.name)}" for rule in rules)
    reasons = " ".join(
        f"WHEN {flags[rule.name]} THEN {literal(f'expected {rule.expected}; came ')} || {rule.came}" for rule in rules
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {broken_relation(relation)} AS SELECT {number}, {', '.join(flags.values())}, "
        f"CASE {names} END AS rule, CASE {reasons} END AS reason "
        f"FROM (SELECT *, {predicates} FROM {relation}) WHERE {' OR '.join(flags.values())}"
    )


def broken_relation(relation: str) -> str:
    """Return the name, quoted, of the temporary table in which `failed_rows` leaves a relation's broken rows."""
    return identifier(f"broken {relation}")


def _is_a_key(connection: duckdb.DuckDBPyConnection, relation: str, key: str) -> bool:
    """Prove that each row has its key and no two share one: equal keys have equal hashes, and so have empty ones.

    Half the CPU of counting distinct strings. A collision only costs the exact count.
    """
    (hashes,) = connection.execute(f"SELECT hash({key}) AS hashed FROM {relation}").fetchnumpy().values()
    hashes.sort()
    empty = connection.execute("SELECT hash(CAST(NULL AS VARCHAR)), hash('')").fetchone() or ()
    at = np.searchsorted(hashes, np.array(empty, dtype=hashes.dtype))
    found = any(hashes[position] == one for position, one in zip(at, empty, strict=True) if position < len(hashes))
    return not found and not bool((hashes[1:] == hashes[:-1]).any())


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
