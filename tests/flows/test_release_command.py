"""`aisle release`: what a person sees of releases, and how they roll back."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.commands.release import command
from flows.object_client import object_client
from flows.releases import publish, read_pointer
from flows.settings import Settings, environment_for_children, public_key_of
from tests.flows.test_releases import manifest_of, release_folder


@pytest.fixture
def store(store_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The test's store, found by the command in the environment."""
    for name, value in environment_for_children(store_settings).items():
        if name.startswith("AISLE_"):
            monkeypatch.setenv(name, value)
    return store_settings


def aisle_release(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(command, list(arguments), env={"COLUMNS": "160"})
    assert result.exit_code == code, result.output
    return result.output


def test_without_a_release_it_says_how_to_make_one(store: Settings) -> None:
    assert "aisle train" in aisle_release("list")
    assert "aisle train" in aisle_release("show", code=1)


def test_a_person_lists_shows_and_rolls_back(store: Settings, tmp_path: Path) -> None:
    metrics = {"test": {"popularity": {"ndcg10": 0.1234}}}
    first = publish(store, release_folder(tmp_path, "a"), manifest_of(metrics=metrics), None).release_id
    champion = read_pointer(store)
    second = publish(store, release_folder(tmp_path, "b"), manifest_of(metrics=metrics), champion).release_id
    half = object_client(store)
    half.put_object(Bucket=store.object_store.bucket, Key="releases/r-half/model.onnx", Body=b"half")
    listed = aisle_release("list")
    lines = {name: next(line for line in listed.splitlines() if name in line) for name in (first, second, "r-half")}
    assert "champion" in lines[second]
    assert "champion" not in lines[first]
    assert "0.1234" in lines[first]
    assert "half published" in lines["r-half"]
    assert json.loads(aisle_release("show"))["release_id"] == second
    assert "is champion now" in aisle_release("promote", first)
    assert "is champion already" in aisle_release("promote", first)
    assert read_pointer(store).release_id == first


def test_an_unknown_release_is_one_line_and_no_traceback(store: Settings) -> None:
    output = aisle_release("promote", "r-unknown", code=1)
    assert "r-unknown" in output
    assert "as `aisle release list` shows it" in output
    assert "Traceback" not in output


def test_a_person_verifies_rolls_back_and_cleans_up(store: Settings, tmp_path: Path) -> None:
    names = []
    for content in "abc":
        published = publish(store, release_folder(tmp_path, content), manifest_of(), read_pointer(store))
        names.append(published.release_id)
    assert f"{names[2]} is whole: 7 files" in aisle_release("verify")
    assert f"{names[1]} is champion again" in aisle_release("rollback")
    assert aisle_release("key").strip() == public_key_of(store.signing_key)
    aisle_release("keep", names[2], "--why", "it won once")
    assert "stays" in aisle_release("gc", "--days", "0")
    aisle_release("keep", names[2], "--no-longer")
    dry = aisle_release("gc", "--days", "0")
    assert "would go" in dry
    assert "aisle release gc --apply" in dry
    assert f"{names[2]} is whole" in aisle_release("verify", names[2])
    assert "removed" in aisle_release("gc", "--days", "0", "--apply")
    assert names[2] not in aisle_release("list")
    object_client(store).delete_object(Bucket=store.object_store.bucket, Key=f"releases/{names[1]}/manifest.sig")
    assert "not signed" in aisle_release("verify", code=1)
    assert "is signed by the key" in aisle_release("sign", names[1])
    assert "is whole" in aisle_release("verify")


def test_a_release_that_nobody_keeps_cannot_be_let_go_and_those_kept_are_named(store: Settings, tmp_path: Path) -> None:
    assert "none is kept by hand" in aisle_release("keep", "r-nope", "--no-longer", code=1)
    kept = publish(store, release_folder(tmp_path, "a"), manifest_of(), None).release_id
    aisle_release("keep", kept)
    told = aisle_release("keep", "r-nope", "--no-longer", code=1)
    assert "r-nope is not kept by hand" in told
    assert kept in told
    assert "no longer kept" in aisle_release("keep", kept, "--no-longer")
    assert "not kept by hand" in aisle_release("keep", kept, "--no-longer", code=1)


def test_a_list_that_is_no_terminal_has_each_moment_whole(store: Settings, tmp_path: Path) -> None:
    publish(store, release_folder(tmp_path, "a"), manifest_of(), None)
    done = CliRunner().invoke(command, ["list"], env={"COLUMNS": "80"})
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d", done.output), done.output
