"""Load the newest feature rows into the online store, check them there, and keep a ledger of what was loaded.

Rows go in by the store's own door, not by Feast's `materialize`: that marks views as MATERIALIZING in the registry, and
a server that reads it then answers every request with an error; and a conversion value by value took most of the time.
The store's guard never lets an older row replace a newer one. A load's rows are stamped with the arrival of the newest
live event that they hold, pushed rows with the arrival of theirs: what came since the spool was sealed stays online.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from feast import FeatureStore
from psycopg.conninfo import conninfo_to_dict

from feature_repo.encoded_rows import encode_rows
from feature_repo.features import EVENT_TIMESTAMP, FEATURE_VIEWS, USER_VIEWS, FeatureView
from feature_repo.online_format import entity_key
from feature_repo.online_store import EPOCH
from feature_repo.store import row_door
from flows.feature_store import feature_store
from flows.feature_tables import Snapshot, read_snapshot, snapshot_moments
from flows.online_keys import empty_rows, keys_online, note_keys
from flows.settings import Settings

#: Rows written in one transaction; what a kill can cost.
ROWS_PER_WRITE = 500
#: Rows asked back in one read (SQLite takes at most 32,766 values in one statement).
ROWS_PER_READ = 1000
#: Rows asked back before a ledger entry is believed: a store may have been emptied behind our back.
ROWS_OF_A_PROBE = 20


@dataclass(frozen=True)
class LoadedView:
    """One entry of the ledger: a view's rows of one moment are in the online store, and were read back.

    `landed`: when the newest live event in them arrived (empty: none); `stamped`: the rows' event timestamp.
    """

    view: str
    as_of: str
    rows: int
    content: str
    online_store: str
    finished_at: str
    landed: str = ""
    stamped: str = ""

    @property
    def stamp(self) -> datetime:
        """The rows' event timestamp; before there were stamps it was the moment."""
        return datetime.fromisoformat(self.stamped or self.as_of)


class OnlineRowsMissing(RuntimeError):
    """Rows that were written could not be read back from the online store."""


def newest_complete_moment(settings: Settings) -> datetime:
    """Return the newest moment at which every user view has a snapshot. Raises LookupError when there is none."""
    complete = set.intersection(*(set(snapshot_moments(settings, view.name)) for view in USER_VIEWS))
    if not complete:
        raise LookupError("No feature tables to load. Build them first: aisle features")
    return max(complete)


def load_view(
    settings: Settings, view: str, as_of: datetime, progress: Callable[[int], None] | None = None
) -> LoadedView:
    """Make the online store hold a view's rows of a moment (or what was pushed since); return the ledger's entry.

    Rows of earlier loads whose key is gone are emptied. What the ledger has, and a probe finds, is not written again.
    Raises OnlineRowsMissing when rows do not read back.
    """
    snapshot = read_snapshot(settings, view, as_of)
    if snapshot is None:
        raise LookupError(f"{view}: no feature table as of {as_of.isoformat()}. Build it first: aisle features")
    store, rows, declared = feature_store(settings), pq.read_table(snapshot.path), FEATURE_VIEWS[view]
    keys, name = rows[declared.key].to_pylist(), _online_store_name(settings)
    known = loaded_views(settings).get(view)
    same = known and known.content == snapshot.content and known.as_of == as_of.isoformat()
    if known and same and not missing_keys(store, declared, keys[:: _probe_step(keys)], known.stamp):
        return known
    stamp, before = _stamp(snapshot, known), keys_online(settings, view, name)
    note_keys(settings, view, name, before.union(keys))
    _write(store, declared, rows, stamp, progress)
    gone = sorted(before.difference(keys))
    _write(store, declared, empty_rows(declared, gone, rows.schema, datetime.now(UTC)), stamp)
    _verify(store, declared, [*keys, *gone], stamp)
    note_keys(settings, view, name, keys)
    return _record(settings, snapshot, stamp)


def _stamp(snapshot: Snapshot, known: LoadedView | None) -> datetime:
    """Return the event timestamp of a load's rows: what arrived later than the newest live event in them is newer.

    Never before an earlier load's, whose rows give way (of equal stamps the later computed row wins). The first load of
    a store, which may hold rows of another life, is of its moment at least.
    """
    return max(snapshot.landed or EPOCH, known.stamp if known else snapshot.as_of)


def _write(
    store: FeatureStore,
    view: FeatureView,
    rows: pa.Table,
    stamp: datetime,
    progress: Callable[[int], None] | None = None,
) -> None:
    door, own = row_door(store), store.get_feature_view(view.name)
    column = rows.schema.get_field_index(EVENT_TIMESTAMP)
    moments = pa.array([stamp] * len(rows), rows.schema.field(column).type)
    stamped = rows.set_column(column, rows.schema.field(column), moments)
    for start in range(0, len(rows), ROWS_PER_WRITE):
        part = stamped.slice(start, ROWS_PER_WRITE)
        door.write_rows(store.config, own, encode_rows(view, part))
        if progress:
            progress(len(part))


