"""The list of artifacts in the Prefect UI says of each page what it found, before anybody opens it."""

import ast
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client

from flows.alerts import report_alert
from flows.run_cost import cost_table
from training.gate import GateReport
from training.gate_report import headline

FLOWS = Path(__file__).parents[2] / "flows"


@pytest.mark.parametrize("file", sorted(FLOWS.rglob("*.py")), ids=lambda file: str(file.relative_to(FLOWS)))
def test_every_artifact_has_a_line_that_describes_it(file: Path):
    calls = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    made = [
        call for call in calls if ast.unparse(call.func).endswith("_artifact") and "create" in ast.unparse(call.func)
    ]
    bare = [call.lineno for call in made if "description" not in {keyword.arg for keyword in call.keywords}]
    assert not bare


def test_the_line_of_a_gate_says_why_it_refused():
    report = GateReport("blend", False, ("slice tail items: fell", "more"), (), None)
    assert headline(report) == "blend refused: slice tail items: fell"


def test_the_line_of_an_alert_says_what_is_told_and_calls_no_verdict_a_breach(prefect_harness: None):
    report_alert("x20261130-0123abcd", "the challenger is better.")
    with get_client(sync_client=True) as client:
        lines = [each.description for each in client.read_artifacts() if each.key == "alerts"]
    assert lines == ["x20261130-0123abcd: the challenger is better."]


def test_the_cost_of_a_training_is_told_stage_after_stage_with_separators():
    stage = {"cpu_seconds": 1.0, "bytes_read": 10**9, "bytes_written": 0, "peak_memory_bytes": 3 * 10**9}
    rows = cost_table({"stages": dict.fromkeys(("gate", "inputs", "tournament"), stage), **stage}).splitlines()[2:]
    assert [row.split(" | ")[0].strip("| ") for row in rows] == ["inputs", "tournament", "gate", "whole run"]
    assert rows[0] == "| inputs | 1.0 | 1,000.0 | 0.0 | 3,000 |"
