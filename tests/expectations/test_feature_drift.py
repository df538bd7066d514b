"""Drift of feature tables whose changes are known: a fault of any kind is told on its second day, growth is not."""

import re
from datetime import date, timedelta

import duckdb
import pytest

from expectations.drift import DriftRules, Reading, alarms_of
from expectations.drift_report import FEATURES_NOTE, drift_markdown
from expectations.feature_drift import read_feature_day
from expectations.feature_profile import Counts, Tables, profile_features, profile_of_tables
from feature_repo.features import USER_ACTIVITY, USER_AFFINITY, USER_CHANNELS, USER_RHYTHM, FeatureView
from feature_repo.schema import Column

pytestmark = pytest.mark.slow

FIRST, DAYS = date(2026, 1, 5), 38
VIEWS = (USER_ACTIVITY, USER_AFFINITY, USER_CHANNELS, USER_RHYTHM)
RULES = DriftRules()
CONNECTION = duckdb.connect(config={"threads": 1})


def made_value(feature: Column) -> str:
    """SQL of a feature of user `n` on day number `d`: each user has a habit of its own, and all grow by 1 % a day."""
    habit = f"(1 + hash(n, '{feature.name}') % 300)"
    if feature.name == "hour_shares":
        return "list_transform(range(24), h -> (case when h between 8 and 20 then 1 + (h + n) % 5 else 0 end) / 39.0)"
    if feature.name == "weekday_shares":
        return "list_transform(range(7), w -> (1 + (w + n) % 3) / 14.0)"
    if feature.dtype == "list<string>":
        return f"['Shelf ' || hash(n, '{feature.name}') % 6, 'Shelf ' || 6 + n % 3]"
    if feature.dtype == "list<float>":
        return "[0.5, 0.1 + n % 30 / 100.0]"
    if feature.name.endswith("_share"):
        return {"web_share": "0.6", "app_share": "n % 4 / 10.0", "store_share": "0.4 - n % 4 / 10.0"}.get(
            feature.name, "0.0"
        )
    return f"{habit} * (1 + 0.01 * d) * (1 + (hash(n, d, '{feature.name}') % 100) / 1000.0)"


def made_table(view: FeatureView, day: int, **changed: str) -> Counts:
    """The counts of a view's made table of 500 users and a few more each day; `changed` features by their SQL."""
    columns = ", ".join(f'{changed.get(f.name, made_value(f))} as "{f.name}"' for f in view.features)
    CONNECTION.execute(
        f"create or replace table made as select {columns}, timestamptz '2026-03-01' as event_timestamp "
        f"from (select range as n, {day} as d from range({500 + 2 * day}))"
    )
    return profile_features(CONNECTION, "made", view)


@pytest.fixture(scope="module")
def usual() -> dict[date, Tables]:
    return {FIRST + timedelta(days=day): {v.name: made_table(v, day) for v in VIEWS} for day in range(DAYS)}


def days_read(tables: dict[date, Tables], count: int = 2) -> list[list[Reading]]:
    profile = profile_of_tables(tables, max(tables))
    return [read_feature_day(profile, place, RULES) for place in range(len(profile.days) - count, len(profile.days))]


def planted(usual: dict[date, Tables], view: FeatureView, **changed: str) -> dict[date, Tables]:
    """The last two days with a change."""
    tables = dict(usual)
    for day in (DAYS - 2, DAYS - 1):
        moment = FIRST + timedelta(days=day)
        tables[moment] = {**tables[moment], view.name: made_table(view, day, **changed)}
    return tables


def original(view: FeatureView, name: str) -> str:
    return made_value(next(feature for feature in view.features if feature.name == name))


