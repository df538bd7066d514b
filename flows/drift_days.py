"""The lake as drift reads it: a shop's last weeks, judged day by day; and which alarms were told before."""

import json
import os
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from expectations.drift import WEEK, DriftRules, Reading, alarms_of, read_day
from expectations.drift_profile import PROFILE_COLUMNS, profile_events
from expectations.drift_report import EVENTS_NOTE
from flows import lake
from flows.connection import connect, literal
from flows.settings import Settings
from flows.watch_policy import WatchPolicy

#: Days that are judged and shown; the newest of them can be in alarm.
DAYS_SHOWN = 28


@dataclass(frozen=True)
class DriftReport:
    """A shop's newest whole day: readings of the days shown (oldest first), and the signals in alarm on the last.

    `source` is the shop, or FEATURE_TABLES; `note` says how a day is judged.
    """

    source: str
    day: date
    days: tuple[tuple[Reading, ...], ...]
    alarms: tuple[Reading, ...]
    note: str = EVENTS_NOTE


def sources_of(settings: Settings) -> list[str]:
    """The shops that have events in the lake."""
    dataset = lake.arrow_dataset(settings, "events")
    found = set[str]()
    for batch in dataset.scanner(columns=["source"]).to_batches():
        found.update(pc.unique(batch["source"]).to_pylist())
    return sorted(found)


def judge_drift(settings: Settings, policy: WatchPolicy, source: str, day: date | None = None) -> DriftReport:
    """Judge a shop's days up to `day`, by default the last whole one before its newest event.

    Days are those of the policy's time zone. A shop without events in those weeks has no readings: it is not judged.
    Raises LookupError when it has no events at all.
    """
    zone, rules = ZoneInfo(policy.timezone), DriftRules(weeks=policy.weeks)
    newest = lake.watermark(settings, source)
    judged = day or newest.astimezone(zone).date() - timedelta(days=1)
    first = judged - timedelta(days=WEEK * policy.weeks + DAYS_SHOWN)
    connection = connect(None, policy.timezone)
    try:
        since, until = (_midnight(each, zone) for each in (first, judged + timedelta(days=1)))
        connection.register("span", _events(settings, source, since, until))
        _open_catalogue(connection, settings, source)
        profile = profile_events(connection, "span", "catalogue", (first, judged))
    finally:
        connection.close()
    positions = range(len(profile.days) - DAYS_SHOWN, len(profile.days))
    days = tuple(tuple(read_day(profile, position, rules)) for position in positions)
    return DriftReport(source, judged, days, tuple(alarms_of(days, rules)))


def fresh_alarms(settings: Settings, report: DriftReport) -> list[Reading]:
    """Return the alarms that were not told before: a signal that stays in alarm is told once."""
    told = _read_told(settings).get(report.source, {})
    return [alarm for alarm in report.alarms if not _runs_within(told.get(alarm.signal, {}), *_run(report, alarm))]


def remember_told(settings: Settings, report: DriftReport) -> None:
    """Keep which alarms have been told, so that no later run tells them again; what was told before stays told."""
    told = _read_told(settings)
    signals = told.setdefault(report.source, {})
    for alarm in report.alarms:
        runs = signals.setdefault(alarm.signal, {})
        begin, last = _run(report, alarm)
        same = _runs_within(runs, begin, last)
        lasts = [last, *(runs.pop(each) for each in same)]
        runs[min([begin, *same])] = max(lasts)
    path = _told_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps(told, indent=1), encoding="utf-8")
    fresh.replace(path)


def _run(report: DriftReport, alarm: Reading) -> tuple[str, str]:
    """The first and the last of the days in a row, of those shown, on which a signal drifts."""
    begin = alarm.day
    for day in reversed(report.days):
        reading = next((each for each in day if each.signal == alarm.signal and each.drifts), None)
        if reading is None:
            break
        begin = reading.day
    return begin.isoformat(), alarm.day.isoformat()


def _runs_within(runs: dict[str, str], begin: str, last: str) -> list[str]:
    """The begins of the runs of days that share a day with this one: they are the same alarm."""
    return [first for first, end in runs.items() if first <= last and begin <= end]


def _events(settings: Settings, source: str, since: datetime, until: datetime) -> pa.RecordBatchReader:
    start, stop = (pa.scalar(moment, pa.timestamp("us", tz="UTC")) for moment in (since, until))
    wanted = (ds.field("source") == source) & (ds.field("event_time") >= start) & (ds.field("event_time") < stop)
    columns = list(PROFILE_COLUMNS)
    scanner = lake.arrow_dataset(settings, "events").scanner(columns=columns, filter=wanted, batch_readahead=1)
    return scanner.to_reader()


def _open_catalogue(connection: duckdb.DuckDBPyConnection, settings: Settings, source: str) -> None:
    """Make the view `catalogue`: the shop's own items, and of other shops those that its catalogue does not have.

    A shop may call its item as another one does; a shop without a catalogue (live events) names items of any.
    """
    connection.register("items", lake.arrow_dataset(settings, "items").to_table(["item_id", "category", "source"]))
    own = f"select item_id from items where source = {literal(source)} and item_id is not null"
    connection.execute(
        "create temp view catalogue as select item_id, category from items "
        f"where source = {literal(source)} or item_id not in ({own})"
    )


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _told_path(settings: Settings) -> Path:
    return settings.home / "watch" / "told.json"


def _read_told(settings: Settings) -> dict[str, dict[str, dict[str, str]]]:
    """What was told, by shop and signal: the first day of each run of days in alarm, and the last that is known of it.

    Files of before had the first day alone.
    """
    path = _told_path(settings)
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {
        source: {signal: {runs: runs} if isinstance(runs, str) else runs for signal, runs in signals.items()}
        for source, signals in kept.items()
    }
