"""kill -9 at any point of an ingest, then the same command: the end state of a run that nothing disturbed."""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from flows import lake
from flows.settings import Settings
from tests.conftest import settings_in
from tests.flows.kill_points import points_of
from tests.flows.tiny_shop import LATER, SALES, end_state, land, sale, write_shop

pytestmark = pytest.mark.slow
PROJECT = Path(__file__).parents[2]
EXPORT = [*SALES, sale(line_total="-4", sku="B2"), sale(sold_at="2026-10-02 12:00:00", action="stolen")]
#: Where the run dies: function, which call of it, before or after; without a function the parent kills after seconds.
POINTS = [
    *((point.function, point.call, point.when) for point in points_of("ingest")),
    ("", 0, 0.2),
    ("", 0, 0.5),
]


@dataclass(frozen=True)
class Killed:
    """A home whose ingest was killed: its settings, the mapping, the signal it died of, the ledger's version then."""

    settings: Settings
    shop: str
    died_of: int
    ledger_version: int


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> list[Killed]:
    """For each point, what the ingest that died there left."""
    folder = tmp_path_factory.mktemp("killed")
    shop, cases, homes = write_shop(folder / "shop", EXPORT), [], []
    for number, point in enumerate(POINTS):
        home = settings_in(folder / f"home-{number}")
        homes.append(replace(home, pseudonym_key=b"one key"))
        cases.append([str(home.home), "one key", shop, *point])
    command = [sys.executable, "-m", "tests.flows.killed_ingest", json.dumps(cases)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    signals = json.loads(done.stdout.rpartition("SIGNALS")[2])
    return [
        Killed(home, shop, number, lake.table_version(home, "windows"))
        for home, number in zip(homes, signals, strict=True)
    ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, object]]]:
    """The end state of a run from start to end."""
    folder = tmp_path_factory.mktemp("undisturbed")
    settings = replace(settings_in(folder / "home"), pseudonym_key=b"one key")
    land(settings, write_shop(folder / "shop", EXPORT))
    return end_state(settings)


@pytest.mark.parametrize("number", range(len(POINTS)), ids=[f"{point}-{call}-{when}" for point, call, when in POINTS])
def test_after_a_kill_the_same_command_gives_the_same_end_state(
    killed: list[Killed], undisturbed: dict[str, list[dict[str, object]]], number: int
):
    run = killed[number]
    assert run.died_of == signal.SIGKILL or not POINTS[number][0]  # a fast machine may be done before the clock
    summary = land(run.settings, run.shop, LATER)["events"]
    assert (summary.rows_in, summary.rows_written, summary.rows_held) == (8, 6, 2)
    assert end_state(run.settings) == undisturbed


def test_the_points_are_spread_over_the_whole_run(killed: list[Killed]):
    versions = {run.ledger_version for run in killed}
    assert -1 in versions
    assert len(versions) >= 3
