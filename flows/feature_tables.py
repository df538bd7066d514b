"""Feature tables: one parquet file a view and moment, computed, judged, then put in place whole.

A file's footer says what it was made of (the events before its moment, the code): what did not change is not built
again. A file appears by rename, after its view's rows have passed validation.
"""

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from expectations.validate import References, Verdict, check_features, raise_if_refused
from feature_repo.features import FEATURE_VIEWS
from feature_repo.prepared_events import fingerprint
from feature_repo.transforms import TRANSFORMS, code_hash
from flows.feature_source import LakeState, lake_state, newest_arrival, open_events
from flows.file_lock import file_lock
from flows.known_lake import lake_at_versions
from flows.settings import Settings

logger = logging.getLogger(__name__)

#: Called with each verdict and its trend (snapshot, rows, held) before the verdict can stop the run.
Publish = Callable[[Settings, Verdict, Sequence[tuple[str, int, int]]], object]
#: Called with a view's name and the number of its snapshots that are done.
Progress = Callable[[str, int], None]
#: Snapshots within a day that are kept; a live shop makes one an hour.
KEPT_PASSING = 3
MIDNIGHT = time(0)
_FOOTER = b"aisle"
#: In the footer, between what a table was made of and the one shop it was narrowed to.
_SOURCE_MARK = " of "
#: In the footer: when the newest live event arrived that the table holds.
_LANDED = b"aisle.landed"
_PART = ".part"


@dataclass(frozen=True)
class Snapshot:
    """One feature table in place: a view at a moment; `content` names what it was made of, `source` of which shop.

    `landed` is when the newest of its live events arrived at serving, None where it holds none.
    """

    view: str
    as_of: datetime
    path: Path
    rows: int
    content: str
    source: str | None = None
    landed: datetime | None = None


@dataclass(frozen=True)
class BuildReport:
    """What a build found or made: every wanted snapshot, and how many of them are new."""

    snapshots: tuple[Snapshot, ...]
    built: int
    lake: LakeState


def build_tables(
    settings: Settings,
    wanted: Mapping[str, Sequence[datetime]],
    source: str | None = None,
    publish: Publish | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Make the wanted snapshots (view → moments) be there and up to date; return them all.

    With `source`, only that shop's events count (and live ones). Raises DataRejected when a table breaks a rule: then
    the view's files stay as they were. Killed at any point and run again, it ends in the same files.
    """
    lake, built = lake_state(settings, source), 0
    if not is_checked(settings, lake, wanted):
        with open_events(lake_at_versions(settings, lake.versions), source) as connection:
            built = build_tables_from(settings, connection, lake, wanted, publish, progress)
    snapshots = [read_snapshot(settings, view, as_of) for view, moments in wanted.items() for as_of in moments]
    return BuildReport(tuple(each for each in snapshots if each), built, lake)


def build_tables_from(
    settings: Settings,
    connection: duckdb.DuckDBPyConnection,
    lake: LakeState,
    wanted: Mapping[str, Sequence[datetime]],
    publish: Publish | None = None,
    progress: Progress | None = None,
) -> int:
    """Do what `build_tables` does, on a connection that is open and prepared; return how many snapshots are new.

    Of two runs at once one waits, and finds what the other has built.
    """
    built, folder = 0, Path(settings.feature_store.offline_path)
    folder.mkdir(parents=True, exist_ok=True)
    with file_lock(folder / "building.lock", lambda: logger.info("Another run builds feature tables; waiting.")):
        _remove_parts(settings)
        for view, moments in wanted.items():
            built += _build_view(settings, connection, lake, {view: moments}, publish)
            if progress:
                progress(view, len(moments))
        _mark_checked(settings, lake, wanted)
    return built


def ready_line(view: str, count: int) -> str:
    """What a run's log says of a view whose snapshots are there, built now or up to date."""
    return f"{view}: {count:,} snapshot{'' if count == 1 else 's'} ready"


def snapshot_path(settings: Settings, view: str, as_of: datetime) -> Path:
    """Where the feature table of a view at a moment lies."""
    return Path(settings.feature_store.offline_path) / view / f"as_of={as_of.astimezone(UTC):%Y-%m-%dT%H%M%SZ}.parquet"


def read_snapshot(settings: Settings, view: str, as_of: datetime) -> Snapshot | None:
    """Return the snapshot of a view at a moment, or None when it was never built."""
    path = snapshot_path(settings, view, as_of)
    if not path.exists():
        return None
    metadata = pq.read_metadata(path)
    footer = {name: text.decode() for name, text in (metadata.metadata or {}).items() if name in (_FOOTER, _LANDED)}
    content, _, source = footer.get(_FOOTER, "").partition(_SOURCE_MARK)
    landed = datetime.fromisoformat(footer[_LANDED]) if footer.get(_LANDED) else None
    return Snapshot(view, as_of, path, metadata.num_rows, content, source or None, landed)


def snapshot_moments(settings: Settings, view: str) -> list[datetime]:
    """Return the moments of a view's snapshots, oldest first."""
    names = (Path(settings.feature_store.offline_path) / view).glob("as_of=*.parquet")
    return sorted(datetime.strptime(path.name, "as_of=%Y-%m-%dT%H%M%SZ.parquet").replace(tzinfo=UTC) for path in names)


def remove_passing_snapshots(settings: Settings) -> int:
    """Remove all but the newest snapshots of moments within a day; midnights stay. Return how many files went."""
    removed = 0
    for view in FEATURE_VIEWS:
        passing = [moment for moment in snapshot_moments(settings, view) if moment.time() != MIDNIGHT]
        for moment in passing[:-KEPT_PASSING]:
            snapshot_path(settings, view, moment).unlink(missing_ok=True)
            removed += 1
    return removed


def _build_view(
    settings: Settings,
    connection: duckdb.DuckDBPyConnection,
    lake: LakeState,
    wanted: Mapping[str, Sequence[datetime]],
    publish: Publish | None,
) -> int:
    """Build the snapshots of one view that are missing or made of something else; return how many."""
    ((view, moments),) = wanted.items()
    code, shop = code_hash(), f"{_SOURCE_MARK}{lake.source}" if lake.source else ""
    staged: list[Path] = []
    for as_of in moments:
        content = f"{code}-{fingerprint(connection, as_of)}"
        known = read_snapshot(settings, view, as_of)
        if known is None or known.content != content:
            landed = newest_arrival(connection, as_of)
            footer = {_FOOTER: content + shop, _LANDED: landed.isoformat() if landed else ""}
            staged.append(_stage(settings, view, as_of, TRANSFORMS[view](connection, as_of), footer))
    if staged:
        verdict = _judge(connection, view, staged, max(moments))
        if publish:
            publish(settings, verdict, [(_snapshot_name(path), pq.read_metadata(path).num_rows, 0) for path in staged])
        raise_if_refused(verdict)
    for path in staged:
        path.rename(path.with_suffix(""))
    _remove_stale(settings, view, code)
    return len(staged)


def _stage(settings: Settings, view: str, as_of: datetime, rows: pa.Table, footer: dict[bytes, str]) -> Path:
    path = snapshot_path(settings, view, as_of)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + _PART)
    # Nanoseconds, pandas' default, break Feast's DuckDB store at materialise.
    schema = rows.schema.with_metadata(footer)
    pq.write_table(rows.cast(schema), part, coerce_timestamps="us", compression="zstd")
    return part


