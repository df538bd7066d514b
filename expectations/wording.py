"""How numbers of a profile read in a report or a message."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from expectations.rules import Measure, Rule

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def observed(rule: Rule, numbers: Mapping[str, float | None]) -> str:
    """Return what came, in words: `smallest unit_price = -3; largest unit_price = 7`."""
    parts = [_phrase(measure, numbers.get(measure.name)) for measure in rule.measures]
    return "; ".join(parts) + (f": {rule.detail}" if rule.detail else "")


def _phrase(measure: Measure, value: float | None) -> str:
    if value is None:
        return f"{measure.name}: nothing to measure"
    number = measured(measure, value)
    if measure.kind == "rows":
        return f"{number} row" if number == "1" else f"{number} rows"
    return f"{number} {measure.name}" if measure.kind == "count" else f"{measure.name} = {number}"


def measured(measure: Measure, value: float) -> str:
    """Return one number as people read it, by its kind."""
    if measure.kind == "share":
        return f"{100 * value:.1f} %"
    if measure.kind == "moment":
        return moment(value)
    if isinstance(value, str) or not math.isfinite(value):
        return str(value)
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.6g}"


def moment(microseconds: float) -> str:
    """Return microseconds since 1970 (UTC) as a date and time; far years as the number of microseconds."""
    try:
        return f"{_EPOCH + timedelta(microseconds=microseconds):%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:
        return f"{microseconds:.0f} microseconds since 1970"
