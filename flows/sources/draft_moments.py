"""Which of several columns of times is that of the deed, by what else the columns say of it."""

from collections.abc import Callable

from flows.sources.column_profile import ColumnProfile
from flows.sources.role_names import TIMES
from flows.sources.roles import Guess, guess_roles, names_later_time, names_time
from flows.sources.sample import Sample

#: Kind of times by number → how many of its units are a second; one of seconds is not in it.
PARTS_OF_A_SECOND = {"epoch_ms": 1e3, "epoch_us": 1e6, "epoch_ns": 1e9}
#: Seconds by which a moment and its day may differ, zones among them.
_A_DAY = 1.6 * 86_400
#: Rows of which one time in all of them says nothing.
_FEW = 50


def time_of_deeds(sample: Sample, roles: dict[str, Guess]) -> dict[str, Guess]:
    """Roles whose time is of the same object as the user, differs between the rows, and is a moment, not a day.

    `reviews.date` goes with `reviews.username`; when all rows were added to a collection is no deed's time.
    """
    if "event_time" not in roles:
        return roles
    chosen = roles["event_time"].column
    better, why = _within_same_object(sample, roles), "it stands with the user"
    if better is None and chosen.distinct == 1 and sample.rows >= _FEW:
        better, why = _next(sample, roles, lambda column: column.distinct > 1), f"{chosen.name} is the same in all rows"
    if better is None and chosen.is_day and not any(each.kind == "clock" for each in sample.columns):
        better = _next(sample, roles, lambda column: _is_moment_of(column, chosen))
        why = f"it has the moment of which {chosen.name} is the day"
    if better is None or better is chosen:
        return roles
    return {**roles, "event_time": Guess("event_time", better, why, "likely", (chosen.name,))}


def _within_same_object(sample: Sample, roles: dict[str, Guess]) -> ColumnProfile | None:
    """The best time of the object that the user is told in, `reviews.username`, where the chosen one is of another."""
    user = roles["user_id"].column.name if "user_id" in roles else ""
    within = user.rpartition(".")[0]
    if not within or roles["event_time"].column.name.startswith(f"{within}."):
        return None
    columns = [each for each in sample.columns if each.name.startswith(f"{within}.") and names_time(each.name)]
    found = guess_roles(columns, ("event_time",))
    return found["event_time"].column if "event_time" in found else None


def _next(sample: Sample, roles: dict[str, Guess], fits: Callable[[ColumnProfile], bool]) -> ColumnProfile | None:
    """The first other column of times that is filled as often, is called a time and fits."""
    taken = {guess.column.name for guess in roles.values()}
    left = [each for each in sample.columns if each.name not in taken and each.kind in TIMES]
    named = [each for each in left if names_time(each.name) and not names_later_time(each.name)]
    most = roles["event_time"].column.nulls
    return next((each for each in named if each.nulls <= most and fits(each)), None)


def _is_moment_of(column: ColumnProfile, day: ColumnProfile) -> bool:
    """Whether a column of moments spans just what a column of days does."""
    ends = [_seconds(each) for each in (column, day)]
    alike = all(abs(one - other) <= _A_DAY for one, other in zip(*ends, strict=True))
    return alike and not column.is_day and column.distinct > day.distinct


def _seconds(column: ColumnProfile) -> tuple[float, float]:
    unit = PARTS_OF_A_SECOND.get(column.kind, 1.0)
    return (column.minimum or 0.0) / unit, (column.maximum or 0.0) / unit
