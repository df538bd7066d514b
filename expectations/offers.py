"""What must be true of offers, beyond their columns."""

from collections.abc import Sequence

from expectations.columns import column_rules, typed, unique_key
from expectations.rules import (
    Measure,
    References,
    Rule,
    broken_rows,
    quoted_value,
    row_rule,
    rows_present,
    volume_as_before,
)
from feature_repo.schema import OFFERS


def offer_rules(relation: str, columns: Sequence[str], references: References) -> tuple[Rule, ...]:
    """Return every rule of the offers table: row rules first, in the order a row is told of them, then table rules."""
    declared = [rule for column in OFFERS.columns for rule in column_rules(column, references)]
    return (
        *typed(columns),
        *declared,
        row_rule("items_not_empty", "items", "a list of at least one item", "len(items) = 0"),
        row_rule(
            "items_named",
            "items",
            "a list without nulls or empty names",
            "list_count(items) <> len(items) OR list_contains(items, '')",
        ),
        _ends_after_start(),
        unique_key(OFFERS.key, relation),
        rows_present(),
        *volume_as_before(references),
        *offered_items_known(relation, references),
    )


def _ends_after_start() -> Rule:
    broken = "ends_at < starts_at"
    return Rule(
        name="ends_after_start",
        level="row",
        sentence="An offer ends at or after its start.",
        severity="warning",
        expected="ends_at at or after starts_at",
        measures=(broken_rows("ends_after_start", broken),),
        columns=("starts_at", "ends_at"),
        broken=broken,
        came=f"{quoted_value('starts_at')} || ', ' || {quoted_value('ends_at')}",
    )


def offered_items_known(relation: str, references: References) -> tuple[Rule, ...]:
    """Return the rule that nearly all offered items are in the catalogue, where the catalogue is known."""
    if not references.known_item_ids:
        return ()
    offered = f"SELECT DISTINCT unnest(items) AS item_id FROM {relation}"
    known = f"count_if(item_id IN (SELECT item_id FROM {references.known_item_ids} WHERE item_id IS NOT NULL))"
    return (
        Rule(
            name="offered_items_known",
            level="table",
            sentence="At least 95 % of offered items are in the catalogue.",
            severity="warning",
            expected="at least 95 % of offered items",
            measures=(
                Measure(
                    "share of offered items in the catalogue",
                    f"(SELECT {known} / nullif(count(*), 0) FROM ({offered}))",
                    minimum=0.95,
                    kind="share",
                ),
            ),
            columns=("items",),
            advice="Land the catalogue again; an offer on an unknown item cannot be shown.",
        ),
    )
