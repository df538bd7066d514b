"""Is what the gate judges on sound: nothing of the future in the inputs, nothing stale, no column in another's place.

The two cuts lie one truth span apart, so the past of the test cut is known twice: it is what the validation cut held,
and what the validation week brought. An entry that neither explains was put there by something else.
"""

from functools import partial

import numpy as np

from feature_repo.schema import INTERACTION_TYPES
from training.dataset import DAY_US, Cut, Queries, TrainingSet
from training.gate_checks import GateCheck, GateLimits, checked

#: Ages are float32 days: two moments within this many days are the same.
_SAME = 1e-3


def input_checks(training_set: TrainingSet, limits: GateLimits) -> tuple[GateCheck, ...]:
    """Check the inputs of both cuts; a check that cannot run counts as failed, with the reason."""
    stale = f"an interaction in the {limits.stale_days:g} days before the test cut"
    known = f"≤ {limits.unexplained:.0%} of the test cut's history unknown to the validation cut and its week"
    return (
        checked("features after T", "no input of a moment after its cut", partial(_no_future, training_set)),
        checked("target in input", known, partial(_explained, training_set, limits)),
        checked("fresh inputs", stale, partial(_fresh, training_set.test.queries, limits)),
        checked("columns", "types, ages and counts within their bounds, newest last", partial(_columns, training_set)),
    )


def _no_future(training_set: TrainingSet) -> tuple[bool, str]:
    found = []
    for name, queries in _parts(training_set).items():
        history = (queries.history_items > 0) & (queries.history_ages < -_SAME)
        habits = (queries.habit_items > 0) & (queries.habit_ages < -_SAME)
        users = int((history.any(axis=1) | habits.any(axis=1)).sum())
        if users:
            latest = -min(float(queries.history_ages.min()), float(queries.habit_ages.min()))
            found.append(f"{users:,} of {len(queries):,} rows of {name}, up to {latest:.1f} days after their cut")
    return not found, f"inputs of the future in {'; '.join(found)}" if found else "none"


def _explained(training_set: TrainingSet, limits: GateLimits) -> tuple[bool, str]:
    """Look each history entry of the test cut up in what the validation cut knew, or what happened in its week."""
    span = (training_set.t_test - training_set.t_validation) / np.timedelta64(1, "us") / DAY_US
    if abs(span - training_set.truth_days) > _SAME:
        return True, f"not looked at: the cuts are {span:g} days apart, not {training_set.truth_days:g}"
    before = {user: row for row, user in enumerate(training_set.validation.queries.user_ids)}
    rows = np.array([row for row, user in enumerate(training_set.test.queries.user_ids) if user in before], dtype=int)
    if not len(rows):
        return True, "no user stands in both cuts"
    owner = np.array([before[training_set.test.queries.user_ids[row]] for row in rows])
    items = training_set.test.queries.history_items[rows]
    ages = training_set.test.queries.history_ages[rows]
    width = int(max(items.max(initial=0), training_set.validation.queries.history_items.max(initial=0))) + 1
    keys = owner[:, None] * width + items
    old = np.isin(keys, _history_keys(training_set.validation.queries, width))
    new = np.isin(keys, _truth_keys(training_set.validation, width))
    entry = items > 0
    # At the border of the two spans either may hold it.
    unexplained = entry & ~np.where(ages > span + _SAME, old, np.where(ages < span - _SAME, new, old | new))
    share = float(unexplained.sum() / max(entry.sum(), 1))
    wanted = np.isin(_test_keys(training_set, rows, width), _truth_keys(training_set.test, width))
    told = f"{share:.1%} ({int(unexplained.sum()):,} of {int(entry.sum()):,} entries)"
    if unexplained.any():
        told += f", {float(wanted[unexplained].mean()):.0%} of them items that the user wants in the test week"
    return share <= limits.unexplained, told


def _fresh(queries: Queries, limits: GateLimits) -> tuple[bool, str]:
    ages = queries.history_ages[queries.history_items > 0]
    if not len(ages):
        return False, "no history at all"
    return float(ages.min()) <= limits.stale_days, f"the newest is {float(ages.min()):.1f} days old"


def _columns(training_set: TrainingSet) -> tuple[bool, str]:
    problems = []
    for name, queries in _parts(training_set).items():
        entry, habit = queries.history_items > 0, queries.habit_items > 0
        kinds = queries.history_types[entry]
        if len(kinds) and (kinds.min() < 0 or kinds.max() > len(INTERACTION_TYPES)):
            problems.append(f"{name}: event types up to {int(kinds.max())}, there are {len(INTERACTION_TYPES)}")
        both = entry[:, 1:] & entry[:, :-1]
        if (np.diff(queries.history_ages, axis=1)[both] > _SAME).any():
            problems.append(f"{name}: ages that grow towards the newest entry")
        if habit.any() and not float(queries.habit_counts[habit].min()) > 0:
            problems.append(f"{name}: habits that were bought {float(queries.habit_counts[habit].min()):g} times")
    return not problems, "; ".join(problems[:3]) or "within their bounds"


def _parts(training_set: TrainingSet) -> dict[str, Queries]:
    return {
        "training": training_set.training,
        "validation": training_set.validation.queries,
        "test": training_set.test.queries,
    }


def _history_keys(queries: Queries, width: int) -> np.ndarray:
    keys: np.ndarray = np.unique(np.arange(len(queries))[:, None] * width + queries.history_items)
    return keys


def _truth_keys(cut: Cut, width: int) -> np.ndarray:
    owner = np.repeat(np.arange(len(cut.queries)), cut.truth.counts())
    keys: np.ndarray = np.unique(owner * width + np.minimum(cut.truth.items, width - 1))
    return keys


def _test_keys(training_set: TrainingSet, rows: np.ndarray, width: int) -> np.ndarray:
    keys: np.ndarray = rows[:, None] * width + training_set.test.queries.history_items[rows]
    return keys
