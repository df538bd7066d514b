"""Events that shoppers pushed to serving: those in the lake, and those on their way there."""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from feature_repo.schema import pseudonym
from flows import lake
from flows.answers import SOURCE
from flows.freshness import PROBE_PREFIX, SHOPPERS
from flows.settings import Settings


def probe_shoppers(settings: Settings) -> list[str]:
    """Return the pseudonyms of the shoppers of our own."""
    return [pseudonym(f"{PROBE_PREFIX}{number}", settings.pseudonym_key) for number in range(SHOPPERS)]


def pushed_events(settings: Settings, users: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Return live events of these users by user, oldest known first."""
    wanted = (ds.field("source") == SOURCE) & ds.field("user_id").isin(pa.array(users, pa.string()))
    events = {
        row["event_id"]: row for row in lake.arrow_dataset(settings, "events").to_table(filter=wanted).to_pylist()
    }
    named = set(users)
    for path in sorted(settings.spool_path.glob("events-*.jsonl")):
        for line in path.read_bytes().splitlines():
            try:
                row = json.loads(line)
                times = {name: datetime.fromisoformat(row[name]).astimezone(UTC) for name in ("event_time", "known_at")}
            except (ValueError, KeyError, TypeError):
                continue  # half a line that was never acknowledged
            if row["user_id"] in named:
                events.setdefault(row["event_id"], {**row, **times})
    by_user: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(events.values(), key=lambda row: row["known_at"]):
        by_user[row["user_id"]].append(row)
    return by_user
