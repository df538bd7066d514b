"""The serving benchmark runs as its page says, on a shop small enough for a test, and server and peer agree."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent.parent


@pytest.mark.slow
@pytest.mark.parametrize("online", ["sqlite", "redis"])
def test_the_benchmark_compares_the_server_with_a_peer_that_gives_the_same_slates(online: str):
    options = ["--users", "200", "--items", "1000", "--seconds", "1", "--online", online]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.serving", *options], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert "The same slate from both for 100 %" in done.stdout
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["throughput_ratio"] > 1
    assert {"throughput_rps", "p50_ms", "p99_ms", "p99_ratio", "memory_ratio", "ready_ratio"} <= set(figures)
