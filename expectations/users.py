"""What must be true of users, beyond their columns."""

from collections.abc import Sequence

from expectations.columns import column_rules, time_rules, typed, unique_key
from expectations.rules import References, Rule, row_rule, rows_present, volume_as_before
from feature_repo.schema import USERS


def user_rules(relation: str, columns: Sequence[str], references: References) -> tuple[Rule, ...]:
    """Return every rule of the users table: row rules first, in the order a row is told of them, then table rules."""
    declared = [rule for column in USERS.columns for rule in column_rules(column, references)]
    not_an_object = "CASE WHEN json_valid(traits) THEN json_type(traits) <> 'OBJECT' ELSE traits <> '' END"
    return (
        *typed(columns),
        *declared,
        row_rule("traits_is_an_object", "traits", "a JSON object", not_an_object),
        *time_rules("updated_at", references),
        unique_key(USERS.key, relation),
        rows_present(),
        *volume_as_before(references),
    )
