"""The nightly comparison's reads: logged answers, the snapshot that was loaded, and the events pushed since."""

import gzip
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq

from feature_repo.features import USER_HABITS, USER_HISTORY
from feature_repo.online_store import EPOCH
from feature_repo.schema import ANSWERS
from flows import lake
from flows.feature_tables import snapshot_path
from flows.live_events import probe_shoppers, pushed_events
from flows.online_rows import loaded_views
from flows.releases import fetch_release
from flows.served_features import Comparison, compare_row, logged_row
from flows.settings import Settings


def compare_served(settings: Settings, most: int) -> Comparison:
    """Compare the newest `most` answers since the last load of the online store with what they should have read.

    Raises LookupError when nothing has been loaded yet.
    """
    loads = [entry for view, entry in loaded_views(settings).items() if view in _VIEWS]
    if len(loads) != len(_VIEWS):
        raise LookupError("The online store has not been loaded yet, so there is nothing to compare: aisle materialise")
    loaded_at = max(datetime.fromisoformat(entry.finished_at) for entry in loads)
    answers = _answers(settings, loaded_at, most)
    users = sorted({answer["user_id"] for answer in answers})
    offline: dict[str, dict[str, Any]] = defaultdict(dict)
    for entry in loads:
        path = snapshot_path(settings, entry.view, datetime.fromisoformat(entry.as_of))
        for row in pq.read_table(path, filters=[("user_id", "in", users)]).to_pylist() if users else ():
            offline[row["user_id"]].update(row)
    landed = min(datetime.fromisoformat(entry.landed) if entry.landed else EPOCH for entry in loads)
    pushed = {
        user: [event for event in events if event["known_at"] > landed]
        for user, events in pushed_events(settings, users).items()
    }
    return _compare(settings, answers, offline, pushed, loaded_at)


_VIEWS = (USER_HISTORY.name, USER_HABITS.name)


def _compare(
    settings: Settings,
    answers: Sequence[Mapping[str, Any]],
    offline: Mapping[str, Mapping[str, Any]],
    pushed: Mapping[str, Sequence[Mapping[str, Any]]],
    loaded_at: datetime,
) -> Comparison:
    """Compare answers with rows of the snapshot and the events `pushed` since those that are in it.

    What arrived before the load was done, and is not in its snapshot, kept the user's row of before: it is not judged.
    """
    comparison, known = Comparison(), dict[str, set[str]]()
    nothing: dict[str, list[Any]] = {name: [] for view in (USER_HISTORY, USER_HABITS) for name in view.feature_names}
    for answer in answers:
        served = logged_row(answer)
        if answer["release_id"] not in known:
            known[answer["release_id"]] = _item_ids(settings, answer["release_id"])
        items = known[answer["release_id"]]
        events = [
            event
            for event in pushed.get(answer["user_id"], ())
            if event["known_at"] <= answer["answered_at"] and event["item_id"] in items
        ]
        if served is None or any(event["known_at"] <= loaded_at for event in events):
            comparison.unjudged += 1
            continue
        compare_row(comparison, served, {**nothing, **offline.get(answer["user_id"], {})}, events)
    return comparison


def _answers(settings: Settings, since: datetime, most: int) -> list[dict[str, Any]]:
    probes = probe_shoppers(settings)
    wanted = (ds.field("answered_at") > since) & ds.field("user_id").is_valid() & ~ds.field("user_id").isin(probes)
    table = lake.arrow_dataset(settings, ANSWERS.name).to_table(filter=wanted)
    rows: list[dict[str, Any]] = table.sort_by([("answered_at", "descending")]).slice(0, most).to_pylist()
    return rows


def _item_ids(settings: Settings, release_id: str) -> set[str]:
    folder = fetch_release(settings, release_id, settings.home / "releases")
    with gzip.open(folder / "items.jsonl.gz", "rt", encoding="utf-8") as lines:
        return {json.loads(line)["item_id"] for line in lines}
