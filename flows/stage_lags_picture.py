"""A picture of freshness: a small panel a stage, how far behind it was at each measurement, its limit as a line."""

import base64
from collections.abc import Sequence
from html import escape

from flows.stage_lags import StageLag, span_words

#: Measurements shown; a week of hourly ones.
SHOWN = 168
#: Fewer measurements leave the right of the panels empty.
_FULL = 24
_WIDTH, _LEFT, _PANEL, _GAP = 640, 70, 46, 30
_INK, _LINE, _LIMIT = "#808b96", "#3b82a0", "#a8324a"


def freshness_data_uri(history: Sequence[dict[str, object]], lags: Sequence[StageLag]) -> str:
    """Return the picture of the history (oldest first) as a data URI for an image link."""
    return "data:image/svg+xml;base64," + base64.b64encode(freshness_svg(history, lags).encode()).decode()


def freshness_svg(history: Sequence[dict[str, object]], lags: Sequence[StageLag]) -> str:
    """Return the picture as SVG."""
    shown = list(history)[-SHOWN:]
    height = len(lags) * (_PANEL + _GAP) + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        'role="img" font-family="system-ui, sans-serif" font-size="11">',
        "<title>How far behind each stage was</title>",
    ]
    for number, lag in enumerate(lags):
        parts += _panel(lag, [_behind(entry, lag.stage) for entry in shown], 20 + number * (_PANEL + _GAP))
    if shown:
        first, last = (str(entry["at"])[:16].replace("T", " ") for entry in (shown[0], shown[-1]))
        if len(shown) < _FULL:  # the bars end before the right edge, so nothing is told of it
            parts.append(_text(_LEFT, height - 6, f"{first} to {last} UTC"))
        else:
            parts.append(_text(_LEFT, height - 6, f"{first} UTC"))
            parts.append(_text(_WIDTH - 10, height - 6, f"{last} UTC", "end"))
    return "".join([*parts, "</svg>"])


def _behind(entry: dict[str, object], stage: str) -> float | None:
    behind = entry["behind"]
    return behind.get(stage) if isinstance(behind, dict) else None


def _panel(lag: StageLag, values: Sequence[float | None], top: int) -> list[str]:
    highest = max([lag.limit * 1.2, *(value for value in values if value is not None)])
    step = (_WIDTH - _LEFT - 10) / max(len(values), _FULL)
    limit = top + _PANEL * (1 - lag.limit / highest)
    bars = [
        f'<rect x="{_LEFT + place * step:.1f}" y="{top + _PANEL - tall:.1f}" width="{max(step * 0.8, 1):.1f}" '
        f'height="{tall:.1f}" fill="{_LIMIT if value > lag.limit else _LINE}"/>'
        for place, value in enumerate(values)
        if value is not None
        for tall in [max(_PANEL * value / highest, 1)]
    ]
    return [
        _text(_LEFT, top - 6, lag.stage, weight="600"),
        _text(_LEFT - 8, top + 9, span_words(highest), "end"),
        _text(_LEFT - 8, top + _PANEL, "0", "end"),
        *bars,
        f'<line x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{limit:.1f}" y2="{limit:.1f}" stroke="{_LIMIT}" '
        'stroke-dasharray="4 3"/>',
    ]


def _text(x: float, y: float, text: str, anchor: str = "start", weight: str = "400") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" fill="{_INK}">{escape(text)}</text>'
