"""A stored release judged from what was shown already: logged slates with drawn places, and clicks in them."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds

from feature_repo.schema import ANSWERS, INTERACTION_TYPES
from flows import lake
from flows.live_events import probe_shoppers, pushed_events
from flows.object_client import ObjectMissing
from flows.releases import fetch_release, read_pointer
from flows.replays import rules_of
from flows.settings import Settings, environment_for_children
from training.gate_checks import GateCheck
from training.off_policy import LoggedPlaces, OffPolicyEstimate, choices, estimate

#: Hours after a slate in which a deed upon its items counts as its click.
WINDOW_HOURS = 24.0
#: The newest slates of the log that are looked at, and users below which the gate does not refuse by them.
MOST_SLATES = 20_000
LEAST_USERS = 10
EXPECTED = "not surely fewer clicks a place than the champion, by its logged slates with drawn places"
_NONE = (
    "No slate of the champion with drawn places is in the lake. Ask for some: "
    '{"exploration": {"share": 0.1}} in requests, and let them land (answers-hourly).'
)


class NothingDrawn(LookupError):
    """No logged slate has places that were drawn, so another order cannot be judged from the log."""


def estimate_release(settings: Settings, release_id: str, window_hours: float = WINDOW_HOURS) -> OffPolicyEstimate:
    """Estimate the clicks a place of a stored release from the champion's logged slates that explored.

    Raises NothingDrawn where there are none, ObjectMissing where a release or rules are gone.
    """
    return _estimate(settings, fetch_release(settings, release_id, settings.home / "releases"), window_hours)


def off_policy_check(settings: Settings, folder: Path, manifest: Mapping[str, Any]) -> GateCheck:
    """Judge a release that is not stored yet (its files in `folder`) by the champion's logged slates that explored.

    It fails where its choices surely got fewer clicks than the champion's. Where nothing was drawn, or what a logged
    slate needs is gone, nothing is judged and the check says so.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent) as whole:
        for path in folder.iterdir():
            (Path(whole) / path.name).symlink_to(path.absolute())
        named = json.dumps({**manifest, "release_id": "challenger", "created_at": "", "files": {}})
        (Path(whole) / "manifest.json").write_text(named, encoding="utf-8")
        try:
            found = _estimate(settings, Path(whole), WINDOW_HOURS)
        except (NothingDrawn, ObjectMissing) as nothing:
            return GateCheck("logged slates", True, EXPECTED, f"not judged: {nothing}")
    worse = found.high < 0 and found.effective_users >= LEAST_USERS
    return GateCheck("logged slates", not worse, EXPECTED, found.sentence())


def _estimate(settings: Settings, challenger: Path, window_hours: float) -> OffPolicyEstimate:
    champion = read_pointer(settings)
    rows = _drawn_rows(settings, None if champion is None else champion.release_id)
    if champion is None or not rows:
        raise NothingDrawn(_NONE)
    champions = fetch_release(settings, champion.release_id, settings.home / "releases")
    ours, theirs = (_plain_items(settings, folder, rows) for folder in (champions, challenger))
    events = pushed_events(settings, sorted({row["user_id"] for row in rows}))
    numbers = {user: number for number, user in enumerate(sorted({row["user_id"] for row in rows}))}
    found = list[tuple[int | float | bool, ...]]()
    for row in rows:
        slate = json.loads(row["answer"])["slate"]
        until = row["answered_at"] + timedelta(hours=window_hours)
        clicked = {
            event["item_id"]
            for event in events.get(row["user_id"], ())
            if row["answered_at"] <= event["known_at"] <= until and event["event_type"] in INTERACTION_TYPES
        }
        places = _places([item["item_id"] for item in slate], ours[row["request_id"]], theirs[row["request_id"]])
        for item, place in zip(slate, places, strict=True):
            if item["propensity"] is not None and "pin" not in item["sources"]:  # a pin is nobody's choice
                found.append((numbers[row["user_id"]], item["propensity"], item["item_id"] in clicked, *place))
    if not found:
        raise NothingDrawn(_NONE)
    return estimate(LoggedPlaces(*(np.array(column) for column in zip(*found, strict=True))))


def _places(shown: list[str], ours: list[str], theirs: list[str]) -> list[tuple[bool, bool, bool, bool]]:
    """Say of each shown place whether champion and challenger chose it, chose alike, and could have been drawn.

    Drawn are the champion's items that come next after its own slate.
    """
    pool = set(ours[len(shown) :])
    both = zip(shown, choices(shown, ours), choices(shown, theirs), strict=True)
    return [(item == mine, item == other, mine == other, other in pool) for item, mine, other in both]


def _drawn_rows(settings: Settings, champion: str | None) -> list[dict[str, Any]]:
    wanted = (ds.field("release_id") == champion) & ds.field("user_id").is_valid()
    table = lake.arrow_dataset(settings, ANSWERS.name).to_table(filter=wanted)
    probes = set(probe_shoppers(settings))
    rows = [row for row in table.to_pylist() if row["user_id"] not in probes]
    drawn = [row for row in rows if json.loads(row["answer"])["exploration_seed"] is not None]
    return sorted(drawn, key=lambda row: (row["answered_at"], row["request_id"]))[-MOST_SLATES:]


def _plain_items(settings: Settings, folder: Path, rows: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """Return by request id what a release would have shown, by serving's own code in a process of its own."""
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
            f"The release in {folder} could not rank the log: {done.stderr.decode(errors='replace')[-2000:]}"
        )
    return {each["request_id"]: each["items"] for each in map(json.loads, done.stdout.splitlines())}
