"""The probe shopper against the real server: every event changes an answer, and nothing of it reaches the lake."""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from prefect.client.orchestration import get_client

from flows import lake, probe_freshness
from flows.freshness import GOAL_MS, FreshnessRun, freshness_page, history_figure, keep_run, percentile, probe
from flows.settings import Settings as FlowSettings
from tests.flows.killed_live_ingest import land_live
from tests.serving.conftest import Server
from tests.serving.tiny_shop import COFFEE


def of(served: Server) -> FlowSettings:
    """Settings whose serving is the one that runs."""
    where = replace(served.settings.services, serving_port=int(served.url.rpartition(":")[2]))
    return replace(served.settings, services=where)


def test_every_event_of_the_probe_changes_an_answer_and_none_reaches_the_lake(served: Server, tmp_path: Path):
    settings = of(served)
    run = probe(settings, 6, first=100)
    assert (run.events, run.unseen) == (6, 0)
    assert 0 < run.p50_ms <= run.p99_ms
    assert probe(settings, 2, first=100).unseen == 0  # the same shoppers again, who have a history now
    kinds = {path.name.partition("-")[0] for path in settings.spool_path.glob("*.jsonl")}
    assert "probe" in kinds
    land_live(settings)
    events = lake.read_table(settings, "events").to_pylist()
    probed = {line.split('"user_id":"')[1][:26] for path in settings.spool_path.glob("probe-*") for line in path.open()}
    assert len(probed) == 6
    assert not probed & {event["user_id"] for event in events}


def test_the_probes_events_come_alone_so_that_none_of_a_shoppers_is_taken_for_one(served: Server):
    ours = {"user_id": "aisle-probe:1", "item_id": COFFEE, "event_type": "view"}
    both = {"events": [ours, {**ours, "user_id": "a shopper"}]}
    answer = httpx.post(f"{served.url}/v1/events", json=both, trust_env=False)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:aisle:problem:probe-among-others")


@pytest.mark.usefixtures("prefect_harness")
def test_the_flow_draws_its_goal_as_an_artifact(served: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(probe_freshness, "load_settings", lambda: of(served))
    assert probe_freshness.probe_freshness(3).events == 3
    with get_client(sync_client=True) as client:
        pages = [each for each in client.read_artifacts() if each.key == "freshness"]
    assert "data:image/png;base64," in pages[0].data
    assert len(pages[0].data) < 200_000


def test_the_page_tells_a_miss_and_keeps_the_last_runs(settings: FlowSettings):
    good = FreshnessRun("2026-11-24T10:00:00+00:00", 20, 0, 12.0, 40.0)
    for run in (good, replace(good, p99_ms=GOAL_MS + 1), replace(good, unseen=1)):
        runs = keep_run(settings, run)
    assert [run.within_goal for run in runs] == [True, False, False]
    assert "Runs within the goal: 1 of the last 3." in freshness_page(runs)
    assert "MISSED" in freshness_page(runs)
    (axes,) = history_figure(runs[:1]).axes
    first, last = axes.get_xlim()
    assert last - first < 1, "days: one run alone is not drawn amid years"
    assert percentile([1.0, 2.0, 3.0], 0.99) == 3.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.0
    assert percentile([10.0] * 99 + [900.0], 0.99) == 10.0
    assert percentile([float(number) for number in range(1, 101)], 0.07) == 7.0