SPEND = original(USER_ACTIVITY, "spend_28d")
CATEGORIES = original(USER_AFFINITY, "top_categories")
HOURS = original(USER_RHYTHM, "hour_shares")
PLANTED = [
    (USER_ACTIVITY, {"spend_28d": f"1.5 * {SPEND}"}, "user_activity.spend_28d, level"),
    (USER_ACTIVITY, {"spend_28d": f"{SPEND} / 2"}, "user_activity.spend_28d"),
    (
        USER_ACTIVITY,
        {"spend_28d": f"case when n % 10 = 0 then null else {SPEND} end"},
        "missing user_activity.spend_28d",
    ),
    (
        USER_AFFINITY,
        {"top_categories": f"case when n % 10 = 0 then [] else {CATEGORIES} end"},
        "missing user_affinity.",
    ),
    (USER_AFFINITY, {"top_categories": f"case when n % 20 = 0 then ['New'] else {CATEGORIES} end"}, "new values of"),
    (USER_AFFINITY, {"top_categories": f"list_filter({CATEGORIES}, x -> x <> 'Shelf 3')"}, "vanished values of"),
    (USER_CHANNELS, {"app_share": "0.0"}, "vanished values of user_channels"),
    (USER_RHYTHM, {"hour_shares": f"list_concat({HOURS}[20:], {HOURS}[:19])"}, "values of user_rhythm.hour_shares"),
]


@pytest.mark.parametrize(("view", "changed", "signal"), PLANTED, ids=[signal for *_, signal in PLANTED])
def test_a_fault_is_told_on_its_second_day(usual, view: FeatureView, changed: dict[str, str], signal: str):
    before, first, second = days_read(planted(usual, view, **changed), 3)
    assert alarms_of([before, first], RULES) == []
    alarms = [alarm.signal for alarm in alarms_of([first, second], RULES)]
    assert any(alarm.startswith(signal) for alarm in alarms)
    assert all(any(name in alarm for name in (*changed, "values of")) for alarm in alarms)


def test_half_of_the_users_gone_are_told_by_the_rows(usual):
    tables = dict(usual)
    for day in (DAYS - 2, DAYS - 1):
        moment = FIRST + timedelta(days=day)
        tables[moment] = {**tables[moment], "user_rhythm": made_table(USER_RHYTHM, day - 120)}
    assert "rows of user_rhythm" in {alarm.signal for alarm in alarms_of(days_read(tables), RULES)}


def test_features_that_grow_as_they_always_did_are_usual(usual):
    assert all(reading.score < 0.8 for day in days_read(usual, 8) for reading in day)
    assert days_read(usual, 1)[0] != []


def test_a_change_that_stays_is_usual_after_a_week(usual):
    tables = dict(usual)
    for day in range(DAYS - 9, DAYS):
        moment = FIRST + timedelta(days=day)
        tables[moment] = {"user_activity": made_table(USER_ACTIVITY, day, spend_28d=f"1.5 * {SPEND}")}
    told = [
        "user_activity.spend_28d, level" in {each.signal for each in day if each.drifts} for day in days_read(tables, 9)
    ]
    assert told == [True] * 7 + [False] * 2


def test_what_follows_campaigns_is_watched_for_missing_values_only(usual):
    names = {reading.signal for reading in days_read(usual, 1)[0]}
    assert "missing user_activity.event_count_7d" in names
    assert not any(name.startswith("user_activity.event_count_") for name in names)


def test_nothing_is_judged_without_four_steps_of_the_reference(usual):
    few = {day: tables for day, tables in usual.items() if day >= FIRST + timedelta(days=DAYS - 12)}
    assert days_read(few, 1) == [[]]


def test_a_reference_of_one_weekday_alone_is_enough(usual):
    last = FIRST + timedelta(days=DAYS - 1)
    weekly = {day: tables for day, tables in usual.items() if (last - day).days % 7 in (0, 1)}
    assert {reading.signal for reading in days_read(weekly, 1)[0]} == {r.signal for r in days_read(usual, 1)[0]}


def test_the_page_says_what_came_and_how_it_is_judged(usual):
    days = days_read(planted(usual, USER_ACTIVITY, spend_28d=f"1.5 * {SPEND}"), 28)
    page = drift_markdown("feature_tables", FIRST, days, alarms_of(days, RULES), FEATURES_NOTE)
    assert "| user_activity.spend_28d, level |" in page
    assert re.search(r"\(\+[45]\d %\)", page)
    assert FEATURES_NOTE in page
    assert len(page) < 200_000
