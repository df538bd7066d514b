"""What must be true of feature tables: a broken row here is a fault of ours, so every rule is critical."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from expectations.columns import column_rules, unique_key
from expectations.rules import (
    Measure,
    References,
    Rule,
    broken_rows,
    identifier,
    literal,
    moment_literal,
    quoted_value,
    rows_present,
)
from feature_repo.features import (
    CO_PURCHASE_LENGTH,
    CREATED_TIMESTAMP,
    EVENT_TIMESTAMP,
    HABIT_LENGTH,
    HISTORY_LENGTH,
    WINDOWS_DAYS,
    FeatureView,
)
from feature_repo.schema import INTERACTION_TYPES, Column

#: Lists of one view that run side by side: the i-th entries belong together.
PAIRED_LISTS = {
    "user_affinity": (("top_categories", "top_category_shares"), ("top_brands", "top_brand_shares")),
    "user_history": (("history_item_ids", "history_event_types", "history_event_times"),),
    "user_habits": (("habit_item_ids", "habit_counts", "habit_last_times"),),
    "item_co_purchase": (("co_purchase_item_ids", "co_purchase_scores", "co_purchase_bought"),),
}
#: Feature → (shortest, longest) list.
LIST_LENGTHS = {
    "top_categories": (0, 5),
    "top_brands": (0, 5),
    "hour_shares": (24, 24),
    "weekday_shares": (7, 7),
    "history_item_ids": (0, HISTORY_LENGTH),
    "habit_item_ids": (0, HABIT_LENGTH),
    "co_purchase_item_ids": (0, CO_PURCHASE_LENGTH),
}
#: Lists of shares of one whole.
SHARE_LISTS = ("top_category_shares", "top_brand_shares", "hour_shares", "weekday_shares")
#: Lists of numbers that are never negative.
COUNT_LISTS = ("habit_counts", "co_purchase_scores", "co_purchase_bought")
#: Sums of shares may pass 1 by this much: rounding of doubles (and of 32-bit floats on the way).
SHARE_TOLERANCE = 1e-5


def feature_columns(view: FeatureView) -> tuple[Column, ...]:
    """Return every column of a feature table: key, features, event_timestamp, created_timestamp."""
    return (
        Column(view.key, "string", f"names the {view.entity}", False),
        *view.features,
        Column(EVENT_TIMESTAMP, "timestamp", "the moment the row pretends to be", False),
        Column(CREATED_TIMESTAMP, "timestamp", "when the row was computed", False),
    )


def feature_rules(view: FeatureView, references: References) -> tuple[Rule, ...]:
    """Return every rule of one feature view's table, generated from its columns and from what features mean."""
    names = view.feature_names
    declared = [rule for column in feature_columns(view) for rule in column_rules(column, references)]
    rules = (
        *declared,
        *[_list_rule(feature) for feature in view.features if feature.dtype.startswith("list<")],
        *[_equal_lengths(names) for names in PAIRED_LISTS.get(view.name, ())],
        *[_length(name) for name in names if name in LIST_LENGTHS],
        *[_shares(name) for name in names if name in SHARE_LISTS],
        *[_not_negative(name) for name in names if name in COUNT_LISTS],
        *[_times_before_as_of(feature.name) for feature in view.features if feature.dtype == "list<timestamp>"],
        *_history_rules(view),
        *_channel_shares(view),
        *_growing_windows(names),
        *_not_newer(references),
        _one_row_each(view),
    )
    return (*[replace(rule, severity="critical", advice=_ADVICE) for rule in rules], rows_present())


_ADVICE = "A feature is computed wrongly: mend feature_repo/transforms.py; the tables in use stay as they are."


def _feature_rule(name: str, sentence: str, expected: str, columns: Sequence[str], broken: str) -> Rule:
    return Rule(
        name=name,
        level="row",
        sentence=sentence,
        severity="critical",
        expected=expected,
        measures=(broken_rows(name, broken),),
        columns=tuple(columns),
        broken=broken,
        came=" || ', ' || ".join(quoted_value(column) for column in columns),
    )


def _list_rule(feature: Column) -> Rule:
    name = identifier(feature.name)
    broken = f"list_count({name}) <> len({name})"
    if feature.dtype == "list<float>":
        broken += f" OR len(list_filter({name}, lambda x: NOT isfinite(x))) > 0"
    sentence = f"Every entry of {feature.name} is there" + (" and finite." if feature.dtype == "list<float>" else ".")
    return _feature_rule(
        f"{feature.name}_entries", sentence, "no null, NaN or infinite entries", [feature.name], broken
    )


def _equal_lengths(names: Sequence[str]) -> Rule:
    first = f"len({identifier(names[0])})"
    broken = " OR ".join(f"{first} <> len({identifier(name)})" for name in names[1:])
    sentence = f"{', '.join(names[:-1])} and {names[-1]} are equally long."
    return _feature_rule(f"{names[0]}_paired", sentence, "lists of one length", names, broken)


def _length(name: str) -> Rule:
    shortest, longest = LIST_LENGTHS[name]
    words = f"exactly {longest}" if shortest == longest else f"at most {longest}"
    broken = f"len({identifier(name)}) NOT BETWEEN {shortest} AND {longest}"
    measures = (
        Measure(f"shortest {name}", f"min(len({identifier(name)}))", minimum=shortest),
        Measure(f"longest {name}", f"max(len({identifier(name)}))", maximum=longest),
    )
    rule = _feature_rule(f"{name}_length", f"{name} has {words} entries.", f"{words} entries", [name], broken)
    return replace(rule, measures=measures)


