"""The moment an answer pretends to be.

A shop's real feed uses the wall clock. A data set that ended years ago would then have absurd ages, so the
default clock goes on from the moment the release was computed for.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Clock:
    """`mode` is 'wall' (now is now) or 'release' (now is the release's as_of + the time since this process started)."""

    mode: str
    started: float = field(default_factory=time.monotonic)

    def now(self, release_as_of: datetime) -> datetime:
        """Return the present moment in UTC, for a release computed `release_as_of`."""
        if self.mode == "wall":
            return datetime.now(UTC)
        return release_as_of + timedelta(seconds=time.monotonic() - self.started)


def shop_time(moment: datetime, timezone: str) -> datetime:
    """Return a moment by the clocks of the shop's time zone: whose today and yesterday are told."""
    return moment if timezone == "UTC" else moment.astimezone(ZoneInfo(timezone))
