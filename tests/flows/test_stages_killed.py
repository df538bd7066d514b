"""kill -9 at every named point of every stage, then the same stage again: the end state of an undisturbed run.

The ingest's points are in test_ingest_killed.py; this file has the others.
"""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from feature_repo.features import FEATURE_VIEWS, USER_SERVICE
from flows.feature_store import feature_store
from flows.feature_tables import build_tables, snapshot_path
from flows.online_rows import read_ledger
from flows.settings import Settings, load_settings
from tests.flows.feature_lake import SERVING, fill_lake
from tests.flows.kill_points import KILL_POINTS, KillPoint, points_of
from tests.flows.test_replay import KNOWS_STOLEN, STOLEN
from tests.flows.tiny_shop import LATER, SALES, end_state, land, rows_of, sale, write_shop

PROJECT = Path(__file__).parents[2]
UNDISTURBED = ("", 0, "")
KEY = "one key for all homes"
HELD = [STOLEN, sale(sold_at="2026-10-03 12:00:00", action="stolen"), sale(till="9", customer="card-2", qty="0")]


@dataclass(frozen=True)
class Ended:
    """A home in which a stage was killed and run again: what it died of, and how the second run ended."""

    settings: Settings
    died_of: int
    second: int


def variables_of(home: Path) -> dict[str, str]:
    """The environment of a home."""
    return {"AISLE_HOME": str(home), "AISLE_PSEUDONYM_KEY": KEY, "AISLE_S3_ENDPOINT_URL": "http://127.0.0.1:1"}


def kill_and_run_again(stage: str, base: Path, folder: Path, mapping: str = "") -> tuple[Settings, dict[str, Ended]]:
    """Copy the base home for each point of the stage and for an undisturbed run; run them all."""
    points = {"undisturbed": UNDISTURBED} | {p.name: (p.function, p.call, p.when) for p in points_of(stage)}
    homes, cases = {}, []
    for number, (name, point) in enumerate(points.items()):
        home = folder / f"{stage}-{number}"
        shutil.copytree(base, home)
        variables = variables_of(home)
        homes[name] = load_settings(variables)
        cases.append([stage, variables, mapping, *point])
    written = folder / f"{stage}.json"
    written.write_text(json.dumps(cases))
    command = [sys.executable, "-m", "tests.flows.killed_stages", str(written)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    ends = json.loads(done.stdout.rpartition("ENDS")[2])
    ended = {name: Ended(homes[name], *end) for name, end in zip(points, ends, strict=True)}
    assert ended["undisturbed"].second == 0, done.stderr[-4000:]
    return ended.pop("undisturbed").settings, ended


def check(undisturbed: Settings, ended: dict[str, Ended], state) -> None:
    """Each run died where it was to die, ended well when run again, and left the undisturbed run's state."""
    wanted = state(undisturbed)
    wrong = {}
    for name, run in ended.items():
        if (run.died_of, run.second) != (signal.SIGKILL, 0):
            wrong[name] = f"ended with {run.died_of}, then {run.second}"
        elif state(run.settings) != wanted:
            wrong[name] = f"another end state: {state(run.settings)!r:.2000} and not {wanted!r:.2000}"
    assert not wrong


def test_the_points_are_at_least_twenty_five_in_every_stage_and_each_has_its_own_name():
    assert len(KILL_POINTS) >= 25
    assert len({(point.stage, point.name) for point in KILL_POINTS}) == len(KILL_POINTS)
    assert {point.stage for point in KILL_POINTS} == {"ingest", "replay", "features", "materialise"}
    assert all(isinstance(point, KillPoint) for point in KILL_POINTS)


def test_a_killed_replay_ends_in_the_lake_and_quarantine_of_an_undisturbed_one(tmp_path: Path):
    base = tmp_path / "base"
    settings = load_settings(variables_of(base))
    land(settings, write_shop(tmp_path / "shop", [*SALES, *HELD]))
    mended = write_shop(tmp_path / "shop", SALES, KNOWS_STOLEN)
    check(
        *kill_and_run_again("replay", base, tmp_path, mended),
        lambda each: (end_state(each), [row["known_at"] == LATER for row in rows_of(each, "events")]),
    )


@pytest.fixture(scope="module")
def small_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a lake of 60 users and nothing made of it."""
    home = tmp_path_factory.mktemp("small") / "home"
    fill_lake(load_settings(variables_of(home)), users=60)
    return home


def feature_rows(settings: Settings) -> dict[str, list]:
    folder = Path(settings.feature_store.offline_path)
    assert not list(folder.glob("*/*.part"))
    tables = {view: pq.read_table(snapshot_path(settings, view, SERVING)) for view in FEATURE_VIEWS}
    return {view: rows.drop_columns(["created_timestamp"]).to_pylist() for view, rows in tables.items()}


@pytest.mark.slow
def test_killed_features_end_in_the_tables_of_an_undisturbed_build(small_lake: Path, tmp_path: Path):
    check(*kill_and_run_again("features", small_lake, tmp_path), feature_rows)


def online_rows(settings: Settings) -> tuple[dict, dict]:
    store = feature_store(settings)
    users = pq.read_table(snapshot_path(settings, "user_history", SERVING))["user_id"].to_pylist()
    answer = store.get_online_features(
        store.get_feature_service(USER_SERVICE), [{"user_id": user} for user in users]
    ).to_dict()
    ledger = {entry.view: (entry.as_of, entry.rows, entry.content) for entry in read_ledger(settings).values()}
    return answer, ledger


@pytest.mark.slow
def test_a_killed_materialise_ends_in_the_online_values_of_an_undisturbed_one(small_lake: Path, tmp_path: Path):
    base = tmp_path / "base"
    shutil.copytree(small_lake, base)
    build_tables(load_settings(variables_of(base)), dict.fromkeys(FEATURE_VIEWS, (SERVING,)))
    check(*kill_and_run_again("materialise", base, tmp_path), online_rows)
