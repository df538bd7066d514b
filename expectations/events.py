"""What must be true of events, beyond their columns."""

from collections.abc import Sequence

from expectations.columns import column_rules, time_rules, typed, unique_key
from expectations.rules import Measure, References, Rule, literal, row_rule, rows_present, volume_as_before
from feature_repo.schema import EVENTS, INTERACTION_TYPES

#: An event of these types says nothing without its item. One may follow a person, so `follow` is not among them.
NEEDS_ITEM = tuple(name for name in (*INTERACTION_TYPES, "return") if name != "follow")


def event_rules(relation: str, columns: Sequence[str], references: References) -> tuple[Rule, ...]:
    """Return every rule of the events table: row rules first, in the order a row is told of them, then table rules."""
    declared = [rule for column in EVENTS.columns for rule in column_rules(column, references)]
    return (
        *typed(columns),
        *declared,
        *time_rules("event_time", references),
        *time_rules("known_at", references),
        _interaction_has_item(),
        unique_key(EVENTS.key, relation),
        rows_present(),
        *volume_as_before(references),
        purchases_have_prices(),
        prices_have_currency(),
        one_currency(),
    )


def _interaction_has_item() -> Rule:
    types = ", ".join(literal(name) for name in NEEDS_ITEM)
    broken = f"nullif(item_id, '') IS NULL AND event_type IN ({types})"
    return row_rule("interaction_has_item", "event_type", "of a type that needs no item, or the item is named", broken)


def purchases_have_prices() -> Rule:
    """Return the rule that nearly every purchase has a price: spend and price features rest on it."""
    purchases = "event_type = 'purchase'"
    share = f"count_if({purchases} AND unit_price IS NOT NULL) / nullif(count_if({purchases}), 0)"
    return Rule(
        name="purchases_have_prices",
        level="table",
        sentence="At least 95 % of purchases have a unit price.",
        severity="warning",
        expected="at least 95 % of purchases",
        measures=(Measure("share of purchases with a price", share, minimum=0.95, kind="share"),),
        columns=("event_type", "unit_price"),
        failed=f"count_if({purchases} AND unit_price IS NULL)",
        advice="Look whether the mapping names the price column; spend features count these lines as nothing.",
    )


def prices_have_currency() -> Rule:
    """Return the rule that a price says in which currency."""
    share = "count_if(unit_price IS NOT NULL AND currency IS NOT NULL) / nullif(count(unit_price), 0)"
    return Rule(
        name="prices_have_currency",
        level="table",
        sentence="At least 99 % of prices name their currency.",
        severity="warning",
        expected="at least 99 % of priced rows",
        measures=(Measure("share of prices with a currency", share, minimum=0.99, kind="share"),),
        columns=("unit_price", "currency"),
        failed="count_if(unit_price IS NOT NULL AND currency IS NULL)",
        advice="Name the currency in the mapping.",
    )


def one_currency() -> Rule:
    """Return the rule that an export sells in one currency: sums over two currencies mean nothing."""
    mixed = "CAST(min(currency) <> max(currency) AS BIGINT)"
    return Rule(
        name="one_currency",
        level="table",
        sentence="An export sells in one currency.",
        severity="warning",
        expected="one currency",
        measures=(Measure("mix of currencies", mixed, maximum=0),),
        columns=("currency",),
        advice="Split the source by currency, or convert prices before the export: spend adds them up as one.",
    )
