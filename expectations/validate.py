"""Judge a relation: DuckDB profiles it in one pass, the suite decides, the same rules select the rows to hold."""

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from expectations.columns import ROW_NUMBER
from expectations.events import event_rules
from expectations.features import feature_columns, feature_rules
from expectations.items import item_rules
from expectations.offers import offer_rules
from expectations.profile import ROWS, Profile, broken_relation, described, failed_rows, profile, shape_rules
from expectations.rules import (
    HELD_SHARE_FROM_ROWS,
    HELD_SHARE_LIMIT,
    Measure,
    References,
    Rule,
    rows_present,
)
from expectations.suites import decide
from expectations.users import user_rules
from expectations.verdict import Check, CheckCrashed, DataRejected, TableStopped, Verdict, raise_if_refused
from expectations.wording import observed
from feature_repo.features import FeatureView
from feature_repo.schema import Column, Table

__all__ = [
    "Check",
    "CheckCrashed",
    "DataRejected",
    "References",
    "TableStopped",
    "Verdict",
    "check_features",
    "check_table",
    "held_rows",
    "raise_if_refused",
    "table_rules",
]

RULES_OF_TABLE = {"events": event_rules, "items": item_rules, "offers": offer_rules, "users": user_rules}
HELD_SCHEMA = pa.schema([(ROW_NUMBER, pa.int64()), ("rule", pa.string()), ("reason", pa.string())])
#: Rows of a refused table that are looked at; all of a sample.
SHOWN_OF_REFUSED = 200_000


def check_table(connection: duckdb.DuckDBPyConnection, relation: str, table: Table, references: References) -> Verdict:
    """Judge a mapped relation: the contract's columns plus `_row` int64 (and `_uncast` text, where casts can fail).

    Rows that break a row rule are counted in `rows_held` and do not refuse the table; a critical table rule does, so
    many held rows among them, unless the rows are acknowledged ones.
    """
    found = described(connection, relation)
    declared = table_rules(table, relation, tuple(found), references)
    rules, shape_broken = _rules_that_apply(declared, table.columns, found)
    checks, rows, held = _judge(connection, relation, rules)
    if not shape_broken:
        undated = 0 if references.whole else _undated(connection, relation, table)
        checks = (*checks, _check_held_share(rows - undated, held - undated, references.acknowledged))
    return _verdict(table.name, rows, checks, held, references)


def _undated(connection: duckdb.DuckDBPyConnection, relation: str, table: Table) -> int:
    """Rows of events without a time: each part of an export has all of them, so they say nothing of one part."""
    if table.name != "events":
        return 0
    row = connection.execute(f"select count(*) from {relation} where event_time is null").fetchone()
    return int(row[0]) if row else 0


def check_features(
    connection: duckdb.DuckDBPyConnection, relation: str, view: FeatureView, references: References
) -> Verdict:
    """Judge a feature table: key, features, event_timestamp, created_timestamp. Every broken row refuses it:

    a wrong feature is a fault of ours, not of the shop, so none is held.
    """
    found = described(connection, relation)
    rules, _ = _rules_that_apply(feature_rules(view, references), feature_columns(view), found)
    checks, rows, _ = _judge(connection, relation, rules)
    return _verdict(view.name, rows, checks, 0, references)


def held_rows(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    table: Table,
    references: References,
    verdict: Verdict | None = None,
) -> pa.Table:
    """Return the rows that break a row rule: `_row` int64, the first broken rule in declared order, and the reason.

    With the relation's verdict at hand (of the same connection) the rows that its judging found are read again, and
    none is looked for when no rule failed. Of a relation that its verdict refuses, at most `SHOWN_OF_REFUSED` rows
    come: they are not kept, they say what to mend.
    """
    rules = table_rules(table, relation, tuple(described(connection, relation)), references)
    if verdict is None:
        failed_rows(connection, relation, [rule for rule in rules if rule.broken])
    elif not any(check.failed_rows for check in verdict.checks if check.level == "row"):
        return HELD_SCHEMA.empty_table()
    query = f"SELECT {ROW_NUMBER}, rule, reason FROM {broken_relation(relation)} ORDER BY {ROW_NUMBER}"
    if verdict is not None and not verdict.passed:
        query += f" LIMIT {SHOWN_OF_REFUSED}"
    return connection.sql(query).to_arrow_table().cast(HELD_SCHEMA)


