"""Two runs that want the same files take turns: the second says that it waits, and finds what the first has done."""

from pathlib import Path

import pytest

from flows import lake
from flows.answers import KIND, land_answers
from flows.ingest import ingest
from flows.settings import Settings, load_settings
from flows.spool_files import seal_spool
from serving.spool import append_events, open_spool
from tests.flows.killed_live_ingest import event, land_live
from tests.flows.waiting_run import waiting_run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of an empty home that flows find in the environment."""
    monkeypatch.setenv("AISLE_HOME", str(tmp_path / "home"))
    return load_settings()


@pytest.mark.usefixtures("prefect_harness")
def test_an_ingest_of_live_events_waits_for_one_that_is_at_the_same_files(home: Settings):
    append_events(open_spool(home.spool_path), [event(1), event(2)])
    with waiting_run(home.spool_path / "events.lock", "prefect.flow_runs", lambda: ingest("live")) as second:
        land_live(home)
        append_events(open_spool(home.spool_path), [event(2), event(3)])
    assert second.result().windows_landed == 1
    assert sorted(lake.read_table(home, "events")["event_id"].to_pylist()) == ["e_000001", "e_000002", "e_000003"]
    assert list(home.spool_path.glob("*.jsonl")) == []


def test_who_lands_the_log_of_answers_waits_for_one_that_is_at_the_same_files(home: Settings):
    folder = home.spool_path / KIND
    folder.mkdir(parents=True)
    (folder / f"{KIND}-2026-10-01-1.jsonl").write_text('{"half a line')
    with waiting_run(folder / f"{KIND}.lock", "flows.answers", lambda: land_answers(home)) as second:
        for path in seal_spool(folder, KIND):
            path.unlink()
    assert second.result() == 0
