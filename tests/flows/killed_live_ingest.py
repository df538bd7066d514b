"""A test driver: live ingests that die by SIGKILL one after the other while another process takes events.

Arguments: home, and a JSON list of [point, call, when] as tests/flows/killed_ingest.py takes them. Prints the ids of
the events that the spool acknowledged until its process was killed too, and the signals that the ingests died of.
"""

import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path

from feature_repo.schema import EVENTS
from flows import spool_files
from flows.settings import Settings
from serving.spool import append_events, open_spool
from tests.conftest import settings_in
from tests.flows.killed_ingest import dying
from tests.flows.tiny_shop import land


def land_live(settings: Settings) -> None:
    """What the flow does with the spool, as plain calls."""
    sealed = spool_files.seal_spool(settings.spool_path)
    land(settings, "live")
    spool_files.put_away(sealed, landed=True)


def event(number: int) -> dict[str, object]:
    """One row as the intake makes it; a few hours, so that windows are met again and again."""
    row: dict[str, object] = dict.fromkeys(EVENTS.column_names)
    moment = f"2026-10-01T{number % 3:02}:00:{number % 60:02}.{number:06}+00:00"
    known = {"event_id": f"e_{number:06}", "event_time": moment, "known_at": moment, "user_id": "u_" + "0" * 24}
    return row | known | {"item_id": "A1", "event_type": "view", "channel": "web", "source": "live"}


def _take_events(folder: Path, acknowledged: Path) -> None:
    spool, number = open_spool(folder), 0
    with acknowledged.open("w") as told:
        while True:
            row = event(number)
            append_events(spool, [row])
            told.write(f"{row['event_id']}\n")
            told.flush()
            number += 1
            time.sleep(0.002)


def _land_and_die(settings: Settings, point: str, call: int, when: str) -> int:
    child = os.fork()
    if child == 0:
        if point:
            module, name = point.split(":")
            owner = importlib.import_module(module)
            setattr(owner, name, dying(getattr(owner, name), call, when))
        land_live(settings)
        os._exit(0)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


def _wait_for_more(acknowledged: Path) -> None:
    """Wait until one more event was taken: without any, an ingest comes to none of its points."""
    before = _size(acknowledged)
    while _size(acknowledged) == before:
        time.sleep(0.002)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


if __name__ == "__main__":
    settings = settings_in(Path(sys.argv[1]))
    acknowledged = Path(sys.argv[1]) / "acknowledged"
    taking = os.fork()
    if taking == 0:
        _take_events(settings.spool_path, acknowledged)
    signals = []
    for point in json.loads(sys.argv[2]):
        _wait_for_more(acknowledged)
        signals.append(_land_and_die(settings, *point))
    os.kill(taking, signal.SIGKILL)
    os.waitpid(taking, 0)
    signals.append(_land_and_die(settings, "", 0, ""))
    print("ACKNOWLEDGED" + json.dumps([acknowledged.read_text().split(), signals]))
