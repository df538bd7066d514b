"""What is typed wrong, or lies in the way, is told in a line that says what was expected, before anything is done."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli import main
from flows.settings import Settings, load_settings
from flows.watch_policy import policy_path
from serving.settings import SettingsError as ServingSettingsError
from serving.settings import load_settings as load_serving_settings
from tests.flows.tiny_shop import land, write_shop


@pytest.fixture
def told(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Give the last line that a refused command prints; a flow that starts and a traceback fail the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AISLE_HOME", str(settings.home))
    monkeypatch.setattr("prefect.flows.Flow.__call__", lambda *_, **__: pytest.fail("a flow has started"))

    def run(*words: str) -> str:
        result = CliRunner().invoke(main, words)
        assert isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code in (1, 2), result.output
        return result.output.splitlines()[-1]

    return run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("quarantine", "list", "--limit", "0"), "'--limit': 0 is not in the range"),
        (("source", "check", "shop.toml", "--rows", "0"), "'--rows': 0 is not in the range"),
        (("source", "check", "shop.toml", "--show", "-1"), "'--show': -1 is not in the range"),
        (("release", "gc", "--days", "-1"), "'--days': -1.0 is not in the range"),
        (("release", "gc", "--days", "nan"), "--days: expected a number of days"),
        (("key", "new", " ", "--scope", "read"), "NAME: expected who the key is for"),
        (("key", "new", "web", "--scope", "read", "--per-minute", "nan"), "--per-minute: expected a number"),
        (("replay", "--newest", "2", "q_1"), "or say --newest, not both"),
    ],
)
def test_a_number_or_name_that_cannot_be_meant_is_refused(told: Callable[..., str], words: tuple[str, ...], said: str):
    assert said in told(*words)


def test_a_span_that_ends_before_it_begins_is_not_ingested(told: Callable[..., str], tmp_path: Path):
    mapping = str(write_shop(tmp_path))
    said = told("ingest", "--source", mapping, "--since", "2026-03-01", "--until", "2026-02-01")
    assert "--since must lie before --until" in said


def test_a_draft_and_a_report_are_written_only_where_a_folder_is(told: Callable[..., str], tmp_path: Path):
    (tmp_path / "sales.csv").write_text("customer,sku\n1,2\n")
    for place in ("nowhere/shop.toml", str(tmp_path)):
        said = told("source", "new", "sales.csv", "--to", place, "--force")
        assert said == f"Error: --to: expected the path of a file in a folder that is there, came {place}."
    assert "--html: expected a file in a folder" in told("experiment", "report", "--html", "nowhere/report.html")


def test_the_newest_answers_of_none_are_told(told: Callable[..., str]):
    assert told("replay", "--newest", "3") == "Error: No answer has been logged yet. Ask for one: aisle recommend USER"


def test_features_are_not_built_ahead_of_the_clock(told: Callable[..., str], settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path))
    assert "expected a moment that has come, came 9999-12-31 00:00 UTC" in told("features", "--as-of", "9999-12-31")


def test_a_shop_without_events_is_answered_with_those_that_have_some(
    told: Callable[..., str], settings: Settings, tmp_path: Path
):
    mapping = str(write_shop(tmp_path))
    land(settings, Path(mapping))
    for words in (("features",), ("train",)):
        assert "Shops that have some: corner_shop." in told(*words, "--source", mapping)


def test_a_lake_that_had_no_events_then_is_not_called_empty(
    told: Callable[..., str], settings: Settings, tmp_path: Path
):
    land(settings, write_shop(tmp_path))
    assert told("features", "--known-at", "2020-01-01") == (
        "Error: The lake had no events at 2020-01-01 00:00 UTC. Name a later moment."
    )


def test_rows_of_an_unknown_shop_are_not_discarded(told: Callable[..., str]):
    said = told("quarantine", "discard", "--source", "corner_shopp", "--reason", "torn")
    assert "nothing is known of a shop 'corner_shopp'" in said


def test_a_home_that_is_a_file_is_told(told: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("AISLE_HOME", str(tmp_path / "taken"))
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    assert told("status").startswith("Error: AISLE_HOME: expected a folder that this user may write in, came ")


def test_a_key_file_that_is_empty_is_no_key(told: Callable[..., str], settings: Settings):
    path = settings.home / "keys" / "pseudonym_key"
    path.write_text("\n")
    assert told("status").startswith("Error: AISLE_PSEUDONYM_KEY: expected a secret, in the variable or in ")
    with pytest.raises(ServingSettingsError, match="AISLE_PSEUDONYM_KEY: expected a key here or in"):
        load_serving_settings({"AISLE_HOME": str(settings.home)})
    path.unlink()
    path.mkdir()
    assert "is a directory" in told("status")


def test_a_port_of_other_digits_is_refused():
    with pytest.raises(ValueError, match="AISLE_SERVING_PORT: expected a port"):
        load_settings({"AISLE_SERVING_PORT": "²"})


def test_a_file_of_keys_that_cannot_be_read_is_told(told: Callable[..., str], settings: Settings):
    settings.api_keys_path.write_text('{"keys": [')
    for words in (("list",), ("new", "web", "--scope", "read"), ("revoke", "1")):
        assert "expected a file of API keys as `aisle key new` writes it" in told("key", *words)


def test_a_folder_in_place_of_the_policy_is_told(told: Callable[..., str], settings: Settings):
    policy_path(settings).mkdir(parents=True)
    assert "watch.toml: the file: expected a file of TOML in UTF-8" in told("freshness")


def test_a_day_that_is_not_over_is_not_judged_for_drift(told: Callable[..., str], settings: Settings, tmp_path: Path):
    land(settings, write_shop(tmp_path))
    said = told("drift", "check", "--day", "2200-01-01")
    assert said.startswith("Error: --day: expected a day that is over, came 2200-01-01; today is ")
