"""`aisle up` and `aisle down` as people type them: piped, twice, with everything that they promise."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import lake
from flows.services import ALL_SERVICES, service_states, stop_services
from flows.settings import Settings, environment_for_children
from tests.conftest import settings_in
from tests.flows.tiny_shop import SALES, write_shop

AISLE = str(Path(sys.executable).parent / "aisle")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Settings]:
    """Settings whose services are stopped at the end, whatever the test did."""
    settings = settings_in(tmp_path / "home")
    yield settings
    stop_services(settings)


def _type(settings: Settings, *words: str) -> str:
    done = subprocess.run(
        [AISLE, *words], env=environment_for_children(settings), capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _leave_a_backfill_to_the_worker(settings: Settings, shop: str) -> None:
    """Queue it, twice as people do when nothing seems to happen, and wait until its rows are in the lake."""
    words = ("backfill", "--source", shop, "--from", "2026-10-01", "--to", "2026-11-01", "--later")
    first, again = _type(settings, *words), _type(settings, *words)
    assert first.startswith("Queued as run ")
    # Asked again it is the same run, unless a worker has done it by then.
    assert again == first or len(lake.read_events(settings)) == len(SALES)
    until = time.monotonic() + 180
    while len(lake.read_events(settings)) < len(SALES) and time.monotonic() < until:
        time.sleep(1)
    assert len(lake.read_events(settings)) == len(SALES)


@pytest.mark.slow
def test_up_starts_everything_prints_the_addresses_lands_a_backfill_left_to_it_and_down_stops_it(
    house: Settings, tmp_path: Path
):
    said = _type(house, "up")
    assert {state.name for state in service_states(house) if state.running} == set(ALL_SERVICES)
    for words in (house.services.serving_url, house.services.prefect_api_url.removesuffix("/api"), "ingest-hourly"):
        assert words in said
    with urllib.request.urlopen(f"{house.services.serving_url}/openapi.json", timeout=10) as page:
        assert page.status == 200
    _leave_a_backfill_to_the_worker(house, write_shop(tmp_path / "shop"))
    assert "already running" in _type(house, "up")
    assert "stopped" in _type(house, "down")
    assert not [state.name for state in service_states(house) if state.running]
    assert "Nothing is running" in _type(house, "down")
