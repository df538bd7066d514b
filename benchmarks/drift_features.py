"""The part of the drift benchmark about feature tables: false alarms of a shop as it is, and shifts planted in tables.

The export is landed as an ingest does, every midnight's tables are computed once, and counted. Complete Journey has one
channel: the same channels are made as for the events.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from pathlib import Path

import duckdb

from benchmarks.feature_shifts import ROWS, SHIFTS, FeatureShift, planted_rows
from benchmarks.ingest_cost import Cost, ingest
from expectations.drift import WEEK, DriftRules, Reading, alarms_of
from expectations.drift_profile import Profile
from expectations.feature_drift import read_feature_day
from expectations.feature_profile import Counts, Tables, profile_features, profile_of_tables
from feature_repo.features import FEATURE_VIEWS
from feature_repo.transforms import TRANSFORMS
from flows.feature_source import open_events
from flows.settings import Settings, load_settings
from flows.sources.mapping import load_mapping
from flows.sources.staging import Export

_MADE_CHANNELS = "case when basket % 10 < 7 then 'store' when basket % 10 < 9 then 'web' else 'app' end"
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class CountedTables:
    """Feature tables as counts: those of each day (of the midnight that ends it), and those with a shift planted."""

    days: Mapping[date, Tables]
    planted: Mapping[tuple[str, date], Counts]
    cpu_s: float


def count_tables(
    home: Path, source: str, path: Path | None, judged: Sequence[date], starts: Sequence[date], windows: int
) -> CountedTables:
    """Land the export below `home`, compute the tables that judging these days needs, plant the shifts at `starts`."""
    settings, began = _landed(home, source, path), time.process_time()
    days: dict[date, Tables] = {}
    planted: dict[tuple[str, date], Counts] = {}
    changed = {start + _DAY * number for start in starts for number in range(windows)}
    with open_events(settings, source) as connection:
        connection.execute(f"update acts set channel = {_MADE_CHANNELS}")
        first = max(judged[0] - timedelta(days=WEEK * DriftRules().weeks + 1), _first_day(connection))
        for number in range((judged[-1] - first).days + 1):
            day = first + _DAY * number
            days[day] = _count_day(connection, day, planted if day in changed else None)
            if day.day == 1:
                print(f"feature tables of {day}", file=sys.stderr, flush=True)
    return CountedTables(days, planted, time.process_time() - began)


def feature_alarms(tables: CountedTables, judged: Sequence[date], rules: DriftRules) -> dict[date, list[Reading]]:
    """Return the days on which a signal came into alarm of tables in which nothing was planted."""
    profile = profile_of_tables(tables.days, judged[-1])
    first = profile.days.index(judged[0])
    read = [
        read_feature_day(profile, place, rules)
        for place in range(max(first - rules.days_in_a_row, 0), len(profile.days))
    ]
    found, before = {}, set[str]()
    for number in range(rules.days_in_a_row, len(read)):
        alarms = alarms_of(read[: number + 1], rules)
        fresh = [alarm for alarm in alarms if alarm.signal not in before]
        if fresh:
            found[judged[number - rules.days_in_a_row]] = fresh
        before = {alarm.signal for alarm in alarms}
    return found


def feature_shifts_told(
    tables: CountedTables, starts: Sequence[date], windows: int, rules: DriftRules
) -> dict[str, list[int | None]]:
    """For each shift and start: the number of the window in which it was told; None when it was not."""
    return {shift.name: [_told(tables, shift, start, windows, rules) for start in starts] for shift in SHIFTS}


def _told(tables: CountedTables, shift: FeatureShift, start: date, windows: int, rules: DriftRules) -> int | None:
    profile = _planted_profile(tables, shift, start, windows, rules)
    position = profile.days.index(start)
    read = [read_feature_day(profile, place, rules) for place in range(position - 1, position + windows)]
    for window in range(1, windows + 1):
        if any(alarm.signal.startswith(shift.told_by) for alarm in alarms_of(read[: window + 1], rules)):
            return window
    return None


def _planted_profile(
    tables: CountedTables, shift: FeatureShift, start: date, windows: int, rules: DriftRules
) -> Profile:
    """The view's weeks up to the shift as they were, then the tables with the shift."""
    first, last = start - timedelta(days=WEEK * rules.weeks + 1), start + _DAY * (windows - 1)
    days: dict[date, Tables] = {
        day: {shift.view: counts[shift.view]} for day, counts in tables.days.items() if first <= day <= last
    }
    for number in range(windows):
        days[start + _DAY * number] = {shift.view: tables.planted[shift.name, start + _DAY * number]}
    return profile_of_tables(days, last)


def _count_day(
    connection: duckdb.DuckDBPyConnection, day: date, planted: dict[tuple[str, date], Counts] | None
) -> Tables:
    counts, as_of = {}, datetime.combine(day + _DAY, clock(), UTC)
    for name, view in FEATURE_VIEWS.items():
        connection.register(ROWS, TRANSFORMS[name](connection, as_of))
        counts[name] = profile_features(connection, ROWS, view)
        if planted is not None:
            for shift in (each for each in SHIFTS if each.view == name):
                planted[shift.name, day] = profile_features(connection, planted_rows(connection, shift, as_of), view)
        connection.unregister(ROWS)
    return counts


def _landed(home: Path, source: str, path: Path | None) -> Settings:
    settings = load_settings({"AISLE_HOME": str(home)})
    mapping = load_mapping(source, {"home": str(home), "spool": str(settings.spool_path)})
    staging = home / "staging" / "benchmark"
    staging.mkdir(parents=True)
    ingest(settings, Export(mapping, path), staging, Cost({}), datetime.now(UTC))
    return settings


def _first_day(connection: duckdb.DuckDBPyConnection) -> date:
    (moment,) = connection.execute("select make_timestamp(min(event_us)) from acts").fetchone() or (None,)
    return moment.date()
