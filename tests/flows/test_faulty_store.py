"""An object store that fails in flight: what passes is tried again, what lasts fails cleanly and publishes nothing."""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flows import object_client
from flows.lake import LakeError
from flows.object_client import ATTEMPTS, StoreUnreachable, WriteConflict, WriteRefused
from flows.releases import list_releases, publish, read_pointer
from flows.settings import Settings
from tests.flows.faulty_store import FAULTS, Door, faulty_door
from tests.flows.test_releases import manifest_of, release_folder
from tests.flows.tiny_shop import LATER, SALES, end_state, land, sale, write_shop

PROJECT = Path(__file__).parents[2]
EXPORT = [*SALES, sale(line_total="-4", sku="B2"), sale(sold_at="2026-10-02 12:00:00", action="stolen")]


@pytest.fixture
def door(store_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Settings, Door]]:
    """The real store behind a door that may misbehave; three seconds are long to wait for it."""
    monkeypatch.setattr(object_client, "READ_SECONDS", 3)
    with faulty_door(store_settings) as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_costs_a_release_nothing(
    door: tuple[Settings, Door], store_settings: Settings, tmp_path: Path, fault: str
):
    through, opened = door
    folder = release_folder(tmp_path, "one")
    # Each object meets the fault once.
    met: set[str] = set()

    def once_an_object(_: str, path: str, __: int) -> str | None:
        first = path not in met and len(met) < (3 if fault == "hang" else 99)
        met.add(path)
        return fault if first else None

    opened.plan = once_an_object
    published = publish(through, folder, manifest_of(), None)
    assert opened.faults >= 3
    pointer = read_pointer(store_settings)
    assert pointer is not None
    assert pointer.release_id == published.release_id
    assert [each.manifest is not None for each in list_releases(store_settings)] == [True]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_lasts_is_a_clean_failure_and_the_champion_stays(
    door: tuple[Settings, Door], store_settings: Settings, tmp_path: Path, fault: str
):
    through, opened = door
    champion = publish(store_settings, release_folder(tmp_path, "one"), manifest_of(), None)
    before = read_pointer(store_settings)
    opened.plan = lambda method, path, _: fault if path.endswith("champion.json") and method == "PUT" else None
    with pytest.raises((WriteRefused, StoreUnreachable, WriteConflict), match="Could not make release"):
        publish(through, release_folder(tmp_path, "two"), manifest_of(), before)
    assert fault == "cut after" or opened.faults == ATTEMPTS
    after = read_pointer(store_settings)
    if fault != "cut after":
        assert after == before
        assert after is not None
        assert after.release_id == champion.release_id
    opened.plan = lambda *_: None
    again = publish(through, release_folder(tmp_path / "again", "two"), manifest_of(), before)
    now = read_pointer(store_settings)
    assert now is not None
    assert now.release_id == again.release_id


@pytest.mark.slow
def test_tries_wait_longer_each_time_and_not_in_step(door: tuple[Settings, Door], tmp_path: Path):
    through, opened = door
    moments: list[float] = []

    def refuse(*_: object) -> str:
        moments.append(time.monotonic())
        return "503"

    opened.plan = refuse
    for _ in range(3):
        with pytest.raises(WriteRefused):
            read_pointer(through)
    assert len(moments) == 3 * ATTEMPTS
    waits = [later - earlier for earlier, later in itertools.pairwise(moments)]
    seconds = [round(wait, 3) for number, wait in enumerate(waits) if number % ATTEMPTS == 1]
    assert len(set(seconds)) == len(seconds)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS[:-1])
def test_a_lake_whose_store_fails_for_a_moment_is_the_same_lake(
    door: tuple[Settings, Door], store_settings: Settings, tmp_path: Path, fault: str
):
    through, opened = door
    shop = write_shop(tmp_path, EXPORT)
    lake_uri = f"s3://{store_settings.object_store.bucket}/lake"
    in_folder = replace(store_settings, lake_uri=str(tmp_path / "lake"))
    land(in_folder, shop)
    # A hang costs a second of waiting each.
    every = 60 if fault == "hang" else 7
    opened.plan = lambda _, __, number: fault if number % every == every - 1 else None
    on_s3 = replace(through, lake_uri=lake_uri)
    land(on_s3, shop)
    assert opened.faults >= 1
    assert end_state(replace(store_settings, lake_uri=lake_uri)) == end_state(in_folder)


@pytest.mark.slow
def test_a_commit_whose_answer_is_lost_counts_once(
    door: tuple[Settings, Door], store_settings: Settings, tmp_path: Path
):
    """The store has the commit, but the line is cut before it says so: the writer must not commit twice."""
    through, opened = door
    shop = write_shop(tmp_path, EXPORT)
    lake_uri = f"s3://{store_settings.object_store.bucket}/lake"
    in_folder = replace(store_settings, lake_uri=str(tmp_path / "lake"))
    land(in_folder, shop)
    met: set[str] = set()

    def second_commit_of_each(method: str, path: str, _: int) -> str | None:
        lost = method == "PUT" and path.endswith("_delta_log/00000000000000000001.json") and path not in met
        met.add(path)
        return "cut after" if lost else None

    opened.plan = second_commit_of_each
    # In a process of its own: deltalake reads a table's history with the interpreter held, and the door is in this one.
    place = through.object_store
    variables = {
        "AISLE_HOME": str(through.home),
        "AISLE_LAKE_URI": lake_uri,
        "AISLE_S3_ENDPOINT_URL": place.endpoint_url,
        "AISLE_S3_BUCKET": place.bucket,
        "AISLE_S3_ACCESS_KEY": place.access_key,
        "AISLE_S3_SECRET_KEY": place.secret_key,
        "AISLE_PSEUDONYM_KEY": through.pseudonym_key.decode(),
    }
    case = tmp_path / "case.json"
    case.write_text(json.dumps([["ingest", variables, shop, "", 0, ""]]))
    command = [sys.executable, "-m", "tests.flows.killed_stages", str(case)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False)
    assert "ENDS[[0, 0]]" in done.stdout, done.stderr[-4000:]
    assert opened.faults == 4
    assert end_state(replace(store_settings, lake_uri=lake_uri)) == end_state(in_folder)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["503", "cut before"])
def test_a_store_that_stays_broken_fails_the_ingest_cleanly_and_the_next_run_goes_on(
    door: tuple[Settings, Door], store_settings: Settings, tmp_path: Path, fault: str
):
    through, opened = door
    shop = write_shop(tmp_path, EXPORT)
    lake_uri = f"s3://{store_settings.object_store.bucket}/lake"
    direct, on_s3 = (replace(each, lake_uri=lake_uri) for each in (store_settings, through))
    opened.plan = lambda method, path, _: fault if method == "PUT" and "events/_delta_log" in path else None
    with pytest.raises(LakeError, match="Nothing of it is half written"):
        land(on_s3, shop)
    assert end_state(direct)["events"] == []
    opened.plan = lambda *_: None
    land(on_s3, shop, LATER)
    in_folder = replace(store_settings, lake_uri=str(tmp_path / "lake"))
    land(in_folder, shop)
    assert end_state(direct) == end_state(in_folder)
