"""A stored release judged from what was shown already: logged slates with drawn places, and clicks in them."""

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds

from feature_repo.schema import ANSWERS, INTERACTION_TYPES
from flows import lake
from flows.live_events import probe_shoppers, pushed_events
from flows.releases import fetch_release, read_pointer
from flows.replays import rules_of
from flows.settings import Settings, environment_for_children
from training.off_policy import LoggedPlaces, OffPolicyEstimate, estimate, matches


class NothingDrawn(LookupError):
    """No logged slate has places that were drawn, so another order cannot be judged from the log."""


def estimate_release(settings: Settings, release_id: str, window_hours: float = 24.0) -> OffPolicyEstimate:
    """Estimate the clicks a place of a stored release from the champion's logged slates that explored.

    Raises NothingDrawn where there are none, ObjectMissing where a release or rules are gone.
    """
    champion = read_pointer(settings)
    rows = _drawn_rows(settings, None if champion is None else champion.release_id)
    if champion is None or not rows:
        raise NothingDrawn(
            "No slate of the champion with drawn places is in the lake. Ask for some: "
            '{"exploration": {"share": 0.1}} in requests, and let them land (answers-hourly).'
        )
    ours = _plain_items(settings, champion.release_id, rows)
    theirs = _plain_items(settings, release_id, rows)
    events = pushed_events(settings, sorted({row["user_id"] for row in rows}))
    numbers = {user: number for number, user in enumerate(sorted({row["user_id"] for row in rows}))}
    found = list[tuple[int, float, bool, bool, bool]]()
    for row in rows:
        slate = json.loads(row["answer"])["slate"]
        shown, until = [item["item_id"] for item in slate], row["as_of"] + timedelta(hours=window_hours)
        clicked = {
            event["item_id"]
            for event in events.get(row["user_id"], ())
            if row["as_of"] <= event["known_at"] <= until and event["event_type"] in INTERACTION_TYPES
        }
        both = zip(matches(shown, ours[row["request_id"]]), matches(shown, theirs[row["request_id"]]), strict=True)
        for item, (mine, other) in zip(slate, both, strict=True):
            if item["propensity"] is not None:
                click = item["item_id"] in clicked
                found.append((numbers[row["user_id"]], item["propensity"], click, mine, other))
    columns = [np.array(column) for column in zip(*found, strict=True)]
    return estimate(LoggedPlaces(*columns))


def _drawn_rows(settings: Settings, champion: str | None) -> list[dict[str, Any]]:
    wanted = (ds.field("release_id") == champion) & ds.field("user_id").is_valid()
    table = lake.arrow_dataset(settings, ANSWERS.name).to_table(filter=wanted)
    probes = set(probe_shoppers(settings))
    rows = [row for row in table.to_pylist() if row["user_id"] not in probes]
    return [row for row in rows if json.loads(row["answer"])["exploration_seed"] is not None]


def _plain_items(settings: Settings, release_id: str, rows: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """Return by request id what a release would have shown, by serving's own code in a process of its own."""
    folder: Path = fetch_release(settings, release_id, settings.home / "releases")
    lines, before = list[str](), object()
    for row in sorted(rows, key=lambda row: row["rules_id"] or ""):
        if row["rules_id"] != before:
            before = row["rules_id"]
            lines.append(json.dumps({"rules": rules_of(settings, before)}))
        lines.append(json.dumps({**row, "as_of": row["as_of"].isoformat(), "answered_at": ""}))
    done = subprocess.run(
        [sys.executable, "-m", "serving.plain_slates", str(folder)],
        input="\n".join(lines).encode() + b"\n",
        capture_output=True,
        env=environment_for_children(settings),
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"Release {release_id} could not rank the log: {done.stderr.decode(errors='replace')[-2000:]}"
        )
    return {each["request_id"]: each["items"] for each in map(json.loads, done.stdout.splitlines())}
