"""Pushed events reach the lake exactly once, whatever dies, and their files do not pile up."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows import lake
from flows.settings import Settings
from flows.spool_files import KEPT_SECONDS, put_away, seal_spool
from serving.spool import append_events, open_spool
from tests.conftest import settings_in
from tests.flows.killed_live_ingest import event, land_live

PROJECT = Path(__file__).parents[2]
POINTS = [
    ("flows.spool_files:_seal", 1, "before"),
    ("flows.spool_files:_seal", 1, "after"),
    ("flows.lake:write_window", 2, "after"),
    ("flows.lake:record_window", 3, "after"),
    ("", 0, ""),
    ("flows.spool_files:put_away", 1, "before"),
    ("flows.spool_files:put_away", 1, "after"),
]


@pytest.mark.slow
def test_every_acknowledged_event_is_in_the_lake_once_though_ingests_die_while_it_is_taken(tmp_path: Path):
    command = [sys.executable, "-m", "tests.flows.killed_live_ingest", str(tmp_path), json.dumps(POINTS)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    acknowledged, signals = json.loads(done.stdout.rpartition("ACKNOWLEDGED")[2])
    assert signals == [signal.SIGKILL if point else 0 for point, *_ in POINTS] + [0]
    assert len(acknowledged) > 50
    settings = settings_in(tmp_path)
    landed = lake.read_table(settings, "events")["event_id"].to_pylist()
    assert len(landed) == len(set(landed))
    assert set(acknowledged) <= set(landed)
    assert len(landed) - len(acknowledged) <= 1  # the last may have been on disk when its process died
    assert list(settings.spool_path.glob("*.jsonl")) == []
    assert lake.read_table(settings, "quarantine").num_rows == 0


def test_a_file_that_comes_again_changes_nothing_and_a_restarted_server_knows_its_events(settings: Settings):
    folder = settings.spool_path
    append_events(open_spool(folder), [event(1), event(2)])
    land_live(settings)
    for path in (folder / "landed").iterdir():
        path.rename(folder / path.name)
    append_events(open_spool(folder), [event(3)])
    land_live(settings)
    assert sorted(lake.read_table(settings, "events")["event_id"].to_pylist()) == ["e_000001", "e_000002", "e_000003"]
    assert append_events(open_spool(folder), [event(1), event(4)]) == [False, True]


def test_what_landed_is_kept_for_two_days_and_a_failed_ingest_keeps_all(settings: Settings):
    folder = settings.spool_path
    append_events(open_spool(folder), [event(1)])
    put_away(seal_spool(folder), landed=False)
    assert len(list(folder.glob("*.sealed.jsonl"))) == 1
    put_away(seal_spool(folder), landed=True)
    (kept,) = (folder / "landed").iterdir()
    append_events(open_spool(folder), [event(2)])
    long_ago = time.time() - KEPT_SECONDS - 60
    os.utime(kept, (long_ago, long_ago))
    put_away(seal_spool(folder), landed=True)
    assert kept.name not in {path.name for path in (folder / "landed").iterdir()}
    assert put_away((), landed=True) is None
