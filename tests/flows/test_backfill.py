"""A backfill in chunks ends in the lake of one ingest, killed or not, and an hourly ingest lands in between."""

import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId, FlowRunFilterName
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed, Failed

from flows import backfill as story
from flows.backfill import backfill, staged_ahead, tag_of
from flows.backfill_plan import Chunk, SpanError, backfill_key, open_record, plan_chunks, record_chunk
from flows.cli import main
from flows.contract_profile import recorded_profile
from flows.ingest import open_export
from flows.settings import Settings
from flows.sources.mapping import load_mapping
from tests.conftest import settings_in
from tests.flows.tiny_shop import MAPPING, PRODUCTS, Row, end_state, land, land_export, sale, write_shop

pytestmark = pytest.mark.slow

FROM, TO = datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 4, 20, tzinfo=UTC)
PROJECT = Path(__file__).parents[2]


def _sales() -> list[Row]:
    """One sale every twelve days over a hundred days, one of them with a price that cannot be."""
    days = [FROM + timedelta(days=number, hours=number % 24) for number in range(0, (TO - FROM).days, 12)]
    rows = [sale(sold_at=f"{day:%Y-%m-%d %H:%M:%S}", customer=f"card-{day.day}") for day in days]
    return [*rows, sale(sold_at="2026-03-03 10:00:00", line_total="-4", sku="B2")]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_shop(tmp_path_factory.mktemp("shop"), _sales())


@pytest.fixture(scope="module")
def whole(shop: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, object]]]:
    """What one ingest of the same span leaves."""
    settings = replace(settings_in(tmp_path_factory.mktemp("whole")), pseudonym_key=b"one key")
    land_export(settings, open_export(settings, shop, None, FROM, TO))
    return end_state(settings)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that flows load too."""
    monkeypatch.setenv("AISLE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AISLE_PSEUDONYM_KEY", "one key")
    return replace(settings_in(tmp_path / "home"), pseudonym_key=b"one key")


def test_a_backfill_in_chunks_ends_in_the_lake_of_one_ingest(
    home: Settings, shop: str, whole: dict[str, list[dict[str, object]]], prefect_harness: None
):
    summary = backfill(shop, FROM, TO, at_once=3)
    assert (summary.complete, summary.done_before) == (True, 0)
    assert summary.chunks == 1 + 4  # the catalogue, then 28 days each
    assert end_state(home) == whole
    again = backfill(shop, FROM, TO)
    assert (again.windows, again.complete) == (0, True)
    assert end_state(home) == whole
    with get_client(sync_client=True) as client:
        bar = next(each for each in client.read_artifacts(limit=200) if each.key == "backfill-corner-shop")
    assert float(str(bar.data)) == 100


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_killed_backfill_goes_on_where_it_stopped(
    home: Settings, shop: str, whole: dict[str, list[dict[str, object]]], prefect_harness: None, when: str
):
    command = [sys.executable, "-m", "tests.flows.killed_backfill", shop, str(FROM), str(TO), "3", when]
    environment = {"AISLE_HOME": str(home.home), "AISLE_PSEUDONYM_KEY": "one key", "HOME": str(home.home)}
    api = {"PREFECT_API_URL": str(PREFECT_API_URL.value()), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=PROJECT, env={**environment, **api}, capture_output=True, timeout=300, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr[-3000:]
    left = len(end_state(home)["events"])
    assert 0 < left < len(whole["events"])
    summary = backfill(shop, FROM, TO)
    assert summary.done_before == (3 if when == "after" else 2)
    assert summary.complete
    assert end_state(home) == whole


def test_an_hourly_ingest_lands_in_the_middle_of_a_backfill(
    home: Settings,
    shop: str,
    whole: dict[str, list[dict[str, object]]],
    prefect_harness: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """Another shop's rows land after each chunk, and a window that both write has both."""
    other = write_shop(
        tmp_path / "live", [sale(sold_at="2026-03-03 11:00:00")], MAPPING.replace("corner_shop", "live_shop")
    )
    same = write_shop(tmp_path / "same", [sale(sold_at="2026-03-03 11:00:00", customer="card-live")])
    land_chunk = story.land_chunk

    def with_an_ingest_between(*arguments):
        landed = land_chunk(*arguments)
        assert land(home, other)["events"].rows_written == 1
        assert land(home, same)["events"].rows_written == 1
        return landed

    monkeypatch.setattr(story, "land_chunk", with_an_ingest_between)
    assert backfill(shop, FROM, TO).complete
    events = end_state(home)["events"]
    extra = [row for row in events if row["source"] == "live_shop" or row not in whole["events"]]
    assert len(extra) == 2
    assert [row for row in events if row not in extra] == whole["events"]