def missing_keys(store: FeatureStore, view: FeatureView, keys: Sequence[str], stamp: datetime) -> list[str]:
    """Return those keys whose online row is absent or older than `stamp`."""
    feature = next((f.name for f in view.features if not f.nullable), view.feature_names[0])
    missing = []
    for part in _parts(keys):
        answer = store.get_online_features(
            features=[f"{view.name}:{feature}"], entity_rows=[{view.key: key} for key in part]
        ).to_dict(include_event_timestamps=True)
        times = dict(zip(answer[view.key], answer[f"{feature}__ts"], strict=True))
        missing += [key for key in part if times[key] < int(stamp.timestamp())]
    return missing


def read_ledger(settings: Settings) -> dict[str, LoadedView]:
    """Return what is loaded, by view and online store."""
    path = _ledger_path(settings)
    if not path.exists():
        return {}
    entries = json.loads(path.read_text(encoding="utf-8"))
    return {key: LoadedView(**entry) for key, entry in entries.items()}


def loaded_views(settings: Settings) -> dict[str, LoadedView]:
    """Return what is loaded into the online store in use, by view."""
    ledger = read_ledger(settings)
    entries = {view.name: ledger.get(_ledger_key(settings, view.name)) for view in USER_VIEWS}
    return {view: entry for view, entry in entries.items() if entry}


def loaded_moment(settings: Settings) -> datetime | None:
    """Return the moment that every user view is online as of: an answer is as old as its oldest part; None before."""
    moments = [datetime.fromisoformat(entry.as_of).astimezone(UTC) for entry in loaded_views(settings).values()]
    return min(moments) if len(moments) == len(USER_VIEWS) else None


def _verify(store: FeatureStore, view: FeatureView, keys: Sequence[str], stamp: datetime) -> None:
    """Ask the stamp of each row, and Feast for a probe of them."""
    door, own = row_door(store), store.get_feature_view(view.name)
    missing, oldest = list[str](), int(stamp.timestamp()) * 1_000_000
    for part in _parts(keys):
        times = door.event_times(store.config, own, [entity_key(view.key, key) for key in part])
        missing += [key for key, time in zip(part, times, strict=True) if time is None or time < oldest]
    missing += missing_keys(store, view, keys[:: _probe_step(keys)], stamp)
    if missing:
        raise OnlineRowsMissing(
            f"Online view {view.name}: wrote {len(keys)} rows of {stamp.isoformat()}, but {len(set(missing))} do "
            f"not read back, {missing[0]} among them. Is someone emptying the online store? Run the same command again."
        )


def _probe_step(keys: Sequence[str]) -> int:
    return max(len(keys) // ROWS_OF_A_PROBE, 1)


def _parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), ROWS_PER_READ):
        yield keys[start : start + ROWS_PER_READ]


def _online_store_name(settings: Settings) -> str:
    place = settings.feature_store
    if place.online_type == "postgres":
        return f"postgres {_postgres_name(place.postgres_url)}"
    if place.online_type == "redis":
        return f"redis {_redis_name(place.redis_url)}"
    return f"{place.online_type} {place.online_path}"


def _postgres_name(url: str) -> str:
    """Return servers and database of an address in any form that libpq takes, without user and password."""
    parts = conninfo_to_dict(url)
    place = parts.get("host") or parts.get("hostaddr") or parts.get("service")
    return f"{place}:{parts.get('port') or 5432}/{parts.get('dbname') or ''}".rstrip("/")


def _redis_name(address: str) -> str:
    """Return an address (host:port,db=0,password=…) without user and password."""
    return ",".join(part for part in address.split(",") if part.partition("=")[0] not in ("username", "password"))


def _ledger_key(settings: Settings, view: str) -> str:
    return f"{view} in {_online_store_name(settings)}"


def _ledger_path(settings: Settings) -> Path:
    return Path(settings.feature_store.registry_path).with_name("materialised.json")


def _record(settings: Settings, snapshot: Snapshot, stamp: datetime) -> LoadedView:
    entry = LoadedView(
        snapshot.view,
        snapshot.as_of.isoformat(),
        snapshot.rows,
        snapshot.content,
        _online_store_name(settings),
        finished_at=datetime.now(UTC).isoformat(),
        landed=snapshot.landed.isoformat() if snapshot.landed else "",
        stamped=stamp.isoformat(),
    )
    # Former versions named a store by its whole address.
    clean = {key: known for key, known in read_ledger(settings).items() if "password=" not in key}
    entries = {key: asdict(known) for key, known in clean.items()}
    entries[_ledger_key(settings, snapshot.view)] = asdict(entry)
    path = _ledger_path(settings)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps(entries, indent=1), encoding="utf-8")
    fresh.replace(path)
    return entry
