"""Events on disk: whole lines with the contract's columns, all or none, each once."""

import json
import os
from pathlib import Path

import pytest

from feature_repo.schema import EVENTS
from serving.spool import SpoolFull, append_events, open_spool


def row(event_id: str) -> dict[str, object]:
    return {**dict.fromkeys(EVENTS.column_names), "event_id": event_id}


def lines(folder: Path) -> list[str]:
    return [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


def test_a_row_is_one_line_with_exactly_the_contracts_columns(tmp_path: Path):
    spool = open_spool(tmp_path / "spool")
    assert append_events(spool, [row("a"), row("b")]) == [True, True]
    found = [json.loads(line) for line in lines(tmp_path / "spool")]
    assert [tuple(each) for each in found] == [EVENTS.column_names] * 2
    with pytest.raises(ValueError, match="expected the columns"):
        append_events(spool, [{"event_id": "c"}])


def test_a_repeated_id_is_written_once_also_after_a_restart(tmp_path: Path):
    assert append_events(open_spool(tmp_path), [row("a"), row("a")]) == [True, False]
    assert append_events(open_spool(tmp_path), [row("a"), row("b")]) == [False, True]
    assert len(lines(tmp_path)) == 2


def test_half_a_line_of_a_dead_process_does_not_spoil_the_next(tmp_path: Path):
    append_events(open_spool(tmp_path), [row("a")])
    (path,) = tmp_path.glob("*.jsonl")
    with path.open("a") as file:
        file.write('{"event_id": "half')
    append_events(open_spool(tmp_path), [row("b")])
    assert [json.loads(line)["event_id"] for line in lines(tmp_path)] == ["a", "b"]


def test_a_disk_that_refuses_takes_none_and_the_same_events_can_come_again(tmp_path: Path):
    (tmp_path / "spool").write_text("a file where the folder should be")
    spool = open_spool(tmp_path / "spool")
    with pytest.raises(SpoolFull, match="cannot write"):
        append_events(spool, [row("a")])
    (tmp_path / "spool").unlink()
    assert append_events(spool, [row("a")]) == [True]


def test_a_disk_that_fills_up_leaves_only_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spool = open_spool(tmp_path)
    append_events(spool, [row("a")])
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:10]) if len(data) > 200 else _full())
    with pytest.raises(SpoolFull):
        append_events(spool, [row("b")])
    monkeypatch.undo()
    append_events(spool, [row("c")])
    assert [json.loads(line)["event_id"] for line in lines(tmp_path)] == ["a", "c"]


def _full() -> int:
    raise OSError(28, "No space left on device")


def test_the_probes_events_go_to_files_of_their_own(tmp_path: Path):
    spool = open_spool(tmp_path)
    append_events(spool, [{**row("a"), "source": "probe"}])
    append_events(spool, [{**row("b"), "source": "live"}])
    assert {path.name.partition("-")[0]: path.read_text().count("\n") for path in tmp_path.iterdir()} == {
        "probe": 1,
        "events": 1,
    }
