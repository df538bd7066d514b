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
from flows.champion import read_pointer
from flows.feature_store import feature_store
from flows.feature_tables import build_tables, snapshot_path
from flows.object_store import ensure_bucket
from flows.online_rows import read_ledger
from flows.releases import list_releases
from flows.settings import Settings, load_settings
from tests.flows.feature_lake import SERVING, fill_lake
from tests.flows.kill_points import KILL_POINTS, KillPoint, points_of
from tests.flows.test_replay import KNOWS_STOLEN, STOLEN
from tests.flows.test_train_stages import landed_home  # noqa: F401
from tests.flows.tiny_shop import LATER, SALES, end_state, land, rows_of, sale, write_shop

pytestmark = pytest.mark.slow
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


def variables_of(home: Path, store: Settings | None = None) -> dict[str, str]:
    """The environment of a home; with a store, a bucket of its own."""
    variables = {"AISLE_HOME": str(home), "AISLE_PSEUDONYM_KEY": KEY, "AISLE_S3_ENDPOINT_URL": "http://127.0.0.1:1"}
    if store is not None:
        place = store.object_store
        variables |= {
            "AISLE_S3_ENDPOINT_URL": place.endpoint_url,
            "AISLE_S3_BUCKET": f"killed-{home.parent.name}-{home.name}".lower().replace("_", "-"),
            "AISLE_S3_ACCESS_KEY": place.access_key,
            "AISLE_S3_SECRET_KEY": place.secret_key,
        }
    return variables


def kill_and_run_again(
    stage: str, base: Path, folder: Path, mapping: str = "", store: Settings | None = None
) -> tuple[Settings, dict[str, Ended]]:
    """Copy the base home for each point of the stage and for an undisturbed run; run them all."""
    points = {"undisturbed": UNDISTURBED} | {p.name: (p.function, p.call, p.when) for p in points_of(stage)}
    homes, cases = {}, []
    for number, (name, point) in enumerate(points.items()):
        home = folder / f"{stage}-{number}"
        shutil.copytree(base, home)
        variables = variables_of(home, store)
        homes[name] = load_settings(variables)
        if store is not None:
            ensure_bucket(homes[name])
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
    assert {point.stage for point in KILL_POINTS} == {"ingest", "replay", "features", "materialise", "train", "publish"}
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


def test_a_killed_materialise_ends_in_the_online_values_of_an_undisturbed_one(small_lake: Path, tmp_path: Path):
    base = tmp_path / "base"
    shutil.copytree(small_lake, base)
    build_tables(load_settings(variables_of(base)), dict.fromkeys(FEATURE_VIEWS, (SERVING,)))
    check(*kill_and_run_again("materialise", base, tmp_path), online_rows)


def releases(settings: Settings) -> tuple:
    pointer = read_pointer(settings)
    stored = [(each.release_id, each.champion, each.manifest is not None) for each in list_releases(settings)]
    return (None if pointer is None else pointer.release_id, stored)


def test_killed_training_and_publishing_end_in_the_release_of_an_undisturbed_run(
    landed_home: Path,  # noqa: F811
    object_store: Settings,
    tmp_path: Path,
):
    base = tmp_path / "base"
    shutil.copytree(landed_home, base, ignore=shutil.ignore_patterns("training_sets", "training_runs"))
    undisturbed, ended = kill_and_run_again("train", base, tmp_path, store=object_store)
    assert releases(undisturbed)[0] is not None
    check(undisturbed, ended, releases)
    judged = tmp_path / "judged"
    shutil.copytree(undisturbed.home, judged)
    for outcome in judged.glob("training_runs/*/outcome.json"):
        content = json.loads(outcome.read_text())
        outcome.write_text(json.dumps({**content, "done": False, "release_id": None}))
    again, killed = kill_and_run_again("publish", judged, tmp_path, store=object_store)
    assert releases(again) == releases(undisturbed)
    check(again, killed, releases)
