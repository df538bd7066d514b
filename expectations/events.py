"""What must be true of events, beyond their columns."""

from collections.abc import Sequence
from dataclasses import replace

from expectations.columns import column_rules, time_rules, typed, unique_key
from expectations.rules import (
    Measure,
    References,
    Rule,
    literal,
    quoted_value,
    row_rule,
    rows_present,
    volume_as_before,
)
from feature_repo.schema import EVENTS, INTERACTION_TYPES

#: An event of these types says nothing without its item. One may follow a person, so `follow` is not among them.
NEEDS_ITEM = tuple(name for name in (*INTERACTION_TYPES, "return") if name != "follow")
#: Optional VARCHAR column of a mapped relation: the window that a row belongs to; windows sort by name as in time.
WINDOW = "_window"
#: A window this many times smaller or larger than the middle one is told as a warning.
VOLUME_FACTOR = 10


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
        *windows_alike(relation, columns),
        purchases_have_prices(),
        prices_have_currency(),
        one_currency(),
    )


def _interaction_has_item() -> Rule:
    types = ", ".join(literal(name) for name in NEEDS_ITEM)
    broken = f"nullif(item_id, '') IS NULL AND event_type IN ({types})"
    expected = f"named by an event that is one of {', '.join(NEEDS_ITEM)}"
    rule = row_rule("interaction_has_item", "item_id", expected, broken, sentence="An interaction names its item.")
    return replace(rule, came=f"{quoted_value('event_type')} || ', ' || {quoted_value('item_id')}")


def windows_alike(relation: str, columns: Sequence[str]) -> tuple[Rule, ...]:
    """Return the rule that no window has far fewer or more events of items than most, where rows carry `_window`.

    The first and the last window are left out: an export seldom begins and ends with a whole one.
    """
    if WINDOW not in columns:
        return ()
    grouped = f"SELECT {WINDOW}, count(item_id) AS n FROM {relation} GROUP BY {WINDOW}"
    # Days and months are alike; hours, whose names are longer than a date, follow the day and the night.
    counts = f"SELECT * FROM ({grouped}) WHERE n > 0 AND length({WINDOW}) <= length('2026-01-31')"
    inner = f"SELECT n, {WINDOW} > min({WINDOW}) OVER () AND {WINDOW} < max({WINDOW}) OVER () AS inside FROM ({counts})"
    ratios = f"SELECT n, median(n) OVER () AS middle FROM ({inner}) WHERE inside"
    factor = f"(SELECT max(greatest(n / middle, middle / n)) FROM ({ratios}))"
    return (
        Rule(
            name="windows_alike",
            level="table",
            sentence=f"Between the first and the last, no window has {VOLUME_FACTOR} times more or fewer interactions.",
            severity="warning",
            expected=f"at most {VOLUME_FACTOR} times away from the middle window",
            measures=(Measure("most distant window's factor", factor, maximum=VOLUME_FACTOR, kind="number"),),
            columns=(WINDOW, "item_id"),
            advice="Look in the picture which window stands out, and ask the shop whether its export is complete.",
        ),
    )


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
