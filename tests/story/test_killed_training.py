"""`aisle train` killed with SIGKILL in the middle of its work, then typed again."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL

from flows.releases import list_releases, read_pointer
from flows.settings import Settings, environment_for_children
from tests.story.conftest import Shop, own_copy

pytestmark = pytest.mark.slow
COMMAND = [str(Path(sys.executable).parent / "aisle"), "train", "--source", "planted"]
#: A file of the run's folder that says how far it has come.
MOMENTS = {
    "while a model trains": "checkpoints/transformer-*.pt",
    "when the models are saved": "models.pt",
    "while the release is put together": "release/*",
}


@pytest.fixture
def untrained(shop: Shop, tmp_path: Path) -> Settings:
    """The planted shop up to its features, with nothing trained and an empty bucket."""
    return own_copy(shop, tmp_path / "home", "training_runs")


def test_a_killed_training_that_is_typed_again_ends_in_the_very_same_release(shop: Shop, untrained: Settings) -> None:
    environment = environment_for_children(untrained) | {"PREFECT_API_URL": str(PREFECT_API_URL.value())}
    for moment, pattern in MOMENTS.items():
        process = subprocess.Popen(COMMAND, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _wait_for_file(untrained.home / "training_runs", f"*/{pattern}", process, moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert read_pointer(untrained) is None, moment
    subprocess.run(COMMAND, env=environment, check=True, capture_output=True)
    pointer = read_pointer(untrained)
    assert pointer is not None
    assert pointer.release_id == shop.release_id
    assert [each.release_id for each in list_releases(untrained)] == [shop.release_id]


def _wait_for_file(folder: Path, pattern: str, process: subprocess.Popen[bytes], moment: str) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the command ended before it could be killed {moment}"
        if any(folder.glob(pattern)):
            return
        time.sleep(0.02)
    raise AssertionError(f"no {pattern} within 240 s")
