"""What must be true of items, beyond their columns."""

from collections.abc import Sequence

from expectations.columns import column_rules, time_rules, typed, unique_key
from expectations.rules import Measure, References, Rule, row_rule, rows_present, volume_as_before
from feature_repo.schema import ITEMS


def item_rules(relation: str, columns: Sequence[str], references: References) -> tuple[Rule, ...]:
    """Return every rule of the items table: row rules first, in the order a row is told of them, then table rules."""
    declared = [rule for column in ITEMS.columns for rule in column_rules(column, references)]
    return (
        *typed(columns),
        *declared,
        row_rule("title_not_blank", "title", "more than blanks", "title <> '' AND trim(title) = ''"),
        row_rule(
            "category_is_a_path",
            "category",
            "a path: parts joined by ' > ', none of them empty",
            "category IS NOT NULL AND (trim(category) = '' OR regexp_matches(category, '(^\\s*>|>\\s*>|>\\s*$)'))",
        ),
        *time_rules("updated_at", references),
        unique_key(ITEMS.key, relation),
        rows_present(),
        *volume_as_before(references),
        some_items_available(),
    )


def some_items_available() -> Rule:
    """Return the rule that the catalogue can sell something: an answer is made of available items only."""
    return Rule(
        name="some_items_available",
        level="table",
        sentence="At least 1 % of items can be bought now.",
        severity="warning",
        expected="at least 1 % of items",
        measures=(
            Measure(
                "share of available items", "count_if(available) / nullif(count(*), 0)", minimum=0.01, kind="share"
            ),
        ),
        columns=("available",),
        failed="count_if(NOT available)",
        advice="Look at the mapping of `available`: only available items are recommended.",
    )
