import json
import signal
from dataclasses import asdict, replace
from datetime import timedelta

import pyarrow.parquet as pq
import pytest

from feature_repo.features import FEATURE_VIEWS, USER_HISTORY, USER_SERVICE, USER_VIEWS
from flows import online_rows
from flows.feature_store import feature_store
from flows.feature_tables import build_tables, snapshot_path
from flows.online_rows import OnlineRowsMissing, load_view, missing_keys, newest_complete_moment, read_ledger
from flows.settings import Settings, load_settings
from tests.conftest import settings_in
from tests.flows.feature_lake import SERVING, USERS, fill_lake
from tests.flows.test_feature_tables import run_script

USER_TABLES = {view.name: (SERVING,) for view in USER_VIEWS}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Settings:
    """A home with 1,000 users' feature tables, nothing of it online."""
    settings = settings_in(tmp_path_factory.mktemp("online") / "home")
    fill_lake(settings)
    build_tables(settings, USER_TABLES)
    return settings


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def settings(request, built: Settings, tmp_path) -> Settings:
    """The same tables with an online store and a registry of the test's own."""
    url = f"{request.getfixturevalue('redis_url')},db=3" if request.param == "redis" else ""
    place = replace(
        built.feature_store,
        registry_path=str(tmp_path / "registry.db"),
        online_type=request.param,
        online_path=str(tmp_path / "online.db"),
        redis_url=url,
        postgres_url=request.getfixturevalue("postgres_url") if request.param == "postgres" else "",
    )
    mine = replace(built, feature_store=place)
    yield mine
    if request.param == "redis":
        feature_store(mine)._get_provider().online_store._get_client(feature_store(mine).config.online_store).flushdb()


def load_all(settings: Settings) -> None:
    for view in USER_VIEWS:
        load_view(settings, view.name, SERVING)


def seconds(value):
    """Feast keeps the entries of a list of times in whole seconds."""
    return [each.replace(microsecond=0) for each in value] if value and hasattr(value[0], "year") else value


def test_a_thousand_users_read_the_same_online_and_offline(settings):
    load_all(settings)
    store = feature_store(settings)
    offline: dict[str, dict[str, object]] = {}
    for view in USER_VIEWS:
        for row in pq.read_table(snapshot_path(settings, view.name, SERVING)).to_pylist():
            offline.setdefault(row["user_id"], {}).update({name: row[name] for name in view.feature_names})
    assert len(offline) == USERS
    answer = store.get_online_features(
        features=store.get_feature_service(USER_SERVICE), entity_rows=[{"user_id": user} for user in offline]
    ).to_dict()
    for position, user in enumerate(answer["user_id"]):
        for name, value in offline[user].items():
            expected = seconds(value) if isinstance(value, list) else value
            assert answer[name][position] == expected, (user, name)


def test_features_are_read_by_name_because_their_order_is_not_the_services(settings):
    load_view(settings, "user_activity", SERVING)
    store, view = feature_store(settings), FEATURE_VIEWS["user_activity"]
    refs = [f"user_activity:{name}" for name in view.feature_names]
    answer = store.get_online_features(features=refs, entity_rows=[{"user_id": "u0001"}]).to_dict()
    assert set(answer) == {"user_id", *view.feature_names}


def test_loading_again_writes_nothing_and_keeps_the_ledger(settings, monkeypatch):
    first = load_view(settings, "user_history", SERVING)
    assert (first.rows, read_ledger(settings)[f"user_history in {first.online_store}"]) == (USERS, first)
    written = []
    assert load_view(settings, "user_history", SERVING, progress=written.append) == first
    assert written == []


def test_a_password_that_a_former_version_kept_in_the_ledger_is_gone_with_the_next_write(settings, tmp_path):
    entry = asdict(load_view(settings, "user_activity", SERVING)) | {"online_store": "redis db:6379,password=secret"}
    (tmp_path / "materialised.json").write_text(json.dumps({f"user_activity in {entry['online_store']}": entry}))
    loaded = load_view(settings, "user_activity", SERVING)
    assert list(read_ledger(settings).values()) == [loaded]
    assert "secret" not in (tmp_path / "materialised.json").read_text()


def test_a_store_that_was_emptied_is_filled_again_whatever_the_ledger_says(settings, tmp_path):
    load_view(settings, "user_channels", SERVING)
    store = feature_store(settings)
    online = store._get_provider().online_store
    view = store.get_feature_view("user_channels")
    if settings.feature_store.online_type == "redis":
        online._get_client(store.config.online_store).flushdb()
    else:
        online.update(store.config, [view], [], [], [], partial=True)
    written = []
    load_view(settings, "user_channels", SERVING, progress=written.append)
    assert sum(written) == USERS


def test_what_was_pushed_since_the_snapshot_stays(settings):
    store = feature_store(settings)
    pushed = SERVING + timedelta(seconds=1)
    values = {"history_item_ids": [["pushed"]], "history_event_types": [["view"]], "history_event_times": [[pushed]]}
    times = {"event_timestamp": [pushed], "created_timestamp": [pushed]}
    store.write_to_online_store("user_history", inputs={"user_id": ["u0001"], **values, **times})
    load_view(settings, "user_history", SERVING)
    users = [{"user_id": "u0001"}, {"user_id": "u0002"}]
    answer = store.get_online_features(features=["user_history:history_item_ids"], entity_rows=users).to_dict()
    assert answer["history_item_ids"][0] == ["pushed"]
    assert answer["history_item_ids"][1] != ["pushed"]


def test_rows_that_do_not_read_back_never_reach_the_ledger(settings, monkeypatch):
    monkeypatch.setattr(online_rows, "missing_keys", lambda *_: ["u0001"])
    with pytest.raises(OnlineRowsMissing, match=r"1000 rows .* u0001"):
        load_view(settings, "user_rhythm", SERVING)
    assert read_ledger(settings) == {}


def test_reads_go_on_while_rows_are_loaded(settings):
    load_view(settings, "user_history", SERVING)
    reader = feature_store(settings)
    answers = []

    def read(_: int) -> None:
        refs = [f"user_history:{name}" for name in USER_HISTORY.feature_names]
        answers.append(reader.get_online_features(features=refs, entity_rows=[{"user_id": "u0001"}]).to_dict())

    before = load_view(settings, "user_history", SERVING)
    online_rows._ledger_path(settings).unlink()
    load_view(settings, "user_history", SERVING, progress=read)
    assert before.rows == USERS
    assert len(answers) == 2
    assert all(answer["history_item_ids"][0] for answer in answers)


def test_the_newest_moment_with_all_views_is_the_one_to_load(built, tmp_path):
    assert newest_complete_moment(built) == SERVING
    with pytest.raises(LookupError, match="aisle features"):
        newest_complete_moment(settings_in(tmp_path / "empty"))


@pytest.mark.slow
def test_a_load_that_was_killed_ends_in_the_same_rows_when_run_again(tmp_path):
    settings = settings_in(tmp_path / "home")
    fill_lake(settings)
    build_tables(settings, USER_TABLES)
    assert run_script("load", settings.home, "4") == -signal.SIGKILL
    again = load_settings({"AISLE_HOME": str(settings.home)})
    assert len(read_ledger(again)) == 1
    load_all(again)
    store = feature_store(again)
    for view in USER_VIEWS:
        users = pq.read_table(snapshot_path(again, view.name, SERVING))["user_id"].to_pylist()
        assert missing_keys(store, view, users, SERVING) == []
    assert len(read_ledger(again)) == len(USER_VIEWS)
