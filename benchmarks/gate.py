"""`python -m benchmarks.gate`: twenty spoilt models and five honest better ones before the gate, on a planted shop."""

import argparse
import re
import tempfile
import time
from pathlib import Path

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.gate_sabotage import honest_entries, judge_entry, open_bench, sabotaged_entries
from benchmarks.gate_shop import plant_shop
from flows.release_signatures import signature_of
from flows.settings import public_key_of
from serving.release import ReleaseRejected
from serving.release_signature import check_signature

OURS, THEIRS = "01" * 32, "02" * 32


def main() -> None:
    """Print a line a model, and how many of the spoilt were refused for the right reason."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.set_num_threads(1)
    console, table = Console(), Table("model", "verdict", "the reason that names its fault", box=box.SIMPLE_HEAD)
    refused = right = passed = 0
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        bench = open_bench(plant_shop(), Path(folder) / "models")
        for name, expected, entry in sabotaged_entries(bench):
            report = judge_entry(bench, entry)
            named = [reason for reason in report.reasons if re.search(expected, reason)]
            refused, right = refused + (not report.passed), right + bool(named)
            table.add_row(name, "passed" if report.passed else "refused", named[0] if named else "none")
        reason = foreign_signature(Path(folder))
        refused, right = refused + bool(reason), right + ("of the key" in reason)
        table.add_row("signature of another key", "refused" if reason else "passed", reason)
        for name, entry in honest_entries(bench):
            report = judge_entry(bench, entry)
            passed += report.passed
            table.add_row(f"honest: {name}", "passed" if report.passed else "refused", "; ".join(report.reasons))
    console.print(table)
    console.print(f"Refused: {refused} of 20 spoilt models, {right} of 20 for the right reason.")
    console.print(f"Passed: {passed} of 5 honest better models.  ({time.process_time() - began:.0f} CPU-s)")


def foreign_signature(folder: Path) -> str:
    """Hand serving a manifest signed by another key; return why it refuses it, '' if it does not."""
    release = folder / "release"
    release.mkdir()
    (release / "manifest.json").write_bytes(b"{}")
    (release / "manifest.sig").write_bytes(signature_of(b"{}", THEIRS))
    try:
        check_signature(release, (public_key_of(OURS),))
    except ReleaseRejected as error:
        return str(error)
    return ""


if __name__ == "__main__":
    main()
