"""Drift in made shops whose changes are known: what changes is told on the second day, what does not stays silent."""

import re
from datetime import date, timedelta

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.drift import DriftRules, alarms_of, chi_square, read_day, stability_index
from expectations.drift_picture import drift_svg
from expectations.drift_profile import Profile, profile_events
from expectations.drift_report import drift_headline, drift_markdown
from flows.connection import connect

FIRST, DAYS = date(2026, 1, 5), 66
RULES = DriftRules()
CHANGED_FROM = DAYS - 2


def shop(change: str = "", kept: str = "true", seed: int = 1) -> duckdb.DuckDBPyConnection:
    """66 days of about 1,000 rows with a weekly rhythm; `change` replaces columns on the last two days."""
    connection = connect()
    connection.execute(
        f"""create table base as select day, number, hash(day, number, {seed}) as h,
        timestamptz '{FIRST} 00:00:00+00' + to_days(cast(day as int))
          + to_seconds(cast(8 * 3600 + hash(day, number, {seed}, 'second') % 43200 as int)) as event_time
        from (select day, unnest(range(cast(900 + 60 * (day % 7) + hash(day, {seed}) % 60 as int))) as number
              from range({DAYS}) days(day))"""
    )
    connection.execute(
        """create table plain as select day, event_time, 'purchase' as event_type, 'user-' || h % 300 as user_id,
        'item-' || hash(h, 1) % 40 as item_id, case when h % 10 < 7 then 'web' else 'app' end as channel,
        null as session_id, 'basket-' || h as basket_id, 1.0 as quantity, exp((hash(h, 2) % 300) / 100.0) as unit_price,
        0.0 as discount, 'EUR' as currency, null as text from base"""
    )
    replaced = f"replace ({change})" if change else ""
    connection.execute(
        f"create view events as select * from plain where day < {CHANGED_FROM} "
        f"union all select * {replaced} from plain where day >= {CHANGED_FROM} and ({kept})"
    )
    connection.execute(
        "create table items as select 'item-' || number as item_id, 'Shelf ' || number % 5 || ' > x' as category "
        "from range(40) numbers(number) union all select 'new-item', 'New shelf'"
    )
    return connection


def alarms(profile: Profile, last: int = DAYS - 1) -> set[str]:
    days = [read_day(profile, position, RULES) for position in range(last - 1, last + 1)]
    return {reading.signal for reading in alarms_of(days, RULES)}


def profile_of(change: str = "", kept: str = "true", seed: int = 1) -> Profile:
    return profile_events(shop(change, kept, seed), "events", "items")


PLANTED = [
    ("unit_price * 1.2 as unit_price", "true", "price EUR, level"),
    ("case when h % 10 = 0 then null else item_id end as item_id", "true", "missing item_id in purchase"),
    ("case when h % 10 = 0 then null else unit_price end as unit_price", "true", "missing unit_price in purchase"),
    ("", "channel <> 'app'", "volume of app"),
    ("", "hash(basket_id) % 2 = 0", "volume"),
    ("case when hash(basket_id) % 100 < 3 then 'new-item' else item_id end as item_id", "true", "new categories"),
    ("event_time + interval 2 hour as event_time", "true", "hours, level"),
    ("case when hash(basket_id) % 5 = 0 then 'USD' else currency end as currency", "true", "new currencies"),
    ("case when hash(basket_id) % 5 = 0 then 'view' else event_type end as event_type", "true", "new event types"),
]


@pytest.mark.parametrize(("change", "kept", "signal"), PLANTED, ids=[signal for *_, signal in PLANTED])
def test_a_planted_change_is_told_on_its_second_day(change: str, kept: str, signal: str):
    change = change.replace("h % 10", "hash(basket_id, 3) % 10")
    profile = profile_of(change, kept)
    assert alarms(profile, CHANGED_FROM - 1) == set()
    assert signal in alarms(profile)


def test_a_shop_that_does_not_change_is_silent_for_a_week_of_days():
    for seed in range(3):
        profile = profile_of(seed=seed)
        told = [alarms(profile, last) for last in range(DAYS - 7, DAYS)]
        assert told == [set()] * 7


def test_one_odd_day_is_no_alarm():
    profile = profile_of("", f"day <> {DAYS - 1} or hash(basket_id) % 4 = 0")
    (reading,) = [r for r in read_day(profile, DAYS - 1, RULES) if r.signal == "volume"]
    assert reading.drifts
    assert "came (-7" in reading.words
    assert alarms(profile) == set()


def test_nothing_is_judged_before_four_weeks_of_the_same_weekday():
    profile = profile_of()
    assert read_day(profile, 27, RULES) == []
    assert read_day(profile, 28, RULES) != []


def test_days_are_those_of_the_shops_own_calendar():
    connection = shop()
    connection.execute("set TimeZone = 'Asia/Tokyo'")
    profile = profile_events(connection, "events", "items")
    hours = next(signal for signal in profile.signals if signal.name == "hours")
    assert set(hours.buckets) == {str(hour % 24) for hour in range(17, 29)}
    assert profile.days[-1] == FIRST + timedelta(days=DAYS)


@given(st.lists(st.integers(0, 500), min_size=2, max_size=12), st.integers(1, 5))
def test_the_index_is_zero_for_the_same_shares_and_never_negative(counts: list[int], times: int):
    now, other = np.array(counts, float), np.array(counts[::-1], float)
    assert stability_index(now, now) == pytest.approx(0)
    assert stability_index(now, other) >= 0
    assert stability_index(now * times + (times - 1) / 2, now) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("quantile", "degrees", "known"), [(0.99, 1, 6.635), (0.99, 9, 21.666), (0.9, 23, 32.007)])
def test_chi_square_is_that_of_the_tables(quantile: float, degrees: int, known: float):
    assert chi_square(quantile, degrees) == pytest.approx(known, rel=0.02)


def test_chance_alone_passes_the_bound_as_seldom_as_it_says():
    """Days of independent rows: about 0.7 % of single days pass the bound of a mix (the floor left aside)."""
    generator = np.random.default_rng(3)
    shares = np.array([0.3, 0.2, 0.2, 0.2, 0.1])
    now, before = generator.multinomial(1000, shares, 4000), generator.multinomial(8000, shares, 4000)
    index = stability_index(now.astype(float), before.astype(float)) / (1 / 1000 + 1 / 8000)
    share = float((index > chi_square(RULES.window_quantile, 4)).mean())
    assert 0.3 < share / RULES.false_alarm_rate**0.5 < 2


def test_the_page_shows_what_is_in_alarm_in_words_and_in_a_picture():
    profile = profile_of("unit_price * 1.5 as unit_price")
    days = [read_day(profile, position, RULES) for position in range(DAYS - 28, DAYS)]
    found = alarms_of(days, RULES)
    page = drift_markdown("made", profile.days[-1], days, found)
    assert "| price EUR, level |" in page
    assert re.search(r"\(\+(4[5-9]|5[0-5]) %\)", page)
    assert "data:image/svg+xml;base64," in page
    assert len(page) < 200_000
    assert "price EUR, level" in drift_svg(days, found)
    assert drift_headline(found, 9).startswith(f"{len(found)} of 9 signals in alarm")
    assert drift_headline([], 9) == "as usual: none of 9 signals in alarm"