def test_a_turn_hands_over_to_one_next_run(
    home: Settings, shop: str, prefect_harness: None, monkeypatch: pytest.MonkeyPatch
):
    asked = []
    monkeypatch.setattr(story, "TURN_SECONDS", -1)
    monkeypatch.setattr(story, "hand_over", lambda record, parameters: not asked.append((len(record.done), parameters)))
    first = backfill(shop, FROM, TO)
    assert (first.done_now, first.complete) == (1, False)
    second = backfill(**asked[0][1])
    assert (second.done_before, second.done_now) == (1, 1)
    assert [number for number, _ in asked] == [1, 2]


def test_a_changed_export_or_a_lake_put_back_starts_over(home: Settings, tmp_path: Path):
    shop = write_shop(tmp_path / "shop", _sales())
    export = open_export(home, shop, None, FROM, TO)
    chunks = plan_chunks(export.mapping, FROM, TO)
    land(home, shop)
    record = record_chunk(home, open_record(home, backfill_key(export)), chunks[0])
    assert open_record(home, record.key).done == (0,)
    assert backfill_key(open_export(home, shop, None, FROM, TO - timedelta(days=1))) != record.key
    write_shop(tmp_path / "shop", [*_sales(), sale()])
    assert backfill_key(export) != record.key
    emptied = replace(home, lake_uri=str(tmp_path / "another lake"))
    assert open_record(emptied, record.key).done == ()
    shutil.rmtree(home.home / "lake")
    for _ in range(3):  # a lake that was wiped and has come as far again is another one
        land(home, write_shop(tmp_path / "shop", [*_sales(), sale(till="5")]))
    assert open_record(home, record.key).done == ()


@given(st.sampled_from(["hour", "day", "week", "month"]), st.integers(0, 9000), st.integers(1, 9000))
@examples(max_examples=60, deadline=None)
def test_chunks_cover_the_span_once_and_cut_no_window(window: str, start: int, length: int):
    mapping = replace(load_mapping("complete_journey"), window=window)
    since = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=start)
    until = since + timedelta(hours=length)
    chunks = [chunk for chunk in plan_chunks(mapping, since, until) if chunk.since]
    assert (chunks[0].since, chunks[-1].until) == (since, until)
    for before, after in pairwise(chunks):
        edge = after.since
        assert before.until == edge
        assert (edge.minute, edge.second) == (0, 0)
        assert window == "hour" or edge.hour == 0
        assert window != "week" or edge.weekday() == 0
        assert window != "month" or edge.day == 1


def test_no_more_chunks_are_staged_ahead_than_asked(home: Settings, shop: str):
    export = open_export(home, shop, None, FROM, TO)
    chunks = plan_chunks(export.mapping, FROM, TO)
    with staged_ahead(home, export, chunks, 2) as staged:
        for chunk, tables, folder in staged:
            assert sum(table.rows for table in tables) > 0
            begun = {int(path.name.partition("-")[2]) for path in folder.parent.iterdir()}
            assert max(begun) <= chunk.number + 1


def test_a_span_that_ends_before_it_begins_is_refused(home: Settings, shop: str, prefect_harness: None):
    with pytest.raises(SpanError, match="--from must lie before --to"):
        plan_chunks(load_mapping(shop), TO, FROM)
    result = CliRunner().invoke(main, ["backfill", "--source", shop, "--from", "2026-03-01", "--to", "2026-02-01"])
    assert result.exit_code == 1
    assert "--from must lie before --to" in result.output


