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
from feature_repo.schema import ANSWERS
from flows import lake
from flows.feature_tables import snapshot_path
from flows.live_events import probe_shoppers, pushed_events
from flows.online_rows import read_ledger
from flows.releases import fetch_release
from flows.served_features import Comparison, compare_row, logged_row
from flows.settings import Settings


def compare_served(settings: Settings, most: int) -> Comparison:
    """Compare the newest `most` answers since the last load of the online store with what they should have read.

    Raises LookupError when nothing has been loaded yet.
    """
    loads = [entry for entry in read_ledger(settings).values() if entry.view in _VIEWS]
    if {entry.view for entry in loads} != set(_VIEWS):
        raise LookupError("The online store has not been loaded yet, so there is nothing to compare: aisle materialise")
    loaded_at = max(datetime.fromisoformat(entry.finished_at) for entry in loads)
    answers = _answers(settings, loaded_at, most)
    users = sorted({answer["user_id"] for answer in answers})
    offline: dict[str, dict[str, Any]] = defaultdict(dict)
    for entry in loads:
        path = snapshot_path(settings, entry.view, datetime.fromisoformat(entry.as_of))
        for row in pq.read_table(path, filters=[("user_id", "in", users)]).to_pylist() if users else ():
            offline[row["user_id"]].update(row)
    return _compare(settings, answers, offline, pushed_events(settings, users))


_VIEWS = (USER_HISTORY.name, USER_HABITS.name)


def _compare(
    settings: Settings,
    answers: Sequence[Mapping[str, Any]],
    offline: Mapping[str, Mapping[str, Any]],
    pushed: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Comparison:
    comparison, known = Comparison(), dict[str, set[str]]()
    nothing: dict[str, list[Any]] = {name: [] for view in (USER_HISTORY, USER_HABITS) for name in view.feature_names}
    for answer in answers:
        served = logged_row(answer)
        if served is None:
            comparison.unjudged += 1
            continue
        items = known.setdefault(answer["release_id"], _item_ids(settings, answer["release_id"]))
        events = [e for e in pushed[answer["user_id"]] if e["known_at"] <= answer["as_of"] and e["item_id"] in items]
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
