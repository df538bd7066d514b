"""A trained home (AISLE_HOME after `aisle demo`), opened for measuring: its release in use, its users, their rows."""

import random
from functools import partial
from pathlib import Path

import pyarrow.compute as pc

from flows.lake import arrow_dataset
from flows.settings import load_settings
from serving.online_features import open_online_features
from serving.release import Release, load_release
from serving.release_store import POINTER, parse_pointer
from serving.settings import OnlineStoreSettings


def open_release(home: Path) -> Release:
    """Load the release that serving checked and used last in this home, with its online store.

    Raises SystemExit without one.
    """
    cache = home / "serving" / "releases"
    if not (cache / POINTER).exists():
        raise SystemExit(f"{home} has no release that was served. Make one: AISLE_HOME={home} aisle demo")
    pointer = parse_pointer((cache / POINTER).read_bytes())
    store = OnlineStoreSettings("sqlite", str(home / "feast" / "online.db"), "")
    return load_release(cache / pointer.release_id, partial(open_online_features, store))


def users_of(home: Path, seed: int) -> list[str]:
    """Return the pseudonyms of all users in the lake, in an order drawn from a seed."""
    events = arrow_dataset(load_settings({"AISLE_HOME": str(home)}), "events")
    users: list[str] = sorted(pc.unique(events.to_table(columns=["user_id"])["user_id"]).to_pylist())
    random.Random(seed).shuffle(users)
    return users
