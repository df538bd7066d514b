"""Answers computed again after later releases: `python -m benchmarks.replay --answers 1000 --releases 3`.

A made shop is published, the real server answers, single questions and batches with filters, exploration and events in
between; other releases follow, each is answered from, and the first comes back. Then all the first answers are replayed
from the log and compared with the bytes that the caller got. The last line is JSON; exit code 1 when any byte differs.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.serving import free_ports
from benchmarks.serving_shop import ShopSize, fill_online_store, item_id, pseudonym_of, publish_shop
from benchmarks.soak import start_server
from feature_repo.slate_rules import read_rules_file
from flows.answers import batches_of, land_answers
from flows.object_store import start_object_store, stop_object_store
from flows.releases import publish, read_manifest, read_pointer, roll_back
from flows.replays import replay
from flows.settings import Settings, load_settings
from flows.slate_rules import publish_rules

SIZE = ShopSize(users=2_000, items=3_000)
CALLERS = 6
_MADE_BY_PUBLISHING = ("release_id", "created_at", "files")


def main() -> None:
    """Answer, release, roll back, replay, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=1_000)
    parser.add_argument("--releases", type=int, default=3, help="published after the answers")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, ExitStack() as stack:
        settings = _shop(Path(home), stack)
        first = _champion(settings)
        server = start_server(settings, stack)
        answers = _ask_all(settings, arguments.answers)
        print(f"{len(answers):,} answers from {first}", flush=True)
        for number in range(1, arguments.releases + 1):
            _release(settings, number)
            _wait_for(settings, _champion(settings))
            print(f"{len(_ask_all(settings, CALLERS)):,} answers from {_champion(settings)}", flush=True)
        for _ in range(arguments.releases):
            roll_back(settings)
        _wait_for(settings, first)
        server.terminate()
        server.wait(30)
        started, landed = time.perf_counter(), land_answers(settings)
        batches = batches_of(settings, list(answers))
        logged = {row["request_id"]: row["answer"] for batch in batches for row in batch}
        assert {name: logged[name] for name in answers} == answers, "the log has other bytes than the callers got"
        results = replay(settings, batches)
        seconds = time.perf_counter() - started
        sys.exit(_report(answers, results, landed, arguments.releases, seconds))


def _shop(home: Path, stack: ExitStack) -> Settings:
    store_port, serving_port = free_ports(2)
    ports = {"AISLE_OBJECT_STORE_PORT": str(store_port), "AISLE_SERVING_PORT": str(serving_port)}
    settings = load_settings({"AISLE_HOME": str(home), **ports})
    start_object_store(settings)
    stack.callback(stop_object_store, settings)
    publish_shop(settings, SIZE, home / "shop-0")
    fill_online_store(settings, SIZE)
    publish_rules(settings, read_rules_file(f'[[pin]]\nitem = "{item_id(SIZE.items // 2)}"\nplace = 4\n'))
    return settings


def _champion(settings: Settings) -> str:
    pointer = read_pointer(settings)
    assert pointer is not None
    return pointer.release_id


def _release(settings: Settings, number: int) -> None:
    """Publish a release with other popularity, other neighbours and other text vectors."""
    folder = settings.home / f"shop-{number}"
    shutil.copytree(settings.home / "shop-0", folder)
    generator = np.random.default_rng(number)
    for name in ("popularity.npy", "vectors.npy"):
        rows = np.load(folder / name)
        np.save(folder / name, np.concatenate([rows[:1], generator.permutation(rows[1:])]))
    champion = read_pointer(settings)
    manifest = read_manifest(settings, _champion(settings))
    publish(settings, folder, {name: manifest[name] for name in manifest if name not in _MADE_BY_PUBLISHING}, champion)


def _ask_all(settings: Settings, count: int) -> dict[str, str]:
    """Ask `count` questions, several at once; return the text of each answer by its request id."""
    with (
        httpx.Client(base_url=settings.services.serving_url, timeout=30, trust_env=False) as client,
        ThreadPoolExecutor(CALLERS) as pool,
    ):
        return dict(pool.map(lambda number: _ask(client, number), range(count)))


def _ask(client: httpx.Client, number: int) -> tuple[str, str]:
    draw = random.Random(number)
    user, item = pseudonym_of(draw.randrange(SIZE.users)), item_id(draw.randrange(1, SIZE.items))
    if number % 10 == 0:
        event = {"pseudonym": user, "item_id": item, "event_type": "add_to_cart"}
        client.post("/v1/events", json={"events": [event]}).raise_for_status()
    more: dict[str, Any] = draw.choice(
        [
            {},
            {"k": 25, "language": "zh"},
            {"filters": {"category": "Dairy"}, "exclude": [item]},
            {"diversity": 0.4, "limits": {"per_brand": 1}},
            {"exploration": {"share": 0.5}},
            {"context": {"session_items": [item]}},
            {"pseudonym": None},
        ]
    )
    answer = client.post("/v1/recommendations", json={"pseudonym": user, **more}).raise_for_status()
    return answer.headers["x-request-id"], answer.text


def _wait_for(settings: Settings, release_id: str) -> None:
    def served() -> str:
        body = {"pseudonym": pseudonym_of(0), "k": 1}
        url = f"{settings.services.serving_url}/v1/recommendations"
        return str(httpx.post(url, json=body, trust_env=False, timeout=30).json()["release_id"])

    _until(lambda: served() == release_id)


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError("The server did not take up the release within a minute.")
        time.sleep(0.2)


def _report(answers: dict[str, str], results: dict[str, Any], landed: int, releases: int, seconds: float) -> int:
    differing = sum(not results[name]["same"] for name in answers)
    made_by = sorted({cause for name in answers for cause in results[name]["made_by"]})
    print(f"{len(answers):,} answers replayed in {seconds:.1f} s, {differing} differ; made by {', '.join(made_by)}")
    figures = {"answers": len(answers), "releases_since": releases, "landed": landed, "differing": differing}
    print(json.dumps(figures))
    return int(differing > 0)


if __name__ == "__main__":
    main()
