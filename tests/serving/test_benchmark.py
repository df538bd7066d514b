"""The serving benchmark runs as its page says, on a shop small enough for a test, and server and peer agree."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.machine_pace import share_above

PROJECT = Path(__file__).parent.parent.parent


def test_the_slow_share_of_a_machine_is_the_time_of_what_took_much_longer_than_usual():
    assert share_above([1.0] * 90 + [5.0] * 2, 2.5) == pytest.approx(0.1)
    assert share_above([1.0, 1.1, 2.4], 2.5) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("online", "indexed_from"), [("sqlite", 1_000), ("redis", 100_000)])
def test_the_benchmark_compares_the_server_with_a_peer_that_gives_the_same_slates(online: str, indexed_from: int):
    options = ["--users", "200", "--items", "6000", "--seconds", "1", "--online", online]
    options += ["--indexed-from", str(indexed_from)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.serving", *options], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert "The same slate from both for 100 %" in done.stdout
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["throughput_ratio"] > 0  # how much is for the benchmark to say, on a quiet machine
    assert (figures["index"] is None) == (indexed_from > 6_000)
    assert {
        "throughput_rps",
        "p50_ms",
        "p99_ms",
        "p99_ratio",
        "p99_ratio_same_rate",
        "memory_ratio",
        "ready_ratio",
    } <= set(figures)


@pytest.mark.slow
def test_the_soak_loses_no_event_and_answers_no_shopper_with_an_error_while_the_store_dies():
    options = ["--requests", "300", "--minutes", "0.7", "--swap-seconds", "8", "--store-seconds", "15", "--rate", "10"]
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.soak", *options]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=400)
    figures = json.loads(done.stdout.splitlines()[-1])
    assert (figures["answers_5xx"], figures["unanswered"], figures["events_lost"]) == (0, 0, 0), done.stdout
    assert min(figures["swaps"], figures["store_deaths"], figures["events_acknowledged"]) > 0
    assert figures["generated"] >= 300  # memory says something only of a longer run
