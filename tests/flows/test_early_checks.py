"""A mistake at the terminal is told in one line, before anything starts."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli import main
from flows.settings import Settings
from flows.watch_policy import policy_path
from tests.flows.tiny_shop import land, write_shop


@pytest.fixture
def refusal(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Give the command's one line of error; a flow that starts fails the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AISLE_HOME", str(settings.home))
    monkeypatch.setattr("prefect.flows.Flow.__call__", lambda *_, **__: pytest.fail("a flow has started"))

    def run(*words: str) -> str:
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 1, result.output
        assert result.output.startswith("Error: ")
        assert len(result.output.splitlines()) == 1
        return result.output

    return run


@pytest.mark.parametrize(
    "words",
    [
        ("ingest", "--source"),
        ("pipeline", "--source"),
        ("demo", "--source"),
        ("backfill", "--from", "2026-01-01", "--to", "2026-02-01", "--source"),
        ("quarantine", "replay", "--source"),
        ("contract", "check", "--path", "next", "--source"),
        ("source", "check"),
        ("source",),
    ],
)
def test_a_shop_that_is_not_there_is_named_with_the_one_that_was_meant(refusal: Callable[..., str], words: tuple[str]):
    assert refusal(*words, "rees47").endswith("there is no such file. Did you mean 'rees46'?\n")
    assert "my_shop.toml: expected one of complete_journey, live, rees46, or the path" in refusal(
        *words, "my_shop.toml"
    )


def test_an_export_that_is_not_there_starts_no_flow(refusal: Callable[..., str]):
    assert "no file matches" in refusal("ingest", "--source", "rees46", "--path", "2019-Oct.csv.gz")


def test_a_span_that_ends_before_it_begins_starts_no_flow(refusal: Callable[..., str]):
    said = refusal("backfill", "--source", "complete_journey", "--from", "2026-02-01", "--to", "2026-01-01")
    assert "--from must lie before --to" in said


@pytest.mark.parametrize("words", [("drift", "check"), ("drift", "check", "--source", "my_shop"), ("train",)])
def test_a_lake_without_events_starts_no_flow(refusal: Callable[..., str], words: tuple[str]):
    assert "The lake has no events yet" in refusal(*words)


@pytest.mark.parametrize("words", [("drift", "check"), ("freshness",)])
def test_a_policy_with_a_typing_error_starts_no_flow(
    refusal: Callable[..., str], settings: Settings, words: tuple[str]
):
    settings.home.mkdir(parents=True, exist_ok=True)
    policy_path(settings).write_text("[drift]\nweek = 8\n")
    assert "watch.toml: drift.week: expected one of" in refusal(*words)


@pytest.mark.parametrize(
    ("name", "came", "expected"),
    [
        ("AISLE_ONLINE_STORE", "reddis", "sqlite, redis or postgres"),
        ("AISLE_SERVING_PORT", "abc", "a port from 1 to 65535"),
        ("AISLE_VOCABULARY_LIMIT", "many", "a whole number from 1 on"),
    ],
)
def test_a_variable_that_cannot_be_read_is_told_by_every_command(
    refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch, name: str, came: str, expected: str
):
    monkeypatch.setenv(name, came)
    for words in (("status",), ("serve",), ("release", "list"), ("ingest", "--source", "rees46")):
        assert refusal(*words) == (
            f"Error: {name}: expected {expected}, came {came!r}. Correct or unset it and run again "
            "(docs/operations.md, Environment).\n"
        )


def test_a_signing_key_that_cannot_be_read_is_not_printed(refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AISLE_RELEASE_SIGNING_KEY", "a secret")
    said = refusal("status")
    assert said.startswith("Error: AISLE_RELEASE_SIGNING_KEY: expected 32 bytes as 64 hex characters")
    assert "a secret" not in said


def test_a_port_that_is_taken_is_told_before_serving_starts(
    refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("AISLE_SERVING_PORT", str(port))
        assert refusal("serve") == (
            f"Error: serving needs port {port}, but another program listens there. Stop it (aisle status), "
            "or set AISLE_SERVING_PORT.\n"
        )
    monkeypatch.setenv("AISLE_SERVING_HOST", "192.0.2.1")
    assert "serving cannot listen at 192.0.2.1" in refusal("serve")


def test_a_command_that_is_none_is_answered_with_those_that_are_near():
    result = CliRunner().invoke(main, ["releases"])
    assert result.exit_code == 2
    assert "No such command 'releases'. Did you mean 'release'?" in result.output
    assert "All of them: aisle --help" in CliRunner().invoke(main, ["xyz"]).output


def test_a_server_that_is_not_there_is_told_with_what_starts_it(refusal: Callable[..., str], settings: Settings):
    url = settings.services.serving_url
    assert refusal("recommend", "1228", "--url", url) == (
        f"Error: no serving API answers at {url} (connection refused). Start it: aisle up, or aisle serve; "
        "or name another address with --url.\n"
    )
    assert "--url: expected an address like" in refusal("recommend", "1228", "--url", "127.0.0.1:8000")


@pytest.mark.parametrize(("option", "came"), [("--state", "bogus"), ("--table", "event")])
def test_the_quarantine_lists_only_states_and_tables_that_there_are(option: str, came: str):
    result = CliRunner().invoke(main, ["quarantine", "list", option, came])
    assert result.exit_code == 2
    assert "is not one of" in result.output


def test_a_rule_that_held_nothing_is_told(refusal: Callable[..., str]):
    for words in (("list",), ("discard", "--reason", "x")):
        assert refusal("quarantine", *words, "--rule", "typd") == (
            "Error: --rule: no row was held by 'typd'. Nothing is held.\n"
        )


def test_a_shop_of_which_nothing_is_known_is_no_shop_of_which_nothing_is_held(
    refusal: Callable[..., str], settings: Settings, tmp_path: Path
):
    assert refusal("quarantine", "--source", "corner_shopp") == (
        "Error: --source: nothing is known of a shop 'corner_shopp'. No shop has landed yet.\n"
    )
    land(settings, write_shop(tmp_path))
    assert "Shops that have landed: corner_shop. Did you mean 'corner_shop'?" in (
        refusal("quarantine", "--source", "corner_shopp")
    )
    there = CliRunner().invoke(main, ["quarantine", "--source", "corner_shop"])
    assert "Nothing is held: every row that came has landed." in there.output


def test_a_discard_says_what_lacks(refusal: Callable[..., str]):
    assert refusal("quarantine", "discard", "--reason", "x") == (
        "Error: say which rows: --source, --table, --rule, --window or --row.\n"
    )
    assert "--reason: expected why" in refusal("quarantine", "discard", "--reason", " ", "--rule", "typed")
