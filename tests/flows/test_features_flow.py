from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from feature_repo.features import FEATURE_VIEWS, USER_VIEWS
from flows import materialise as materialise_flow
from flows.build_features import build_features
from flows.cli import main
from flows.feature_tables import read_snapshot
from flows.materialise import materialise
from flows.online_rows import read_ledger
from flows.settings import Settings
from flows.validation import artifact_key
from tests.conftest import settings_in
from tests.flows.feature_lake import SERVING, fill_lake


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    """A filled home that the flows find by themselves, through the environment."""
    settings = settings_in(tmp_path / "home")
    fill_lake(settings, users=60)
    monkeypatch.setenv("AISLE_HOME", str(settings.home))
    monkeypatch.setenv("AISLE_OBJECT_STORE_PORT", settings.object_store.endpoint_url.rsplit(":")[-1])
    return settings


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_harness")
def test_a_long_load_tells_how_far_it_is(settings, monkeypatch, caplog):
    monkeypatch.setattr(materialise_flow, "ROWS_A_LINE", 50)
    build_features()
    materialise()
    told = [record.getMessage() for record in caplog.records if "rows are written" in record.getMessage()]
    assert told == [f"{view.name}: 60 rows are written." for view in USER_VIEWS]


@pytest.mark.usefixtures("prefect_harness")
def test_a_build_tells_that_each_table_is_ready(settings, caplog):
    build_features()
    told = [record.getMessage() for record in caplog.records if record.getMessage().endswith(" ready")]
    assert told == [f"{view}: 1 snapshot ready" for view in FEATURE_VIEWS]


@pytest.mark.usefixtures("prefect_harness")
def test_the_flows_build_every_table_show_its_verdict_and_load_the_users(settings):
    assert build_features() == SERVING
    assert materialise() == SERVING
    assert all(read_snapshot(settings, view, SERVING) for view in FEATURE_VIEWS)
    assert {entry.view for entry in read_ledger(settings).values()} == {view.name for view in USER_VIEWS}
    keys = [artifact_key(view) for view in FEATURE_VIEWS]
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=keys)))
    assert {artifact.key for artifact in found} == set(keys)


@pytest.mark.slow
def test_the_command_builds_as_of_a_moment_and_says_what_is_there(settings):
    answer = CliRunner().invoke(main, ["features", "--as-of", "2026-03-20"], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    assert f"{len(FEATURE_VIEWS)} feature tables as of 2026-03-20 00:00 UTC" in answer.output
    assert read_snapshot(settings, "user_history", datetime(2026, 3, 20, tzinfo=UTC))
    again = CliRunner().invoke(main, ["features", "--as-of", "2026-03-20"], catch_exceptions=False)
    assert "0 built now" in again.output
    loaded = CliRunner().invoke(main, ["materialise"], catch_exceptions=False)
    assert "sqlite online store as of 2026-03-20 00:00 UTC" in loaded.output


def test_the_commands_say_what_to_do_when_there_is_nothing_yet(tmp_path, monkeypatch):
    monkeypatch.setenv("AISLE_HOME", str(tmp_path / "empty"))
    for command, advice in (("features", "aisle ingest"), ("materialise", "aisle features")):
        answer = CliRunner().invoke(main, [command])
        assert answer.exit_code == 1
        assert advice in answer.output
