"""A command that meets no Prefect server, or is stopped, says so in a line."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.cli import main
from flows.settings import Settings
from tests.conftest import free_ports
from tests.flows.tiny_shop import write_shop

SPAN = ("--from", "2026-10-01", "--to", "2026-11-01")


@pytest.fixture
def nobody(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a Prefect server that is not there."""
    address = f"http://127.0.0.1:{free_ports(1)[0]}/api"
    monkeypatch.setenv("AISLE_HOME", str(settings.home))
    with temporary_settings({PREFECT_API_URL: address}):
        yield address


@pytest.mark.parametrize("words", [("ingest",), ("backfill", *SPAN), ("backfill", *SPAN, "--later"), ("deploy",)])
def test_a_prefect_server_that_is_not_there_is_told_with_its_address(
    nobody: str, words: tuple[str, ...], tmp_path: Path
):
    of_a_shop = () if words == ("deploy",) else ("--source", write_shop(tmp_path))
    result = CliRunner().invoke(main, [*words, *of_a_shop])
    assert isinstance(result.exception, SystemExit), result.exception
    assert f"Error: Expected a Prefect server at PREFECT_API_URL, {nobody}, but" in result.output.splitlines()[-1]


@pytest.fixture
def own_sigint() -> Iterator[None]:
    """Python's own way with Ctrl-C: a library that an earlier test used may have left another."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)


def test_a_command_that_is_stopped_by_ctrl_c_says_so_and_ends_as_a_shell_expects(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, own_sigint: None
):
    monkeypatch.setenv("AISLE_HOME", str(settings.home))
    monkeypatch.setattr("flows.commands.status.service_states", lambda _: signal.raise_signal(signal.SIGINT))
    result = CliRunner().invoke(main, ["status"])
    assert result.exit_code == 130
    assert result.output.startswith("Error: stopped by Ctrl-C.")
    assert len(result.output.splitlines()) == 1


@pytest.mark.parametrize("typed", [["recommend", "--help"], ["recommend"], ["key", "--nope"]])
def test_a_command_that_is_typed_wrong_is_told_so_without_loading_prefect(typed: list[str]):
    code = "import sys; from flows.cli import main\ntry: main(sys.argv[1:])\nfinally: print('prefect' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code, *typed], capture_output=True, text=True, timeout=60)
    assert told.stdout.splitlines()[-1] == "False"
