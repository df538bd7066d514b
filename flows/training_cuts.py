"""How a shop's models are judged: by users who come back after a moment or, where few do, within visits."""

from datetime import UTC, datetime, timedelta

import duckdb

from feature_repo.prepared_events import microseconds
from flows.feature_moments import TrainingMoments, VisitMoments, minute_after, training_moments
from training.visits import CUT_SHARE, LEAST_VISITORS

#: Users who come back in the span after each cut that are enough, whatever visits have.
ENOUGH_USERS = 500
#: A shop of fewer is still judged by them unless visits have so many times as many.
TIMES_AS_MANY = 2
_RETURNING = """
SELECT count(DISTINCT "user") FROM acts WHERE is_interaction AND event_us >= $start AND event_us < $stop
AND "user" IN (SELECT "user" FROM acts WHERE is_interaction AND event_us < $start)
"""
_VISITORS = """
SELECT count(*), quantile_disc(last_us, $before) FROM (
    SELECT max(event_us) AS last_us FROM acts WHERE is_interaction GROUP BY "user" HAVING count(DISTINCT item) > 1)
"""


def training_cuts(
    connection: duckdb.DuckDBPyConnection, first_event: datetime, watermark: datetime
) -> TrainingMoments | VisitMoments:
    """Return the moments of a training set over the events of a prepared connection.

    Users who come back are what a shop lives on, so they judge wherever there are enough of them: 500 after each cut,
    or half as many as there are newest visitors to judge by. Else, and where the past has too few days, the newest
    visitors' last steps do. Raises LookupError, naming both, where there is too little for either.
    """
    visits, visitors = _visits(connection, first_event, watermark)
    try:
        moments = training_moments(first_event, watermark)
    except LookupError as error:
        if visitors < LEAST_VISITORS:
            raise LookupError(f"{error}. And {_too_few(visitors)}") from error
        return visits
    returning = min(_returning(connection, cut, moments.truth) for cut in (moments.validation, moments.test))
    if returning >= min(ENOUGH_USERS, visitors * CUT_SHARE / TIMES_AS_MANY) or visitors < LEAST_VISITORS:
        return moments
    return visits


def _visits(
    connection: duckdb.DuckDBPyConnection, first_event: datetime, watermark: datetime
) -> tuple[VisitMoments, int]:
    """Return the moments of visits, and the number of users who turned to a second item."""
    newest = minute_after(watermark)
    found = connection.execute(_VISITORS, {"before": 1 - 2 * CUT_SHARE}).fetchone()
    visitors, edge = found if found else (0, None)
    # Where all events stand at one moment nothing lies before it: the items are then as of the newest.
    has_past = edge is not None and edge > microseconds(first_event)
    return VisitMoments(_moment(edge) if has_past else newest, newest), visitors


def _returning(connection: duckdb.DuckDBPyConnection, cut: datetime, span: timedelta) -> int:
    bounds = {"start": microseconds(cut), "stop": microseconds(cut + span)}
    found = connection.execute(_RETURNING, bounds).fetchone()
    return int(found[0]) if found else 0


def _moment(event_us: int) -> datetime:
    return datetime.fromtimestamp(0, tz=UTC) + timedelta(microseconds=event_us)


def _too_few(visitors: int) -> str:
    return (
        f"only {visitors} users turned to a second item, where at least {LEAST_VISITORS} are needed to judge by visits."
    )
