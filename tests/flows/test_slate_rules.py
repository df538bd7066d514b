"""`aisle rules`: published under versions in the object store, a bad file changes nothing."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from feature_repo.slate_rules import Rule, publication
from flows.commands import rules as rules_command
from flows.object_client import WriteConflict, object_client
from flows.object_store import ensure_bucket
from flows.releases import publish
from flows.settings import Settings
from flows.slate_rules import publish_rules, read_rules
from tests.flows.test_releases import manifest_of, release_folder


@pytest.fixture
def settings(object_store: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A bucket of its own, and the command's settings pointed at it."""
    bucket = f"rules-{abs(hash(tmp_path)) % 10**9}"
    own = replace(object_store, object_store=replace(object_store.object_store, bucket=bucket, embedded=False))
    ensure_bucket(own)
    monkeypatch.setattr(rules_command, "load_settings", lambda: own)
    return own


def test_each_publishing_is_a_version_that_stays_readable(settings: Settings):
    first, second = (Rule("block", item="a"),), (Rule("block", item="b"),)
    assert read_rules(settings) is None
    assert publish_rules(settings, first)[0].version == 1
    assert publish_rules(settings, second)[0].version == 2
    again, changed = publish_rules(settings, second)
    assert (again.version, changed) == (2, False)
    back, changed = publish_rules(settings, first)
    assert (back.version, changed) == (3, True)
    assert [read_rules(settings, version).rules for version in (1, 2, 3)] == [first, second, first]
    assert read_rules(settings, 4) is None


def test_of_two_who_publish_at_once_one_wins_and_the_other_is_told(settings: Settings):
    def publish(number: int) -> int | None:
        with suppress(WriteConflict):
            return publish_rules(settings, (Rule("block", item=str(number)),))[0].version
        return None

    publish_rules(settings, ())
    with ThreadPoolExecutor(4) as pool:
        versions = sorted(filter(None, pool.map(publish, range(4))))
    assert versions == list(range(2, 2 + len(versions)))
    assert versions
    assert read_rules(settings).version == versions[-1]


def test_a_bad_file_is_refused_in_words_and_the_rules_stay(settings: Settings, tmp_path: Path):
    runner, path = CliRunner(), tmp_path / "rules.toml"
    path.write_text('[[pin]]\nitem = "a"\nplace = 1\nnote = "spring"')
    done = runner.invoke(rules_command.command, ["publish", str(path)])
    assert (done.exit_code, "Rules 1-" in done.output) == (0, True), done.output
    assert "already" in runner.invoke(rules_command.command, ["publish", str(path)]).output
    path.write_text('[[pin]]\nitem = "a"\nplace = 900')
    for name in ("check", "publish"):
        refused = runner.invoke(rules_command.command, [name, str(path)])
        assert refused.exit_code == 1
        assert "the rules in use stay" in refused.output
        assert "from 1 to 200" in refused.output
    shown = runner.invoke(rules_command.command, ["show"])
    assert "spring" in shown.output
    assert read_rules(settings).version == 1
    assert "no version 7" in runner.invoke(rules_command.command, ["show", "--version", "7"]).output


def test_a_file_that_begins_with_a_byte_order_mark_is_read(settings: Settings, tmp_path: Path):
    path = tmp_path / "rules.toml"
    path.write_bytes(b'\xef\xbb\xbf[[block]]\nitem = "a"\n')
    done = CliRunner().invoke(rules_command.command, ["publish", str(path)])
    assert (done.exit_code, "1 rules" in done.output) == (0, True), done.output


def test_a_rule_holds_by_the_clock_that_serving_goes_by(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rule = Rule(
        "block", item="a", starts_at=datetime(2018, 1, 1, tzinfo=UTC), ends_at=datetime(2018, 1, 15, tzinfo=UTC)
    )
    publish_rules(settings, (rule,))
    assert " over " in _shown(), "without a champion the clock on the wall goes"
    publish(settings, release_folder(tmp_path, "a"), manifest_of(as_of="2018-01-02T00:00:00+00:00"), None)
    assert " holds " in _shown()
    assert "Now is 2018-01-02 00:00 UTC, the champion's moment" in _shown()
    monkeypatch.setattr(rules_command, "load_settings", lambda: replace(settings, clock="wall"))
    assert " over " in _shown()


def _shown() -> str:
    done = CliRunner().invoke(rules_command.command, ["show"], env={"COLUMNS": "160"})
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("lost", ["deleted", "an old copy"])
def test_a_version_is_never_given_twice_whatever_becomes_of_the_rules_in_use(settings: Settings, lost: str):
    store, bucket = object_client(settings), settings.object_store.bucket
    published = [publish_rules(settings, (Rule("block", item=item),))[0] for item in "abc"]
    if lost == "deleted":
        store.delete_object(Bucket=bucket, Key="rules.json")
    else:
        store.put_object(Bucket=bucket, Key="rules.json", Body=publication(1, published[0].rules, "then")[1])
    following, changed = publish_rules(settings, (Rule("block", item="d"),))
    assert (following.version, changed) == (4, True)
    for each in (*published, following):
        assert read_rules(settings, each.version).rules_id == each.rules_id, "what an answer cites stays readable"


def test_blanks_in_a_category_hide_no_item_from_the_check_as_they_hide_none_from_serving():
    rules = tuple(Rule("block", category=path) for path in ("Grocery > Dairy", "grocery  >  DAIRY", "Grocery > Da"))
    items = [{"item_id": "a", "category": " GROCERY  > Dairy > Milk", "brand": None}]
    with Console(width=200) as console, console.capture() as printed:
        rules_command.print_rules(console, rules, rules_command.Moment(datetime(2018, 1, 1, tzinfo=UTC)), items)
    rows = [line for line in printed.get().splitlines() if "never shown" in line]
    assert [line.split()[-1] for line in rows] == ["1", "1", "none"]
