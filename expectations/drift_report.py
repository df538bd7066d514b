"""What the drift watch shows a person: a headline, the picture, and each signal that is not as usual, in words."""

from collections.abc import Sequence
from datetime import date

from expectations.drift import FEWEST_ROWS, Reading
from expectations.drift_picture import drift_data_uri

#: Signals listed that are not in alarm, the furthest from usual first.
_OTHERS_LISTED = 12
_ALARM_NOTE = "Alarm: 1 or more on two days in a row."
EVENTS_NOTE = (
    "A day is held against the same weekdays of the weeks before it. Score 1: the change is of a size that matters "
    f"and beyond what those weeks vary by themselves. {_ALARM_NOTE}"
)
FEATURES_NOTE = (
    "The tables as of the midnight (UTC) that ends the day are held against those of a week before, and the change "
    "against the weekly changes of the weeks before that. Score 1: it is of a size that matters and far beyond what "
    f"those vary by. {_ALARM_NOTE}"
)


def drift_headline(alarms: Sequence[Reading], judged: int) -> str:
    """Say how many signals are in alarm, and which."""
    if not judged:
        return f"not judged: a signal needs {FEWEST_ROWS} rows a day, and four weeks of them before it"
    if not alarms:
        return f"as usual: none of {judged} signals in alarm"
    return f"{len(alarms)} of {judged} signals in alarm: {'; '.join(reading.signal for reading in alarms)}"


def drift_markdown(
    source: str, day: date, days: Sequence[Sequence[Reading]], alarms: Sequence[Reading], note: str = EVENTS_NOTE
) -> str:
    """Return the page of one shop's newest whole day (or of the feature tables'); `days` shown are oldest first.

    `note` says how a day is judged.
    """
    readings = days[-1] if days else ()
    alarmed = {reading.signal for reading in alarms}
    others = sorted((r for r in readings if r.signal not in alarmed), key=lambda r: -r.score)[:_OTHERS_LISTED]
    picture = drift_data_uri(days, alarms)
    lines = [
        f"# Drift of {source} on {day}",
        "",
        f"**{drift_headline(alarms, len(readings))}**",
        "",
        *([f"![how far each signal was from usual, day by day]({picture})", ""] if picture else []),
        "| signal | score | state | expected and came |",
        "|---|---:|---|---|",
        *(_row(reading, "in alarm") for reading in sorted(alarms, key=lambda r: -r.score)),
        *(_row(reading, "drifts, first day" if reading.drifts else "as usual") for reading in others),
        "",
        note,
    ]
    return "\n".join(lines) + "\n"


def _row(reading: Reading, state: str) -> str:
    words = reading.words.replace("|", "\\|")
    return f"| {reading.signal} | {reading.score:.2f} | {state} | {words} |"
