"""A small picture of a table's last windows: rows, and the share of them that was held. Plain SVG, no library."""

import base64
from collections.abc import Sequence
from html import escape

#: Windows shown; older ones are left out.
WINDOWS_SHOWN = 60
_WIDTH, _LEFT, _RIGHT = 640, 64, 12
_ROWS_TOP, _ROWS_HEIGHT, _HELD_TOP, _HELD_HEIGHT = 26, 84, 150, 44
_HEIGHT = 224
_NARROWEST_LABEL = 62
_INK, _ROWS_COLOUR, _HELD_COLOUR = "#808b96", "#3b82a0", "#c2703d"

Window = tuple[str, int, int]


def trend_svg(trend: Sequence[Window]) -> str:
    """Return an SVG of (window, rows, held) in time order: rows above, held share below; '' without windows."""
    windows = list(trend)[-WINDOWS_SHOWN:]
    if not windows:
        return ""
    shares = [100 * held / rows if rows else 0.0 for _, rows, held in windows]
    rows_top = max((rows for _, rows, _ in windows), default=0)
    titles = [
        f"{name}: {rows:,} rows, {held:,} held ({share:.2f} %)"
        for (name, rows, held), share in zip(windows, shares, strict=True)
    ]
    several = len(windows) * _step(len(windows)) > 2 * _NARROWEST_LABEL
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" role="img" font-family="system-ui, sans-serif" font-size="11">',
        f"<title>Rows and held share of the last {len(windows)} windows</title>",
        *_panel("Rows a window", f"{rows_top:,}", _ROWS_TOP, _ROWS_HEIGHT),
        *_bars([rows for _, rows, _ in windows], titles, (_ROWS_TOP, _ROWS_HEIGHT), _ROWS_COLOUR),
        *_panel("Held, % of rows", f"{max(shares):.2g} %", _HELD_TOP, _HELD_HEIGHT),
        *_bars(shares, titles, (_HELD_TOP, _HELD_HEIGHT), _HELD_COLOUR),
        _text(_LEFT, _HEIGHT - 12, windows[0][0]),
        _text(_LEFT + _step(len(windows)) * len(windows), _HEIGHT - 12, windows[-1][0], "end") if several else "",
        "</svg>",
    ]
    return "".join(parts)


def trend_data_uri(trend: Sequence[Window]) -> str:
    """Return the picture as a data URI for an image link; '' without windows."""
    picture = trend_svg(trend)
    return "data:image/svg+xml;base64," + base64.b64encode(picture.encode()).decode() if picture else ""


def _panel(title: str, top_label: str, top: int, height: int) -> list[str]:
    foot = top + height
    return [
        _text(_LEFT, top - 8, title, weight="600"),
        _text(_LEFT - 8, top + 9, top_label, "end"),
        _text(_LEFT - 8, foot, "0", "end"),
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{foot + 0.5}" y2="{foot + 0.5}" stroke="{_INK}" '
        'stroke-opacity="0.45"/>',
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{top + 0.5}" y2="{top + 0.5}" stroke="{_INK}" '
        'stroke-opacity="0.2" stroke-dasharray="2 3"/>',
    ]


def _bars(values: Sequence[float], titles: Sequence[str], box: tuple[int, int], colour: str) -> list[str]:
    top, height = box
    highest = max(values) or 1
    step = _step(len(values))
    width = max(step * 0.72, 1)
    bars = []
    for place, (value, title) in enumerate(zip(values, titles, strict=True)):
        tall = max(height * value / highest, 1 if value else 0)
        bars.append(
            f'<rect x="{_LEFT + place * step + (step - width) / 2:.1f}" y="{top + height - tall:.1f}" '
            f'width="{width:.1f}" height="{tall:.1f}" fill="{colour}"><title>{escape(title)}</title></rect>'
        )
    return bars


def _step(windows: int) -> float:
    return (_WIDTH - _LEFT - _RIGHT) / max(windows, 12)


def _text(x: float, y: float, text: str, anchor: str = "start", weight: str = "400") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" fill="{_INK}">{escape(text)}</text>'
