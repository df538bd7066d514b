"""A picture of drift: a row a signal, a column a day, the stronger the colour the further from usual. Plain SVG."""

import base64
from collections.abc import Sequence
from datetime import timedelta
from html import escape

from expectations.drift import Reading

#: Signals shown, the furthest from usual first.
SIGNALS_SHOWN = 30
_TOP, _ROW, _DAYS_WIDTH, _LEFT_LEAST, _LETTER = 30, 17, 520, 230, 6.2
_INK, _CALM, _WARM, _DRIFTS, _ALARM = "#808b96", "#808b96", "#d9a441", "#c2703d", "#a8324a"


def drift_svg(days: Sequence[Sequence[Reading]], alarms: Sequence[Reading]) -> str:
    """Return an SVG of the days' readings (oldest first), signals in alarm marked; '' without readings."""
    names = _names(days, alarms)
    if not names:
        return ""
    left = max(_LEFT_LEAST, round(_LETTER * max(map(len, names))) + 14)
    step, width = _DAYS_WIDTH / len(days), left + _DAYS_WIDTH + 10
    height = _TOP + _ROW * len(names) + 34
    alarmed = {reading.signal for reading in alarms}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" font-family="system-ui, sans-serif" font-size="11">',
        "<title>How far each signal was from usual, day by day</title>",
        _text(left, 16, "Score of each day: 1 is where a signal begins to drift", "start", "600"),
    ]
    for row, name in enumerate(names):
        top = _TOP + row * _ROW
        parts.append(_text(left - 8, top + 12, name, "end", "600" if name in alarmed else "400"))
        parts.append(
            f'<rect x="{left}" y="{top}" width="{step * len(days):.0f}" height="{_ROW - 2}" fill="{_CALM}" '
            'fill-opacity="0.10"/>'
        )
        parts += [_cell(day, name, left + place * step, top, step) for place, day in enumerate(days)]
        if name in alarmed:
            edge = f'fill="none" stroke="{_ALARM}" stroke-width="1.5"'
            parts.append(
                f'<rect x="{left}" y="{top - 0.5}" width="{step * len(days):.0f}" height="{_ROW - 1}" {edge}/>'
            )
    foot = _TOP + _ROW * len(names) + 16
    parts += [
        _text(left, foot, _first_day(days)),
        _text(left + step * len(days), foot, _last_day(days), "end"),
        "</svg>",
    ]
    return "".join(parts)


def drift_data_uri(days: Sequence[Sequence[Reading]], alarms: Sequence[Reading]) -> str:
    """Return the picture as a data URI for an image link; '' without readings."""
    picture = drift_svg(days, alarms)
    return "data:image/svg+xml;base64," + base64.b64encode(picture.encode()).decode() if picture else ""


def _names(days: Sequence[Sequence[Reading]], alarms: Sequence[Reading]) -> list[str]:
    """Signals in alarm first, then by their score on the last day they were judged."""
    last = {reading.signal: reading.score for day in days for reading in day}
    first = [reading.signal for reading in alarms]
    return [*first, *sorted(last.keys() - set(first), key=lambda name: (-last[name], name))][:SIGNALS_SHOWN]


def _cell(day: Sequence[Reading], name: str, x: float, top: int, step: float) -> str:
    """One day of one signal; what is calm is left to the row's background."""
    reading = next((each for each in day if each.signal == name), None)
    if reading is None or reading.score < 0.5:
        return ""
    colour = _DRIFTS if reading.drifts else _WARM
    strength = min(0.45 + 0.18 * reading.score, 1) if reading.drifts else reading.score * 0.5
    title = f"{reading.day} {name}: {reading.score:.2f}. {reading.words}"
    return (
        f'<rect x="{x + 0.5:.1f}" y="{top}" width="{step - 1:.1f}" height="{_ROW - 2}" fill="{colour}" '
        f'fill-opacity="{strength:.2f}"><title>{escape(title)}</title></rect>'
    )


def _first_day(days: Sequence[Sequence[Reading]]) -> str:
    """The left end: days before the shop's first judged one are there too, empty."""
    place, day = next((place, day[0].day) for place, day in enumerate(days) if day)
    return (day - timedelta(days=place)).isoformat()


def _last_day(days: Sequence[Sequence[Reading]]) -> str:
    return next((day[0].day.isoformat() for day in reversed(days) if day), "")


def _text(x: float, y: float, text: str, anchor: str = "start", weight: str = "400") -> str:
    return (
        f'<text x="{x:.0f}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" fill="{_INK}">{escape(text)}</text>'
    )