@pytest.mark.parametrize("window", ["hour", "day", "week", "month"])
def test_a_span_beyond_all_calendars_is_refused(window: str):
    mapping = replace(load_mapping("complete_journey"), window=window)
    end = datetime(9999, 12, 31, 23, tzinfo=UTC)
    with pytest.raises(SpanError, match="the year 9999"):
        plan_chunks(mapping, end - timedelta(days=60), end)


def test_a_backfill_is_remembered_and_counts_rows_without_a_time_once(
    home: Settings, tmp_path: Path, prefect_harness: None
):
    shop = write_shop(tmp_path / "shop", [*_sales(), sale(sold_at=""), sale(sold_at="", sku="B2")])
    summary = backfill(shop, FROM, TO)
    assert (summary.chunks, summary.rows) == (5, len(_sales()) + 2 + len(PRODUCTS))
    assert recorded_profile(home, "corner_shop") is not None


def test_what_is_queued_from_a_folder_is_found_by_the_worker_from_its_own(
    home: Settings, tmp_path: Path, prefect_harness: None, monkeypatch: pytest.MonkeyPatch
):
    write_shop(tmp_path / "shop", _sales())
    monkeypatch.chdir(tmp_path / "shop")
    asked = ["backfill", "--source", "shop.toml", "--path", ".", "--from", "2026-01-10", "--to", "2026-04-20"]
    with get_client(sync_client=True) as client:
        made = client.create_deployment(client.create_flow_from_name("backfill"), name="backfill")
        result = CliRunner().invoke(main, [*asked, "--later"])
        assert result.exit_code == 0, result.output
        name = result.output.split()[3].rstrip(";")
        queued = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[made]))
        run = next(each for each in client.read_flow_runs(flow_run_filter=queued) if each.name == name)
        client.delete_deployment(made)
    monkeypatch.chdir(PROJECT)
    given = open_export(home, run.parameters["source"], run.parameters["path"], FROM, TO)
    assert backfill_key(given) == backfill_key(open_export(home, str(tmp_path / "shop" / "shop.toml"), None, FROM, TO))


def test_a_backfill_queued_again_is_the_same_run_until_that_one_has_failed(
    home: Settings, shop: str, prefect_harness: None
):
    asked = ["backfill", "--source", shop, "--from", "2026-01-10", "--to", "2026-04-20", "--later"]
    with get_client(sync_client=True) as client:
        made = client.create_deployment(client.create_flow_from_name("backfill"), name="backfill")
        queued = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[made]))
        first, second = (CliRunner().invoke(main, asked).output.split()[3] for _ in range(2))
        (run,) = client.read_flow_runs(flow_run_filter=queued)
        client.set_flow_run_state(run.id, Failed(), force=True)
        third, fourth = (CliRunner().invoke(main, asked).output.split()[3] for _ in range(2))
        assert len(client.read_flow_runs(flow_run_filter=queued)) == 2
    assert first == second != third == fourth


def test_a_backfill_that_has_come_some_way_or_handed_over_is_not_queued_again(
    home: Settings, shop: str, prefect_harness: None
):
    asked = ["backfill", "--source", shop, "--from", "2026-01-10", "--to", "2026-04-20", "--later"]
    key = backfill_key(open_export(home, shop, None, FROM, TO))
    with get_client(sync_client=True) as client:
        made = client.create_deployment(client.create_flow_from_name("backfill"), name="backfill")
        first = CliRunner().invoke(main, asked).output.split()[3].rstrip(";")
        record_chunk(home, open_record(home, key), Chunk(0, ("items",)))
        assert CliRunner().invoke(main, asked).output.split()[3].rstrip(";") == first
        (run,) = client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[first])))
        handed_over = client.create_flow_run_from_deployment(made, tags=[tag_of(key)])
        client.set_flow_run_state(run.id, Completed(), force=True)
        assert CliRunner().invoke(main, asked).output.split()[3].rstrip(";") == handed_over.name
