"""Served = computed: rows as serving makes them agree with the offline store; a changed transform is named and held."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prefect.client.orchestration import get_client

from feature_repo.features import USER_HABITS, USER_HISTORY
from feature_repo.schema import EVENTS, pseudonym
from flows import compare_features
from flows.feature_tables import snapshot_path
from flows.online_rows import LoadedView
from flows.promotion_hold import PromotionHeld, require_no_hold
from flows.releases import promote
from flows.settings import Settings as FlowSettings
from serving import history as served_history
from serving.answer_log import (
    AnsweredBatch,
    AnswerLog,
    new_request_id,
    note_answers,
    start_answer_log,
    stop_answer_log,
    written,
)
from serving.history import Habit, Interaction, UserRow, with_interactions
from serving.metrics import make_metrics
from serving.recommender import Question, recommend
from serving.release import Release
from serving.spool import append_events, open_spool
from tests.serving.conftest import publish_tiny
from tests.serving.tiny_shop import AS_OF, BREAD, COFFEE, MILK

USERS = [pseudonym(f"shopper {number}", b"a key") for number in range(30)]
NOW = AS_OF + timedelta(hours=2)
#: By the wall: when the newest event arrived that the snapshot holds, and when the snapshot was loaded.
LANDED = datetime(2020, 1, 1, tzinfo=UTC)
LOADED = LANDED + timedelta(minutes=20)


def offline_row(user: str) -> dict[str, object]:
    """What the snapshot of AS_OF holds of a user."""
    moments = [AS_OF - timedelta(days=days, seconds=USERS.index(user)) for days in (9, 4, 2)]
    habits = ([MILK, BREAD], [2.0, 1.0], [moments[1], moments[2]])
    rows = ([MILK, MILK, BREAD], ["purchase"] * 3, moments)
    return {
        **dict(zip(USER_HISTORY.feature_names, rows, strict=True)),
        **dict(zip(USER_HABITS.feature_names, habits, strict=True)),
    }


def loaded_row(user: str) -> UserRow:
    """The same as the online store gives it."""
    row = offline_row(user)
    columns = [
        [_plain(value) for value in row[name]] for name in (*USER_HISTORY.feature_names, *USER_HABITS.feature_names)
    ]
    return UserRow(tuple(map(Interaction, *columns[:3])), tuple(map(Habit, *columns[3:])))


def _plain(value: object) -> object:
    return int(value.timestamp()) if isinstance(value, datetime) else value


def pushes(user: str) -> list[tuple[str, str, datetime]]:
    """What a user did since, late and early: out of order, with a purchase of something known and of something new."""
    moments = [AS_OF + timedelta(minutes=minutes, seconds=USERS.index(user)) for minutes in (30, 10, 50)]
    return list(zip([MILK, COFFEE, BREAD], ["purchase", "purchase", "view"], moments, strict=True))


@pytest.fixture
def shop_settings(store_settings: FlowSettings, tiny_folder: Path) -> FlowSettings:
    """A home with a loaded snapshot, pushed events on their way to the lake, and a release in the store."""
    settings = replace(store_settings, pseudonym_key=b"a key")
    publish_tiny(settings, tiny_folder, "r20180101-first")
    ledger = {}
    for view in (USER_HISTORY, USER_HABITS):
        path = snapshot_path(settings, view.name, AS_OF)
        path.parent.mkdir(parents=True)
        rows = [{"user_id": user, **{name: offline_row(user)[name] for name in view.feature_names}} for user in USERS]
        pq.write_table(pa.Table.from_pylist(rows), path)
        store = f"sqlite {settings.feature_store.online_path}"
        entry = LoadedView(view.name, AS_OF.isoformat(), 30, "", store, LOADED.isoformat(), LANDED.isoformat())
        ledger[f"{view.name} in {store}"] = asdict(entry)
    registry = Path(settings.feature_store.registry_path)
    registry.parent.mkdir(parents=True)
    registry.with_name("materialised.json").write_text(json.dumps(ledger))
    rows = [
        dict.fromkeys(EVENTS.column_names)
        | {"event_id": f"{user}{place}", "user_id": user, "item_id": item, "event_type": kind, "source": "live"}
        | {"event_time": moment.isoformat(), "known_at": (LOADED + timedelta(hours=1)).isoformat()}
        for user in USERS
        for place, (item, kind, moment) in enumerate(pushes(user))
    ]
    append_events(open_spool(settings.spool_path), rows)
    return settings


def answer_all(settings: FlowSettings, release: Release) -> None:
    """Log an answer for every user, from a row that serving's own code has brought up to date."""
    metrics = make_metrics()
    log = AnswerLog(settings.spool_path / "answers", 1.0, metrics)
    start_answer_log(log)
    for user in USERS:
        row = loaded_row(user)
        for item, kind, moment in pushes(user):
            row = with_interactions(row, [Interaction(item, kind, int(moment.timestamp()))])
        question = Question(user, 2)
        answer = recommend(release, question, NOW, metrics)
        note_answers(log, AnsweredBatch([new_request_id()], [question], [row], NOW, written([answer])))
    stop_answer_log(log)


@pytest.mark.usefixtures("prefect_harness")
def test_a_changed_online_transform_is_named_and_holds_every_promotion(
    shop_settings: FlowSettings, release: Release, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(compare_features, "load_settings", lambda: shop_settings)
    answer_all(shop_settings, release)
    assert compare_features.compare_features() == []
    require_no_hold(shop_settings)

    whole = served_history.with_purchase
    monkeypatch.setattr(
        served_history,
        "with_purchase",
        lambda habits, purchase: tuple(
            habit._replace(purchases=habit.purchases * 2) for habit in whole(habits, purchase)
        ),
    )
    answer_all(shop_settings, release)
    assert compare_features.compare_features(len(USERS)) == ["habit_counts"]
    with pytest.raises(PromotionHeld, match="habit_counts"):
        promote(shop_settings, "r20180101-first")
    with get_client(sync_client=True) as client:
        page = next(each for each in client.read_artifacts() if each.key == "served-features" and "BREACH" in each.data)
    assert "| habit_counts | 30 | 0.00% |" in page.data

    monkeypatch.setattr(served_history, "with_purchase", whole)
    monkeypatch.setattr(
        served_history, "insort_right", lambda entries, entry, key: entries.append(entry._replace(event_time=0))
    )
    answer_all(shop_settings, release)
    assert compare_features.compare_features(len(USERS)) == [
        "history_item_ids",
        "history_event_types",
        "history_event_times",
    ]

    monkeypatch.undo()
    monkeypatch.setattr(compare_features, "load_settings", lambda: shop_settings)
    answer_all(shop_settings, release)
    assert compare_features.compare_features(len(USERS)) == []
    require_no_hold(shop_settings)
