"""Replay and discard as Prefect and the command line run them, to the features and the online values."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from feature_repo.features import FEATURE_VIEWS, USER_VIEWS
from flows.cli import main
from flows.discard_quarantine import discard_quarantine
from flows.feature_store import feature_store
from flows.feature_tables import build_tables, snapshot_path
from flows.online_rows import load_view
from flows.quarantine import Selection, list_rows
from flows.settings import Settings, load_settings
from flows.touched_features import refresh_touched
from tests.flows.test_replay import KNOWS_STOLEN, STOLEN
from tests.flows.tiny_shop import SALES, land, rows_of, sale, write_shop

pytestmark = pytest.mark.slow

SERVING = datetime(2026, 10, 4, tzinfo=UTC)
BEFORE = datetime(2026, 10, 2, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home with a held row, its features built at two moments and the newest loaded."""
    monkeypatch.setenv("AISLE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AISLE_S3_ENDPOINT_URL", "http://127.0.0.1:1")
    settings = load_settings()
    land(settings, write_shop(tmp_path, [*SALES, STOLEN, sale(till="9", customer="card-2", qty="0")]))
    build_tables(settings, dict.fromkeys(FEATURE_VIEWS, (BEFORE, SERVING)), "corner_shop")
    for view in USER_VIEWS:
        load_view(settings, view.name, SERVING)
    return settings


def stamps(settings: Settings, as_of: datetime) -> dict[str, int]:
    return {view: snapshot_path(settings, view, as_of).stat().st_mtime_ns for view in FEATURE_VIEWS}


@pytest.mark.usefixtures("prefect_harness")
def test_the_command_replays_rebuilds_what_was_touched_and_shows_what_happened(home: Settings, tmp_path: Path):
    mended = write_shop(tmp_path, SALES, KNOWS_STOLEN)
    before = stamps(home, BEFORE), stamps(home, SERVING)
    answer = CliRunner().invoke(main, ["quarantine", "replay", "--source", mended], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    assert "2 held rows judged again: 1 landed, 1 stay held." in answer.output
    assert "Windows written: events 2026-10-02" in answer.output
    assert "quantity_in_bounds" in answer.output
    assert stamps(home, BEFORE) == before[0]
    assert all(after > before[1][view] for view, after in stamps(home, SERVING).items())
    user = next(row["user_id"] for row in rows_of(home, "events") if row["event_time"].hour == 12)
    assert _online(home, user) == _offline(home, user)
    assert refresh_touched(home).built == 0
    with get_client(sync_client=True) as client:
        key = ArtifactFilterKey(any_=["quarantine-replay"])
        (artifact,) = client.read_artifacts(artifact_filter=ArtifactFilter(key=key))
    assert "Windows written: events 2026-10-02." in artifact.data
    assert f"Feature tables built again: {len(FEATURE_VIEWS)} of {2 * len(FEATURE_VIEWS)}" in artifact.data


def _offline(settings: Settings, user: str) -> list[object]:
    rows = pq.read_table(snapshot_path(settings, "user_history", SERVING)).to_pylist()
    return next(row["history_item_ids"] for row in rows if row["user_id"] == user)


def _online(settings: Settings, user: str) -> list[object]:
    store = feature_store(settings)
    answer = store.get_online_features(["user_history:history_item_ids"], [{"user_id": user}]).to_dict()
    return answer["history_item_ids"][0]


@pytest.mark.usefixtures("prefect_harness")
def test_rows_are_listed_shown_and_discarded_with_a_reason(home: Settings):
    def run(*words: str) -> str:
        answer = CliRunner().invoke(main, ["quarantine", *words], catch_exceptions=False)
        assert answer.exit_code == 0, answer.output
        return answer.output

    assert "aisle quarantine replay --source SHOP" in run()
    assert "came quantity = 0.0" in run("list", "--rule", "quantity_in_bounds")
    (row,) = list_rows(home, Selection(rule="quantity_in_bounds")).to_pylist()
    unknown = CliRunner().invoke(main, ["quarantine", "list", "--rule", "quantity_in_bound"])
    assert "quantity_in_bounds" in unknown.output
    assert "Did you mean 'quantity_in_bounds'?" in unknown.output
    assert "contract_version" in run("show", row["row_id"][:10])
    why = ("--reason", "the till was being tested")
    assert "1 held rows were discarded" in run("discard", "--row", row["row_id"], *why)
    assert "quantity_in_bounds" in run("list", "--state", "discarded")
    assert "the till was being tested" in run("show", row["row_id"])
    refused = CliRunner().invoke(main, ["quarantine", "discard", *why])
    assert refused.exit_code == 1
    assert "say which rows: --source, --table, --rule, --window or --row." in refused.output


@pytest.mark.usefixtures("prefect_harness")
def test_an_empty_word_chooses_no_rows_to_discard(home: Settings):
    for nothing in ({"row_id": ""}, {"rule": ""}, {"source": "", "table": ""}):
        with pytest.raises(ValueError, match="came nothing"):
            discard_quarantine("a slip", **nothing)
    assert {row["state"] for row in rows_of(home, "quarantine")} == {"held"}
    assert discard_quarantine("a till that was tested", rule="quantity_in_bounds", row_id="") == 1


def test_a_first_build_of_features_that_was_cut_off_stops_no_refresh(settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path))
    build_tables(settings, {next(iter(FEATURE_VIEWS)): (SERVING,)})
    land(settings, write_shop(tmp_path, [*SALES, sale(customer="card-8")]))
    refreshed = refresh_touched(settings)
    assert (refreshed.built, refreshed.tables, refreshed.loaded, refreshed.as_of) == (1, 1, 0, None)
