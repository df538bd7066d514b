"""The moments that features pretend to be computed at: for serving, and for the snapshots of a training set."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

#: Days after a cut whose interactions are the truth; fewer where the past is shorter than eight times as long.
TRUTH_DAYS = 7
#: Days between two training snapshots, in spans of truth; each interaction is new in exactly one of them.
TRAINING_STEP = 2
#: Snapshots to learn from before spans of truth are made shorter to have more.
WANTED_SNAPSHOTS = 3
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class VisitMoments:
    """The moments of a training set of visits: users as of `newest`, after the last event, and items as of
    `validation`, about where the newest visitors' last steps begin to be held out.
    """

    validation: datetime
    newest: datetime

    @property
    def all(self) -> tuple[datetime, ...]:
        """Every moment that events are looked at, oldest first."""
        return (self.validation, self.newest)


@dataclass(frozen=True)
class TrainingMoments:
    """The as_of's of a training set: `training` (oldest first), then the validation cut, then the test cut.

    `truth` is how long after a cut interactions are its truth.
    """

    training: tuple[datetime, ...]
    validation: datetime
    test: datetime
    truth: timedelta

    @property
    def all(self) -> tuple[datetime, ...]:
        """Every moment, oldest first."""
        return (*self.training, self.validation, self.test)

    def split(self, as_of: datetime) -> str:
        """Return 'train', 'validation' or 'test'."""
        return {self.validation: "validation", self.test: "test"}.get(as_of, "train")


def serving_moment(watermark: datetime, now: datetime | None = None) -> datetime:
    """Return the moment just after the newest event: the midnight (UTC) after it, or on a day that is not over yet the
    next minute.

    A day that is over has one snapshot. While a shop is live, a moment ahead of the clock would hold what has not
    happened yet. `now` is the clock's time by default.
    """
    midnight = _midnight(watermark) + _DAY
    if midnight <= (now or datetime.now(UTC)):
        return midnight
    return minute_after(watermark)


def require_past(as_of: datetime, now: datetime | None = None) -> datetime:
    """Return a moment that somebody asked for. Raises LookupError when it lies ahead: the online store would be loaded
    with features of that moment, and of no earlier one, until it has come.
    """
    if as_of > (now or datetime.now(UTC)):
        raise LookupError(f"expected a moment that has come, came {as_of:%Y-%m-%d %H:%M} UTC. Name an earlier one.")
    return as_of


def minute_after(watermark: datetime) -> datetime:
    """Return the next minute after the newest event: a moment that hangs on the lake alone, not on the clock."""
    return watermark.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)


def training_moments(first_event: datetime, watermark: datetime) -> TrainingMoments:
    """Return the snapshots of a training set over events from `first_event` to `watermark`.

    The test cut is the watermark's midnight − 7 days, the validation cut 7 days earlier, training snapshots every 14
    days before it. A past too short for three of those is cut by the most whole days that give three, else one. Raises
    LookupError when not even single days give one.
    """
    spans = [_moments(first_event, watermark, timedelta(days=days)) for days in range(TRUTH_DAYS, 0, -1)]
    for least in (WANTED_SNAPSHOTS, 1):
        for moments in spans:
            if len(moments.training) >= least:
                return moments
    raise LookupError(
        f"Users who come back can be learned from after more than {TRAINING_STEP + 2} days; the lake has events from "
        f"{first_event:%Y-%m-%d %H:%M} to {watermark:%Y-%m-%d %H:%M} UTC. If the shop is older, land more of its past: "
        "aisle ingest. If it is not, its event_time may be read from the wrong column: aisle source check"
    )


def _moments(first_event: datetime, watermark: datetime, truth: timedelta) -> TrainingMoments:
    test = _midnight(watermark) - truth
    validation = test - truth
    training = []
    moment = validation - TRAINING_STEP * truth
    while moment > first_event:
        training.append(moment)
        moment -= TRAINING_STEP * truth
    return TrainingMoments(tuple(reversed(training)), validation, test, truth)


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
