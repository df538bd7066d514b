"""Feature tables as drift reads them: those of each midnight as counts, kept as they were first seen, and judged.

The judged tables are the snapshots in place; where a live shop has none of that midnight, they are computed as they
would be. What was counted stays in AISLE_HOME/watch/features: code that gives a feature another meaning is held
against what the feature meant before.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import duckdb

from expectations.drift import WEEK, DriftRules, alarms_of
from expectations.drift_report import FEATURES_NOTE
from expectations.feature_drift import read_feature_day
from expectations.feature_profile import Counts, Tables, profile_features, profile_of_tables
from feature_repo.features import FEATURE_VIEWS
from feature_repo.transforms import TRANSFORMS
from flows import lake
from flows.connection import connect, literal
from flows.drift_days import DAYS_SHOWN, DriftReport
from flows.feature_source import event_span, open_events
from flows.feature_tables import Snapshot, read_snapshot, snapshot_moments
from flows.settings import Settings
from flows.watch_policy import WatchPolicy

#: The name under which feature tables are reported, beside the shops.
FEATURE_TABLES = "feature_tables"
_DAY = timedelta(days=1)


def judge_features(settings: Settings, policy: WatchPolicy, day: date | None = None) -> DriftReport | None:
    """Judge the feature tables as of the midnight (UTC) that ends `day`, by default the last whole day of the lake.

    None while no feature table was ever built; no readings for a day before the first event. Moments of the reference
    that were never counted are computed once.
    Raises LookupError when the lake has no events.
    """
    newest = _newest_snapshot(settings)
    if newest is None:
        return None
    rules = DriftRules(weeks=policy.weeks)
    judged = day or lake.watermark(settings, newest.source).astimezone(UTC).date() - _DAY
    count_days(settings, newest.source, _days_needed(judged, rules), anew=judged)
    first = judged - timedelta(days=WEEK * rules.weeks + DAYS_SHOWN)
    counted = {each: _kept(settings, each) for each in _days_kept(settings) if first <= each <= judged}
    if not counted:
        return DriftReport(FEATURE_TABLES, judged, ((),), (), FEATURES_NOTE)
    profile = profile_of_tables(counted, judged)
    positions = range(max(len(profile.days) - DAYS_SHOWN, 0), len(profile.days))
    days = tuple(tuple(read_feature_day(profile, position, rules)) for position in positions)
    _remove_before(settings, first)
    return DriftReport(FEATURE_TABLES, judged, days, tuple(alarms_of(days, rules)), FEATURES_NOTE)


def count_days(settings: Settings, source: str | None, days: Iterable[date], anew: date | None = None) -> None:
    """Count the feature tables of the midnights that end these days, where that was not done yet; `anew` in any case.

    Days on which the shop (or, with `source` None, any) had no event before are left out.
    """
    first = event_span(settings, source)[0].date()
    missing = sorted({each for each in days if each >= first and (each == anew or not _path(settings, each).exists())})
    without = [each for each in missing if len(_snapshots(settings, each)) < len(FEATURE_VIEWS)]
    with _connection(settings, source, bool(without)) as connection:
        for each in missing:
            _keep(settings, each, {view: _count(settings, connection, view, each) for view in FEATURE_VIEWS})


def _days_needed(judged: date, rules: DriftRules) -> set[date]:
    """The days that must be in alarm together, and the same weekdays of each one's reference."""
    return {
        judged - timedelta(days=back + WEEK * week)
        for back in range(rules.days_in_a_row)
        for week in range(rules.weeks + 1)
    }


def _count(settings: Settings, connection: duckdb.DuckDBPyConnection, view: str, day: date) -> Counts:
    snapshot = _snapshots(settings, day).get(view)
    if snapshot is not None:
        return profile_features(connection, f"read_parquet({literal(str(snapshot.path))})", FEATURE_VIEWS[view])
    connection.register("feature_rows", TRANSFORMS[view](connection, _midnight(day)))
    try:
        return profile_features(connection, "feature_rows", FEATURE_VIEWS[view])
    finally:
        connection.unregister("feature_rows")


@contextmanager
def _connection(settings: Settings, source: str | None, computing: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that can compute feature tables, or a plain one, which costs nothing."""
    if computing:
        with open_events(settings, source) as connection:
            yield connection
    else:
        connection = connect(None, "UTC")
        try:
            yield connection
        finally:
            connection.close()


def _snapshots(settings: Settings, day: date) -> dict[str, Snapshot]:
    found = {view: read_snapshot(settings, view, _midnight(day)) for view in FEATURE_VIEWS}
    return {view: snapshot for view, snapshot in found.items() if snapshot is not None}


def _newest_snapshot(settings: Settings) -> Snapshot | None:
    moments = [(max(moments), view) for view in FEATURE_VIEWS if (moments := snapshot_moments(settings, view))]
    return read_snapshot(settings, max(moments)[1], max(moments)[0]) if moments else None


def _midnight(day: date) -> datetime:
    return datetime.combine(day + _DAY, time(), UTC)


def _path(settings: Settings, day: date) -> Path:
    return settings.home / "watch" / "features" / f"{day}.json"


def _days_kept(settings: Settings) -> list[date]:
    return sorted(date.fromisoformat(path.stem) for path in _path(settings, date.min).parent.glob("*.json"))


def _kept(settings: Settings, day: date) -> Tables:
    tables: Tables = json.loads(_path(settings, day).read_text(encoding="utf-8"))
    return tables


def _keep(settings: Settings, day: date, tables: Tables) -> None:
    path = _path(settings, day)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps(tables), encoding="utf-8")
    fresh.replace(path)


def _remove_before(settings: Settings, first: date) -> None:
    for day in _days_kept(settings):
        if day < first:
            _path(settings, day).unlink(missing_ok=True)
