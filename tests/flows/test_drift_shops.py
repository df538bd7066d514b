"""Several shops in one lake, each watched by itself: a shop that cannot be judged costs the others nothing."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from expectations.drift_report import drift_headline
from feature_repo.schema import EVENTS, ITEMS
from flows import drift_days
from flows.drift_days import judge_drift
from flows.lake import Window, arrow_schema, write_window
from flows.settings import Settings
from flows.watch_drift import watch_drift
from flows.watch_policy import WatchPolicy
from tests.conftest import settings_in

pytestmark = pytest.mark.slow

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
LAST = date(2026, 2, 25)


def _days(count: int, rows: int) -> list[datetime]:
    return [FIRST + timedelta(days=day, hours=8, minutes=9 * row) for day in range(count) for row in range(rows)]


def _write(settings: Settings, source: str, moments: Sequence[datetime], kind: str = "purchase") -> None:
    empty = dict.fromkeys(EVENTS.column_names)
    rows = [
        {**empty, "event_id": f"{source}{n}", "event_time": moment, "known_at": moment, "user_id": f"u{n % 40}"}
        | {"item_id": "ABC"[n % 3], "event_type": kind, "channel": "web", "quantity": 1.0, "unit_price": 1.0 + n % 7}
        | {"source": source}
        for n, moment in enumerate(moments)
    ]
    schema = pa.schema([field for field in arrow_schema(EVENTS) if field.name != "window"])
    write_window(settings, Window("events", source, "all"), pa.Table.from_pylist(rows, schema=schema))


def _write_items(settings: Settings, source: str, category: str) -> None:
    empty = dict.fromkeys(ITEMS.column_names)
    rows = [
        {**empty, "item_id": name, "title": name, "category": category, "updated_at": FIRST, "source": source}
        for name in "ABC"
    ]
    schema = pa.schema([field for field in arrow_schema(ITEMS) if field.name != "window"])
    write_window(settings, Window("items", source, "all"), pa.Table.from_pylist(rows, schema=schema))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("AISLE_HOME", str(tmp_path / "home"))
    return settings_in(tmp_path / "home")


def test_shops_without_events_in_the_weeks_are_not_judged_and_the_others_are(home: Settings, prefect_harness: None):
    newest = FIRST + timedelta(days=56)
    _write(home, "a_new_shop", [newest + timedelta(hours=hour) for hour in range(5, 20)])
    _write(home, "big_shop", _days(57, 60))
    _write(home, "coupons", [newest - timedelta(days=day) for day in range(9)], "offer_received")
    told = {summary.source: summary.headline for summary in watch_drift()}
    assert list(told) == ["a_new_shop", "big_shop", "coupons"]
    assert told["big_shop"].startswith("as usual: none of")
    assert told["a_new_shop"].startswith("not judged")
    assert told["coupons"].startswith("not judged")
    assert {summary.headline.split(":")[0] for summary in watch_drift(day=date(2025, 6, 1))} == {"not judged"}


def test_a_shop_that_is_not_in_the_lake_is_still_refused(home: Settings):
    _write(home, "big_shop", _days(3, 5))
    with pytest.raises(LookupError):
        judge_drift(home, WatchPolicy(), "another", LAST)


def test_a_small_shop_is_told_how_many_rows_a_day_are_needed(home: Settings):
    _write(home, "corner", _days(57, 40))
    report = judge_drift(home, WatchPolicy(), "corner", LAST)
    assert len(report.days[-1]) == 0
    assert "50 rows a day" in drift_headline(report.alarms, len(report.days[-1]))


@pytest.mark.parametrize(("source", "seen"), [("grocer", ("Dairy",)), ("live", ("Dairy",))])
def test_categories_are_those_of_the_shops_own_catalogue_and_of_any_where_it_has_none(
    home: Settings, source: str, seen: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
):
    _write(home, source, _days(40, 60))
    _write_items(home, "grocer", "Dairy")
    if source == "grocer":
        _write_items(home, "a_garage", "Tyres")
    profiles, count = [], drift_days.profile_events
    monkeypatch.setattr(drift_days, "profile_events", lambda *given: profiles.append(count(*given)) or profiles[-1])
    judge_drift(home, WatchPolicy(), source)
    assert [signal.buckets for signal in profiles[0].signals if signal.name == "categories"] == [seen]
