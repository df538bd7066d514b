"""Does the drift watch stay silent when nothing changes, and does it tell when something does?

Run: python -m benchmarks.drift [--source complete_journey] [--path EXPORT]. The last line is JSON.

The days fall in two parts. Rules may be chosen on the first (`--part calibration`); what counts is the second, of 30
weeks. False alarms are counted on the shop's own days, of its events and of its feature tables. Then shifts of known
size are planted from a day on, at days spread over the part, and the watch has two windows (days) to tell them. Feature
tables of every midnight take some minutes.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

from benchmarks.drift_features import count_tables, feature_alarms, feature_shifts_told
from benchmarks.drift_shifts import EVENT_COLUMNS, MADE_CHANNELS, NEW_CATEGORY, NEW_ITEM, SHIFTS, Shift
from benchmarks.feature_shifts import SHIFTS as FEATURE_SHIFTS
from expectations.drift import DriftRules, Reading, alarms_of, read_day
from expectations.drift_profile import Profile, profile_events
from flows.connection import connect, literal
from flows.landing import staging_folder
from flows.settings import load_settings
from flows.sources.mapping import load_mapping
from flows.sources.staged_rows import rows_of
from flows.sources.staging import Export, stage_table

REPORTED_DAYS = 30 * 7
DAYS_A_MONTH = 365.25 / 12
LIMIT_A_MONTH = 1.0
WINDOWS = 2
STARTS = 12


@dataclass(frozen=True)
class Alarm:
    """A day on which at least one signal came into alarm that was not in alarm the day before."""

    day: date
    readings: tuple[Reading, ...]


def main() -> None:
    """Stage the source, count false alarms on one part, plant shifts there, print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="complete_journey", help="a shipped shop, or the path of a mapping file")
    parser.add_argument("--path", type=Path, help="the export, if not where the mapping says")
    parser.add_argument("--timezone", default="America/New_York", help="of the shop's own calendar")
    parser.add_argument(
        "--part", choices=("calibration", "report"), default="report", help="the days to judge: see above"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        connection = _open(arguments.source, arguments.path, Path(home), arguments.timezone)
        rules = DriftRules()
        began = time.process_time()
        plain = _profile(connection, "plain")
        seconds = time.process_time() - began
        judged = _days_of(plain, arguments.part, rules)
        print(f"{arguments.source}, {arguments.part}: {len(judged)} days, {judged[0]} to {judged[-1]}\n")
        found = {name: _false_alarms(_profile(connection, name), judged, rules) for name in ("plain", "with_channels")}
        _print_alarms(found, len(judged))
        starts = _starts(judged)
        caught = {shift.name: _caught(connection, shift, starts, rules) for shift in SHIFTS}
        connection.close()
        tables = count_tables(Path(home) / "shop", arguments.source, arguments.path, judged, starts, WINDOWS)
        fresh = feature_alarms(tables, judged, rules)
        _print_features(fresh, found, len(judged))
        caught |= feature_shifts_told(tables, starts, WINDOWS, rules)
        _print_caught(caught)
    _print_result(arguments, judged, _alarm_days(found, fresh), caught, seconds)


def _open(source: str, path: Path | None, home: Path, timezone: str) -> duckdb.DuckDBPyConnection:
    """Stage events and items as an ingest does; make the relations plain, with_channels and catalogue."""
    settings = load_settings({"AISLE_HOME": str(home)})
    export = Export(load_mapping(source, {"home": str(home), "spool": str(settings.spool_path)}), path)
    connection = connect(home, timezone)
    with staging_folder(settings) as folder:
        for table in ("events", "items"):
            files = stage_table(export, table, folder, settings.pseudonym_key).files
            rows = " union all by name ".join(f"select * from {rows_of(connection, file)}" for file in files)
            connection.execute(f"create table staged_{table} as {rows}")
    connection.execute(f"create view plain as select {EVENT_COLUMNS} from staged_events where event_time is not null")
    connection.execute(f"create view with_channels as select * replace ({MADE_CHANNELS}) from plain")
    connection.execute(
        f"create view catalogue as select item_id, category from staged_items "
        f"union all select {literal(NEW_ITEM)}, {literal(NEW_CATEGORY)}"
    )
    return connection


def _profile(connection: duckdb.DuckDBPyConnection, relation: str) -> Profile:
    return profile_events(connection, relation, "catalogue")


def _days_of(profile: Profile, part: str, rules: DriftRules) -> list[date]:
    """The last 30 whole weeks, or what lies before them and has a whole reference; the last day is not whole."""
    whole = list(profile.days[:-1])
    return whole[-REPORTED_DAYS:] if part == "report" else whole[7 * rules.weeks : -REPORTED_DAYS]


def _false_alarms(profile: Profile, judged: Sequence[date], rules: DriftRules) -> list[Alarm]:
    """The days on which a signal came into alarm, of a shop in which nothing was planted."""
    first = profile.days.index(judged[0])
    readings = [read_day(profile, p, rules) for p in range(first - rules.days_in_a_row, first + len(judged))]
    found, before = [], set[str]()
    for number, day in enumerate(judged, rules.days_in_a_row + 1):
        alarms = alarms_of(readings[:number], rules)
        fresh = [reading for reading in alarms if reading.signal not in before]
        if fresh:
            found.append(Alarm(day, tuple(fresh)))
        before = {reading.signal for reading in alarms}
    return found


def _caught(
    connection: duckdb.DuckDBPyConnection, shift: Shift, starts: Sequence[date], rules: DriftRules
) -> list[int | None]:
    """For each start: the number of the window (1 or 2) in which the shift was told; None when it was not."""
    return [_told(connection, shift, start, rules) for start in starts]


def _starts(judged: Sequence[date]) -> list[date]:
    """Days on which shifts begin, spread over the part."""
    step = (len(judged) - WINDOWS) / STARTS
    return [judged[int(step * number)] for number in range(STARTS)]


def _alarm_days(found: dict[str, list[Alarm]], features: Mapping[date, Sequence[Reading]]) -> dict[str, int]:
    """Days with a new alarm: of the events, of the feature tables, and of both together."""
    days = {name: {alarm.day for alarm in alarms} for name, alarms in found.items()}
    together = {f"{name} and features": len(of_events | features.keys()) for name, of_events in days.items()}
    return {**{name: len(each) for name, each in days.items()}, "features": len(features), **together}


def _told(connection: duckdb.DuckDBPyConnection, shift: Shift, start: date, rules: DriftRules) -> int | None:
    first, stop = start - timedelta(days=7 * rules.weeks + 1), start + timedelta(days=WINDOWS)
    span = f"event_time >= timestamptz '{first}' and event_time < timestamptz '{stop + timedelta(days=1)}'"
    connection.execute(f"create or replace view span as select * from with_channels where {span}")
    connection.execute(f"create or replace view planted as {shift.query('span', str(start))}")
    profile = _profile(connection, "planted")
    position = profile.days.index(start)
    readings = [read_day(profile, p, rules) for p in range(position - 1, position + WINDOWS)]
    for window in range(1, WINDOWS + 1):
        alarms = alarms_of(readings[: window + 1], rules)
        if any(reading.signal.startswith(shift.told_by) for reading in alarms):
            return window
    return None


def _print_alarms(found: dict[str, list[Alarm]], days: int) -> None:
    notes = {"plain": "as it is", "with_channels": "with two channels made, basket by basket"}
    for name, alarms in found.items():
        months = days / DAYS_A_MONTH
        print(f"False alarms, {notes[name]}: {len(alarms)} in {months:.1f} months, {len(alarms) / months:.2f} a month")
        by_month: dict[str, int] = {}
        for alarm in alarms:
            by_month[f"{alarm.day:%Y-%m}"] = by_month.get(f"{alarm.day:%Y-%m}", 0) + 1
            for reading in alarm.readings:
                print(f"  {alarm.day}  {reading.signal:<28} {reading.score:5.2f}  {reading.words}")
        print(f"  by month: {', '.join(f'{month} {count}' for month, count in by_month.items()) or 'none'}\n")


def _print_features(features: Mapping[date, Sequence[Reading]], found: dict[str, list[Alarm]], days: int) -> None:
    months = days / DAYS_A_MONTH
    print(
        f"False alarms of feature tables: {len(features)} in {months:.1f} months, {len(features) / months:.2f} a month"
    )
    for day, readings in features.items():
        for reading in readings:
            print(f"  {day}  {reading.signal:<40} {reading.score:5.2f}  {reading.words}")
    for name, count in _alarm_days(found, features).items():
        if name.endswith("and features"):
            print(f"Days with an alarm, {name} together: {count}, {count / months:.2f} a month")
    print()


def _print_caught(caught: dict[str, list[int | None]]) -> None:
    width = max(map(len, caught)) + 2
    print(f"{'planted shift':<{width}}{'must be caught':>16}{'caught':>10}{'in window 1':>14}")
    for shift in (*SHIFTS, *FEATURE_SHIFTS):
        windows = caught[shift.name]
        told = sum(window is not None for window in windows)
        must = "yes" if shift.asked else "smaller"
        print(f"{shift.name:<{width}}{must:>16}{f'{told} of {len(windows)}':>10}{windows.count(1):>14}")


def _print_result(
    arguments: argparse.Namespace,
    judged: Sequence[date],
    alarms: dict[str, int],
    caught: dict[str, list[int | None]],
    seconds: float,
) -> None:
    months = len(judged) / DAYS_A_MONTH
    rates = {name: round(count / months, 2) for name, count in alarms.items()}
    shares = {name: sum(w is not None for w in windows) / len(windows) for name, windows in caught.items()}
    asked = [shares[shift.name] for shift in (*SHIFTS, *FEATURE_SHIFTS) if shift.asked]
    figures = {
        "benchmark": "drift",
        "source": arguments.source,
        "part": arguments.part,
        "days": len(judged),
        "false_alarms_a_month": rates,
        "limit_a_month": LIMIT_A_MONTH,
        "within_limit": max(rates.values()) <= LIMIT_A_MONTH,
        "caught": {name: round(share, 3) for name, share in shares.items()},
        "all_asked_caught": min(asked) == 1.0,
        "profile_cpu_s": round(seconds, 2),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
