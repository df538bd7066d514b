"""New rows, and a training that begins with what the champion knew."""

import csv
import json
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL

from feature_repo.features import KNOWLEDGE_NAME
from flows.releases import read_manifest, read_pointer
from flows.settings import Settings, environment_for_children
from tests.planted_shop import START, USER_A, WEEKS, item_id
from tests.story.conftest import Shop, own_copy

pytestmark = pytest.mark.slow
AISLE = str(Path(sys.executable).parent / "aisle")


@pytest.fixture
def trained(shop: Shop, tmp_path: Path) -> Settings:
    """The planted shop after its first training, in a home and a bucket of its own."""
    settings = own_copy(shop, tmp_path / "home")
    _type(settings, "train", "--source", "planted")
    return settings


def _type(settings: Settings, *words: str) -> None:
    environment = environment_for_children(settings) | {"PREFECT_API_URL": str(PREFECT_API_URL.value())}
    done = subprocess.run([AISLE, *words], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


def _with_a_later_day(mapping: Path, folder: Path) -> Path:
    """The same export with a day more, on which A buys a book."""
    shutil.copytree(mapping.parent, folder)
    with (folder / "events.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    moment = START + timedelta(weeks=WEEKS, hours=12)
    row = last | {"time": f"{moment:%Y-%m-%d %H:%M:%S}", "user": USER_A, "item": item_id("Books", 0)}
    with (folder / "events.csv").open("a", newline="") as file:
        csv.DictWriter(file, fieldnames=list(row)).writerow(row | {"action": "purchase", "price": "9.50"})
    return folder / mapping.name


def test_a_training_on_new_rows_begins_with_the_champion_and_one_that_is_to_be_cold_does_not(
    shop: Shop, trained: Settings, tmp_path: Path
) -> None:
    champion = read_pointer(trained)
    assert champion is not None
    first = read_manifest(trained, champion.release_id)
    assert KNOWLEDGE_NAME in first["files"]
    assert first["transformer"]["start"] == "cold"
    _type(trained, "ingest", "--source", str(_with_a_later_day(shop.mapping, tmp_path / "export")))
    _type(trained, "train", "--source", "planted")
    _type(trained, "train", "--source", "planted", "--cold")
    outcomes = [json.loads(path.read_text()) for path in (trained.home / "training_runs").glob("*/outcome.json")]
    begun = sorted((each["transformer"]["start"], each["start"]) for each in outcomes if "start" in each)
    assert (champion.release_id, champion.release_id) in begun
    assert [each for each, _ in begun].count("cold") == 2
