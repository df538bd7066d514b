"""From an event to a changed answer, under load: `python -m benchmarks.freshness --events 500 --rate 200`.

The real server with a made shop; `--rate` questions a second come from another process while the probe's shoppers post
events one after the other. Prints p50 and p99 against the goal of 200 ms; the last line is JSON.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.serving import free_ports
from benchmarks.serving_shop import ShopSize, fill_online_store, publish_shop
from benchmarks.soak import start_server
from flows.freshness import GOAL_MS, probe
from flows.object_store import start_object_store, stop_object_store
from flows.settings import load_settings


def main() -> None:
    """Build the shop, load the server, probe it, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=300, help="events that are timed")
    parser.add_argument("--rate", type=float, default=100.0, help="questions a second beside the probe")
    parser.add_argument("--users", type=int, default=2_000, help="users of the generated shop")
    parser.add_argument("--items", type=int, default=2_000, help="items of the generated shop")
    arguments = parser.parse_args()
    size = ShopSize(arguments.users, arguments.items)
    with tempfile.TemporaryDirectory() as home, ExitStack() as stack:
        store_port, serving_port = free_ports(2)
        environ = {"AISLE_OBJECT_STORE_PORT": str(store_port), "AISLE_SERVING_PORT": str(serving_port)}
        settings = load_settings({"AISLE_HOME": home, **environ})
        start_object_store(settings)
        stack.callback(stop_object_store, settings)
        publish_shop(settings, size, Path(home) / "shop")
        fill_online_store(settings, size)
        server = start_server(settings, stack)
        seconds = 20 + arguments.events * 0.2
        load = [sys.executable, "-m", "benchmarks.serving_load", str(serving_port), str(seconds)]
        loading = subprocess.Popen([*load, str(arguments.rate), str(size.users), "7"], stdout=subprocess.DEVNULL)
        stack.callback(loading.kill)
        time.sleep(2)
        run = probe(settings, arguments.events, first=0)
        under_load = loading.poll() is None
        loading.kill()  # before the server: a load whose connections close says so with a traceback
        server.terminate()
        server.wait(30)
    print(
        f"{run.events} events, {arguments.rate:g} questions/s beside: p50 {run.p50_ms:.1f} ms, p99 {run.p99_ms:.1f} ms"
    )
    figures = {
        "events": run.events,
        "unseen": run.unseen,
        "p50_ms": round(run.p50_ms, 1),
        "p99_ms": round(run.p99_ms, 1),
    }
    print(json.dumps({**figures, "p99_ratio_to_goal": round(run.p99_ms / GOAL_MS, 3), "load_lasted": under_load}))


if __name__ == "__main__":
    main()
