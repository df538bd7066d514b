"""What the demo prints is readable in a pipe, and says what it must: reasons, verdicts, progress, memory."""

import io
import json
import logging
import subprocess
import sys
import time

import pytest
from rich.console import Console

from flows.demo_report import METRICS, gate_lines, models_table, slate_table, times_table, verdicts_table
from flows.memory import MemoryWatch, resident_bytes
from flows.run_progress import progress_on

BOUGHT = "You bought this 5 times."
ANSWER = {
    "source": "personalised",
    "as_of": "2018-01-02T00:00:00Z",
    "slate": [
        {
            "rank": 1,
            "title": "Bananas",
            "price": 0.99,
            "currency": "USD",
            "reason": {"text": "You bought this 5 times."},
        },
        {"rank": 2, "title": "Rye bread", "price": None, "currency": None, "reason": {"text": "Popular this week."}},
    ],
}
GATE = {
    "challenger": "blend",
    "passed": False,
    "reasons": ["latency: expected ≤ 20 ms, came 31 ms"],
    "checks": [{"passed": True}, {"passed": False}],
    "comparison": {
        "incumbent": "repeat purchase",
        "users": 1234,
        "ndcg10": 0.21,
        "incumbent_ndcg10": 0.2,
        "difference": 0.01,
        "low": 0.004,
        "confidence": 0.95,
    },
}


def _printed(*parts: object) -> str:
    page = io.StringIO()
    console = Console(file=page, width=130, highlight=False)
    console.print(*parts)
    return page.getvalue()


def test_a_slate_shows_title_price_and_reason_of_every_item():
    text = _printed(slate_table("a heavy user", ANSWER))
    words = ("a heavy user", "personalised", "Bananas", "0.99 USD", BOUGHT, "Rye bread", "Popular")
    for word in words:
        assert word in text


def test_a_refusal_says_who_against_whom_and_why():
    text = " ".join(_printed(gate_lines(GATE)).split())
    for word in ("blend refused", "1 of 2", "0.2100 against 0.2000 of repeat purchase", "1,234 users", "came 31 ms"):
        assert word in text


def test_verdicts_name_lake_tables_first_and_count_features():
    text = _printed(verdicts_table([("user_history", "passed: 9 rows"), ("events", "passed: 7 rows")]))
    assert text.index("events") < text.index("user_history")
    assert "3" in text[text.index("user_history") :].splitlines()[0]


def test_times_are_added_up():
    assert "3.5" in _printed(times_table([("ingest", 1.5), ("train", 2.0)], 2**30))


@pytest.mark.slow
def test_piped_output_has_no_control_characters():
    script = "from flows.demo_report import report_console, slate_table; import json, sys;"
    script += "report_console().print(slate_table('x', json.loads(sys.argv[1])))"
    command = [sys.executable, "-c", script, json.dumps(ANSWER)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert BOUGHT in text
    assert not [letter for letter in text if ord(letter) < 32 and letter != "\n"]


def test_flow_logs_become_lines_of_progress_without_prefects_own_chat():
    page = io.StringIO()
    logger = logging.getLogger("prefect.flow_runs")
    with progress_on(Console(file=page, width=100)):
        logger.info("events: window 3 of 15 landed", extra={"flow_name": "ingest"})
        logger.info("Beginning flow run 'x' for flow 'ingest'", extra={"flow_name": "ingest"})
    logger.info("after the demo")
    assert "ingest" in page.getvalue()
    assert "window 3 of 15" in page.getvalue()
    assert page.getvalue().count("\n") == 1


def test_memory_of_other_processes_is_counted():
    hog = subprocess.Popen(
        [sys.executable, "-c", "block = bytearray(200_000_000); print(1, flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    hog.stdout.readline()
    with MemoryWatch(lambda: [hog.pid]) as watch:
        time.sleep(1.2)
    assert watch.peak_bytes > 200_000_000
    assert resident_bytes([2**22 + 1]) > 0
    hog.communicate(b"\n")


def test_a_shop_in_which_nobody_could_be_judged_has_a_table_all_the_same():
    output = io.StringIO()
    nothing = dict.fromkeys((key for key, _ in METRICS), None)
    Console(file=output, width=160).print(models_table({"popularity": nothing}, "popularity"))
    assert "popularity (challenger)" in output.getvalue()
    assert "–" in output.getvalue()
