"""An alarm of the drift watch is told once, in whichever order days are looked at."""

import json
from collections.abc import Sequence
from datetime import date, timedelta

from expectations.drift import Reading
from flows.drift_days import DAYS_SHOWN, DriftReport, fresh_alarms, remember_told
from flows.settings import Settings

FIRST = date(2026, 9, 1)


def _report(scores: Sequence[float], shown: int = DAYS_SHOWN) -> DriftReport:
    """A signal's scores from FIRST on, of which the last `shown` are on the report."""
    days = [(Reading("volume", "volume", FIRST + timedelta(days=n), s, ""),) for n, s in enumerate(scores)]
    alarms = days[-1] if min(scores[-2:]) >= 1 else ()
    return DriftReport("made", days[-1][0].day, tuple(days[-shown:]), alarms)


def _told(settings: Settings, *reports: DriftReport) -> list[int]:
    """How many alarms each of the runs tells."""
    counts = []
    for report in reports:
        counts.append(len(fresh_alarms(settings, report)))
        remember_told(settings, report)
    return counts


def test_a_new_episode_of_a_signal_is_told_again(settings: Settings):
    runs = [(0, 2, 2), (0, 2, 2, 2), (0, 2, 2, 2, 0), (0, 2, 2, 2, 0, 2, 2)]
    assert _told(settings, *map(_report, runs)) == [1, 0, 0, 1]


def test_who_looks_at_a_past_day_does_not_make_the_next_run_tell_an_alarm_again(settings: Settings):
    today, calm, alarmed = _report((0, 2, 2, 0, 0, 2, 2)), _report((0,)), _report((0, 2, 2))
    assert _told(settings, today, calm, today, alarmed, today, alarmed) == [1, 0, 0, 1, 0, 0]


def test_an_alarm_that_goes_on_for_longer_than_the_days_shown_is_told_once(settings: Settings):
    scores = [0.0, *(2.0 for _ in range(4 * DAYS_SHOWN))]
    reports = [_report(scores[:length]) for length in range(3, len(scores))]
    assert _told(settings, *reports) == [1, *(0 for _ in reports[1:])]


def test_an_alarm_whose_first_day_looks_otherwise_by_late_rows_is_the_same(settings: Settings):
    assert _told(settings, _report((0, 2, 2, 2)), _report((0, 2, 0, 2, 2)), _report((2, 2, 0, 2, 2, 2))) == [1, 0, 0]


def test_what_was_told_before_runs_had_a_last_day_stays_told(settings: Settings):
    path = settings.home / "watch" / "told.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"made": {"volume": str(FIRST + timedelta(days=1))}}))
    assert _told(settings, _report((0, 2, 2, 2)), _report((0, 2, 2, 2, 0, 2, 2))) == [0, 1]
