"""The hours at which things happen, of two exports: whether they are read by another clock than before."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from flows.sources.column_profile import ColumnProfile

#: A column needs this many values before its hours say something of a clock.
_VALUES_FOR_HOURS = 50


def hours_moved(old: ColumnProfile, new: ColumnProfile, timezone: str) -> int | None:
    """By how many hours the day's shape moved as it is read; None when it stayed, or there is too little to say.

    `timezone` is that in which times without an offset are read. Hours of a profile are those that were written.
    """
    if not old.hours or not new.hours or min(old.filled, new.filled) < _VALUES_FOR_HOURS:
        return None
    moved = [_moved_beyond(old, new, expected) for expected in _expected(old, new, ZoneInfo(timezone))]
    return None if None in moved else moved[0]


def _expected(old: ColumnProfile, new: ColumnProfile, zone: ZoneInfo) -> list[int]:
    """How many hours the written times may have moved without another reading: offsets that come, go or change."""
    if old.offsets is None or new.offsets is None or not (old.offsets or new.offsets):
        return [0]
    if old.offsets and new.offsets:
        # Summer and winter have two offsets and the same hours.
        return [0, round(new.offsets[0] - old.offsets[0])]
    if old.offsets:
        return [round(_offset_in(zone, old) - old.offsets[0])]
    return [round(new.offsets[0] - _offset_in(zone, new))]


def _offset_in(zone: ZoneInfo, column: ColumnProfile) -> float:
    """The zone's offset in hours in the middle of the column's times."""
    offset = datetime.fromtimestamp(column.median or 0, UTC).astimezone(zone).utcoffset()
    return offset.total_seconds() / 3600 if offset else 0.0


def _moved_beyond(old: ColumnProfile, new: ColumnProfile, expected: int) -> int | None:
    apart = {
        shift: sum(abs(old.hours[hour] - new.hours[(hour + expected + shift) % 24]) for hour in range(24)) / 2
        for shift in range(-12, 13)
    }
    best = min(apart, key=lambda shift: (apart[shift], abs(shift)))
    return best if best and apart[0] > 0.2 and apart[best] < apart[0] / 2 else None