def _judge(connection: duckdb.DuckDBPyConnection, view: str, staged: Sequence[Path], as_of: datetime) -> Verdict:
    connection.read_parquet([str(path) for path in staged]).create_view("staged_features", replace=True)
    references = References(known_item_ids=None, now=datetime.now(UTC), as_of=as_of)
    return check_features(connection, "staged_features", FEATURE_VIEWS[view], references)


def _snapshot_name(path: Path) -> str:
    return path.name.removeprefix("as_of=").split("T")[0]


def _remove_parts(settings: Settings) -> None:
    for part in Path(settings.feature_store.offline_path).glob(f"*/*{_PART}"):
        part.unlink(missing_ok=True)


def _remove_stale(settings: Settings, view: str, code: str) -> None:
    """Remove snapshots that other code made: beside the new ones they would be read as if they meant the same."""
    for as_of in snapshot_moments(settings, view):
        known = read_snapshot(settings, view, as_of)
        if known and not known.content.startswith(f"{code}-"):
            known.path.unlink(missing_ok=True)


def _checked_path(settings: Settings) -> Path:
    return Path(settings.feature_store.offline_path) / "checked.json"


def _checked_names(settings: Settings, wanted: Mapping[str, Sequence[datetime]]) -> set[str]:
    root = Path(settings.feature_store.offline_path)
    return {
        str(snapshot_path(settings, view, as_of).relative_to(root))
        for view, moments in wanted.items()
        for as_of in moments
    }


def is_checked(settings: Settings, lake: LakeState, wanted: Mapping[str, Sequence[datetime]]) -> bool:
    """Return whether all of these were found or made at this very state of lake and code, and are still there."""
    path = _checked_path(settings)
    if not path.exists():
        return False
    checked = json.loads(path.read_text(encoding="utf-8"))
    names = _checked_names(settings, wanted)
    return (
        checked["state"] == lake.key + code_hash()
        and names <= set(checked["snapshots"])
        and all((path.parent / name).exists() for name in names)
    )


def _mark_checked(settings: Settings, lake: LakeState, wanted: Mapping[str, Sequence[datetime]]) -> None:
    path = _checked_path(settings)
    names = _checked_names(settings, wanted)
    if path.exists():
        checked = json.loads(path.read_text(encoding="utf-8"))
        if checked["state"] == lake.key + code_hash():
            names |= set(checked["snapshots"])
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps({"state": lake.key + code_hash(), "snapshots": sorted(names)}), encoding="utf-8")
    fresh.replace(path)