def _shares(name: str) -> Rule:
    column = identifier(name)
    limit = 1 + SHARE_TOLERANCE
    broken = f"list_sum({column}) > {limit} OR list_min({column}) < 0"
    measures = (
        Measure(f"smallest of {name}", f"CAST(min(list_min({column})) AS DOUBLE)", minimum=0, kind="number"),
        Measure(f"largest sum of {name}", f"CAST(max(list_sum({column})) AS DOUBLE)", maximum=limit, kind="number"),
    )
    sentence = f"{name} are shares of one whole: none below 0, together at most 1."
    rule = _feature_rule(f"{name}_sum", sentence, "shares that sum to at most 1", [name], broken)
    return replace(rule, measures=measures)


def _not_negative(name: str) -> Rule:
    column = identifier(name)
    measure = Measure(f"smallest of {name}", f"CAST(min(list_min({column})) AS DOUBLE)", minimum=0, kind="number")
    rule = _feature_rule(
        f"{name}_not_negative",
        f"No entry of {name} is below 0.",
        "entries of at least 0",
        [name],
        f"list_min({column}) < 0",
    )
    return replace(rule, measures=(measure,))


def _times_before_as_of(name: str) -> Rule:
    sentence = f"{name} lie before the moment the row pretends to be: nothing of the future leaks in."
    broken = f"list_max({identifier(name)}) >= {EVENT_TIMESTAMP}"
    return _feature_rule(f"{name}_before_as_of", sentence, f"times before {EVENT_TIMESTAMP}", [EVENT_TIMESTAMP], broken)


def _history_rules(view: FeatureView) -> tuple[Rule, ...]:
    if view.name != "user_history":
        return ()
    types = ", ".join(literal(name) for name in INTERACTION_TYPES)
    return (
        _feature_rule(
            "history_sorted",
            "A history runs from the oldest interaction to the newest.",
            "times in rising order",
            ["history_event_times"],
            "list_sort(history_event_times) <> history_event_times",
        ),
        _feature_rule(
            "history_types_known",
            "A history is made of interactions.",
            f"only {', '.join(INTERACTION_TYPES)}",
            ["history_event_types"],
            f"NOT list_has_all([{types}], history_event_types)",
        ),
    )


def _channel_shares(view: FeatureView) -> tuple[Rule, ...]:
    if view.name != "user_channels":
        return ()
    total = " + ".join(identifier(name) for name in view.feature_names)
    broken = f"{total} > {1 + SHARE_TOLERANCE}"
    sentence = "The shares of a user's channels sum to at most 1."
    return (_feature_rule("channel_shares_sum", sentence, "a sum of at most 1", view.feature_names, broken),)


def _growing_windows(names: Sequence[str]) -> tuple[Rule, ...]:
    """A longer window counts at least as much as a shorter one; shares and means do not grow, so they are left out."""
    suffix = f"_{WINDOWS_DAYS[0]}d"
    stems = [name.removesuffix(suffix) for name in names if name.endswith(suffix)]
    rules = []
    for stem in stems:
        windows = [name for name in (f"{stem}_{days}d" for days in WINDOWS_DAYS) if name in names]
        if not stem.endswith(("_count", "spend")) or len(windows) < 2:
            continue
        broken = " OR ".join(_falls(shorter, longer) for shorter, longer in pairwise(windows))
        sentence = f"A longer window of {stem} is never below a shorter one."
        rules.append(_feature_rule(f"{stem}_grows", sentence, "values that rise with the window", windows, broken))
    return tuple(rules)


def _one_row_each(view: FeatureView) -> Rule:
    """One row a key and moment; feature tables carry no row numbers, so repeated rows are counted, not selected."""
    rule = unique_key((view.key, EVENT_TIMESTAMP), "")
    return replace(rule, failed=rule.measures[0].sql, sentence=f"There is one row a {view.entity}.")


def _falls(shorter: str, longer: str) -> str:
    limit = identifier(longer)
    return f"{identifier(shorter)} > {limit} + {SHARE_TOLERANCE} * (1 + {limit})"


def _not_newer(references: References) -> tuple[Rule, ...]:
    """No row pretends to be later than the moment asked for (or than now, where none was)."""
    limit = references.as_of or references.now
    broken = f"{EVENT_TIMESTAMP} > {moment_literal(limit)}"
    rule = _feature_rule(
        "not_newer_than_as_of",
        "No feature row is newer than the moment it was asked for.",
        f"{EVENT_TIMESTAMP} at most {limit:%Y-%m-%d %H:%M:%S} UTC",
        [EVENT_TIMESTAMP],
        broken,
    )
    latest = Measure(
        f"latest {EVENT_TIMESTAMP}",
        f"epoch_us(max({EVENT_TIMESTAMP}) FILTER (WHERE isfinite({EVENT_TIMESTAMP})))",
        maximum=limit.timestamp() * 1e6,
        kind="moment",
    )
    return (replace(rule, broken=f"isfinite({EVENT_TIMESTAMP}) AND {broken}", measures=(latest,)),)