def table_rules(table: Table, relation: str, columns: Sequence[str], references: References) -> tuple[Rule, ...]:
    """Return every rule of one of the lake's tables for a relation with these columns. Raises ValueError for others."""
    if table.name not in RULES_OF_TABLE:
        raise ValueError(f"There are rules for the tables {', '.join(RULES_OF_TABLE)}, but not for {table.name!r}.")
    return RULES_OF_TABLE[table.name](relation, columns, references)


def _rules_that_apply(
    rules: Sequence[Rule], columns: Sequence[Column], found: dict[str, str]
) -> tuple[tuple[Rule, ...], bool]:
    """Return the shape's rules and, where the shape holds, all the others; and whether the shape is broken."""
    shape = shape_rules(columns, found)
    if any(rule.detail for rule in shape):
        return (*shape, rows_present()), True
    return (*shape, *rules), False


def _judge(
    connection: duckdb.DuckDBPyConnection, relation: str, rules: Sequence[Rule]
) -> tuple[tuple[Check, ...], int, int]:
    """Return the checks, the rows looked at, and the rows that break a row rule.

    The suite decides on the profile; a second pass finds the broken rows, for the rules alone that failed.
    """
    numbers = profile(connection, relation, rules)
    decided = decide("profile", rules, numbers)
    counts, held = failed_rows(connection, relation, [rule for rule in rules if not decided[rule.name][0]])
    checks = tuple(_check(rule, numbers, decided[rule.name], counts.get(rule.name, 0)) for rule in rules)
    return checks, int(numbers[ROWS] or 0), held


def _check(rule: Rule, numbers: Profile, decided: tuple[bool, str], failed: int) -> Check:
    passed, error = decided
    if rule.level == "row" and not passed and not error and not failed:
        error = "the suite finds the rule broken, but the predicate finds no row that breaks it"
    return Check(
        rule=rule.name,
        sentence=rule.sentence,
        level=rule.level,
        severity=rule.severity,
        expected=rule.expected,
        observed="nothing: the check crashed" if error else observed(rule, numbers),
        failed_rows=failed,
        passed=passed and not error,
        advice=rule.advice,
        error=error,
    )


def _check_held_share(rows: int, held: int, acknowledged: bool) -> Check:
    limit = HELD_SHARE_LIMIT if rows >= HELD_SHARE_FROM_ROWS else 1.0
    share = Measure("share of held rows", "", maximum=limit, kind="share")
    rule = Rule(
        name="few_rows_held",
        level="table",
        sentence=f"At most {100 * HELD_SHARE_LIMIT:.0f} % of rows are held, from {HELD_SHARE_FROM_ROWS} rows on.",
        severity="warning" if acknowledged else "critical",
        expected=f"at most {100 * limit:.0f} % of rows",
        measures=(share,),
        advice="So many bad rows point at the export or its mapping, not at single rows: see which rule holds most.",
    )
    numbers: Profile = {share.name: held / rows if rows else 0.0}
    # No held row, nothing to decide: a suite costs as much on one number as on fifty.
    decided = decide("held share", [rule], numbers)[rule.name] if held else (True, "")
    return _check(rule, numbers, decided, 0 if decided[0] else held)


def _verdict(name: str, rows: int, checks: tuple[Check, ...], held: int, references: References) -> Verdict:
    passed = not any(not check.passed and (check.severity == "critical" or check.error) for check in checks)
    return Verdict(name, rows, passed, checks, held, references.now)
