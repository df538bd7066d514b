"""The list of artifacts in the Prefect UI says of each page what it found, before anybody opens it."""

import ast
from pathlib import Path

import pytest

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
