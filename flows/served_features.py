"""Served = computed: the features that an answer read, beside what the offline store and the events say it should read.

Expected is the snapshot that was loaded last, and after it the user's pushed events that are not in it and came before
the answer, in the order of their arrival. It is written here anew, on purpose: the code that serves is what is being
tested.
"""

import json
from bisect import insort_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from feature_repo.features import HABIT_LENGTH, HISTORY_LENGTH, USER_HABITS, USER_HISTORY
from feature_repo.schema import INTERACTION_TYPES

FEATURES = (*USER_HISTORY.feature_names, *USER_HABITS.feature_names)
#: A feature that differs in more than this share of the answers is a breach.
SHARE_ALLOWED = 0.01
History = list[tuple[str, str, int]]
Habits = dict[str, tuple[float, int]]


@dataclass
class FeatureCheck:
    """One feature over all answers that were looked at: how many matched, and what was wrong with the others.

    `missing` and `extra` count entries; `error` is the largest difference of a value (seconds for times).
    """

    answers: int = 0
    matched: int = 0
    missing: int = 0
    extra: int = 0
    error: float = 0.0

    @property
    def breached(self) -> bool:
        """More answers differ than may."""
        return self.answers - self.matched > SHARE_ALLOWED * self.answers


@dataclass
class Comparison:
    """What came of a comparison: a check a feature, and how many logged answers could not be judged."""

    checks: dict[str, FeatureCheck] = field(default_factory=lambda: {name: FeatureCheck() for name in FEATURES})
    unjudged: int = 0

    @property
    def breaches(self) -> list[str]:
        """The features that are not served as they are computed."""
        return [name for name, check in self.checks.items() if check.breached]


def compare_row(
    comparison: Comparison, served: Mapping[str, Any], snapshot: Mapping[str, Any], events: Iterable[Mapping[str, Any]]
) -> None:
    """Add one answer: the row it read (as logged), the user's offline row, and their events pushed by then."""
    history = _rows(snapshot, USER_HISTORY.feature_names)
    habits = {item: (count, last) for item, count, last in _rows(snapshot, USER_HABITS.feature_names)}
    for event in events:
        if event["event_type"] in INTERACTION_TYPES:
            _take(history, habits, (event["item_id"], event["event_type"], int(event["event_time"].timestamp())))
    wanted, found = sorted(history[-HISTORY_LENGTH:], key=_by_time), sorted(map(tuple, served["history"]), key=_by_time)
    for column, name in enumerate(USER_HISTORY.feature_names):
        _check(comparison.checks[name], [row[column] for row in wanted], [row[column] for row in found])
    keys = sorted({*habits, *(habit[0] for habit in served["habits"])})
    read = {item: (count, last) for item, count, last in served["habits"]}
    _check(comparison.checks["habit_item_ids"], sorted(habits), sorted(read))
    for column, name in enumerate(USER_HABITS.feature_names[1:]):
        both = [item for item in keys if item in habits and item in read]
        _check(comparison.checks[name], [habits[i][column] for i in both], [read[i][column] for i in both])


def comparison_page(comparison: Comparison) -> str:
    """Return the comparison as markdown, a row a feature."""
    lines = [
        "# Served features against computed ones\n",
        "| feature | answers | match | missing | extra | largest error | |\n|---|---:|---:|---:|---:|---:|---|",
    ]
    for name, check in comparison.checks.items():
        share = f"{check.matched / check.answers:.2%}" if check.answers else ""
        verdict = "BREACH" if check.breached else ""
        lines.append(
            f"| {name} | {check.answers} | {share} | {check.missing} | {check.extra} | {check.error:g} | {verdict} |"
        )
    lines.append(
        f"\n{comparison.unjudged} logged answers were not judged (their row could not be read, or events "
        "that came while the last load was made kept it)."
    )
    return "\n".join(lines)


def _take(history: History, habits: Habits, entry: tuple[str, str, int]) -> None:
    if entry in history:
        return
    insort_right(history, entry, key=_time)
    item, kind, moment = entry
    if kind != "purchase":
        return
    if item not in habits:
        if len(habits) >= HABIT_LENGTH:
            habits.pop(next(reversed(habits)))
        habits[item] = (1.0, moment)
    elif moment > habits[item][1]:
        habits[item] = (habits[item][0] + 1, moment)


def _check(check: FeatureCheck, wanted: Sequence[Any], found: Sequence[Any]) -> None:
    check.answers += 1
    if list(wanted) == list(found):
        check.matched += 1
        return
    check.missing += max(0, len(wanted) - len(found))
    check.extra += max(0, len(found) - len(wanted))
    if wanted and found and all(isinstance(value, int | float) for value in (*wanted, *found)):
        check.error = max(check.error, *(abs(float(one) - float(two)) for one, two in zip(wanted, found, strict=False)))


def _rows(row: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    return [tuple(_plain(value) for value in entry) for entry in zip(*(row[name] for name in names), strict=True)]


def _plain(value: Any) -> Any:
    return int(value.timestamp()) if isinstance(value, datetime) else value


def _time(entry: tuple[str, str, int]) -> int:
    return entry[2]


def _by_time(entry: Any) -> tuple[int, str, str]:
    return entry[2], entry[0], entry[1]


def logged_row(answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the features of a row of the answer log, None where they could not be read."""
    row: Mapping[str, Any] | None = json.loads(answer["features"])
    return row
