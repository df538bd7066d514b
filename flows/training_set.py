"""The training set: what the feature service knew of each user at each moment, and what came after.

Rows come from `get_historical_features` of the one service that serving reads; their counts and keys are checked after
every join. What was built once is kept below AISLE_HOME/training_sets, under the hash of what it was made of.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo.features import ITEM_VIEWS, USER_HABITS, USER_HISTORY, USER_VIEWS
from feature_repo.prepared_events import fingerprint, microseconds
from feature_repo.transforms import code_hash
from flows.catalogue_items import catalogue_items
from flows.feature_moments import TrainingMoments, VisitMoments
from flows.feature_rows import historical_rows, known_users
from flows.feature_source import LakeState, event_span, lake_state, open_events
from flows.feature_tables import Progress, Publish, build_tables_from
from flows.file_lock import file_lock
from flows.known_lake import lake_at_versions
from flows.settings import Settings
from flows.text_vectors import vectors_of_items
from flows.training_cuts import training_cuts
from training.dataset import TrainingSet
from training.dataset_rows import from_arrow, tells
from training.row_limit import rows_within, users_within
from training.visits import from_visits

logger = logging.getLogger(__name__)

#: Views that old training snapshots carry; the two cuts carry all.
TRAINING_VIEWS = (USER_HISTORY, USER_HABITS)
#: Training sets kept on disk; older ones are removed.
KEPT_SETS = 3
_TABLES = ("histories", "items")
#: Rows joined for each that may stay: where users come seldom, most tell nothing.
_JOINED = 8
#: The split of every row of a training set of visits.
VISITS = "visits"
_TRUTH = """
SELECT DISTINCT user_id, item_id FROM acts JOIN user_codes USING ("user") JOIN item_codes USING (item)
WHERE is_interaction AND event_us >= $start AND event_us < $stop ORDER BY user_id, item_id
"""


@dataclass(frozen=True)
class TrainingTables:
    """A training set as tables.

    `histories`: user_id, event_timestamp (as_of), split, and the features of USER_SERVICE (history and habits on every
    row, the others on the cuts' rows). `items`: the vocabulary in order, catalogue and ITEM_SERVICE features as of the
    validation cut. `truths`: for 'validation' and 'test', user_id and item_id. `lake`: table versions.
    Of a shop judged by visits `histories` has one row a user, after the newest event, of split 'visits', and no truths:
    they lie within the histories.
    """

    histories: pa.Table
    items: pa.Table
    truths: dict[str, pa.Table]
    input_hash: str
    lake: dict[str, int]


def build_training_set(
    settings: Settings,
    source: str | None = None,
    publish: Publish | None = None,
    progress: Progress | None = None,
    embedded: Callable[[int], None] | None = None,
) -> TrainingSet:
    """Return the training set of the lake as it is now, all its snapshots built, judged and joined.

    `embedded` is called with the number of item texts embedded since its last call. Raises LookupError when too few
    users come back and too few turned to a second item, DataRejected when a feature table breaks a rule.
    """
    tables = build_training_tables(settings, source, publish, progress)
    vectors = vectors_of_items(settings, tables.items, embedded)
    if not tables.truths:
        return from_visits(tables.histories, tables.items, vectors, tables.input_hash)
    return from_arrow(tables.histories, tables.items, vectors, tables.truths, tables.input_hash)


def build_training_tables(
    settings: Settings, source: str | None = None, publish: Publish | None = None, progress: Progress | None = None
) -> TrainingTables:
    """Return the tables of the training set; the second call on an unchanged lake only reads them.

    Of two runs at once one builds, the other waits and reads.
    """
    lake = lake_state(settings, source)
    found = _found(settings, _request_key(settings, lake))
    if found is None:
        folder = settings.home / "training_sets"
        folder.mkdir(parents=True, exist_ok=True)
        with file_lock(folder / "building.lock", lambda: logger.info("Another run builds a training set; waiting.")):
            found = _found(settings, _request_key(settings, lake)) or _built(settings, lake, publish, progress)
    return found


def _built(settings: Settings, lake: LakeState, publish: Publish | None, progress: Progress | None) -> TrainingTables:
    source = lake.source
    # What lands while this runs is in the next training set: every table is read at the versions of `lake`.
    settings = lake_at_versions(settings, lake.versions)
    with open_events(settings, source) as connection:
        moments = training_cuts(connection, *event_span(settings, source))
        build_tables_from(settings, connection, lake, wanted_snapshots(moments), publish, progress)
        ends = (moments.test + moments.truth,) if isinstance(moments, TrainingMoments) else ()
        made_of = {
            "code": code_hash(),
            "moments": {as_of.isoformat(): fingerprint(connection, as_of) for as_of in (*moments.all, *ends)},
            "vocabulary_limit": settings.vocabulary_limit,
            "training_rows_limit": settings.training_rows_limit,
        }
        truths = _truths(connection, moments)
    items = catalogue_items(settings, moments.validation, source)
    made_of["items"] = content_hash(items)
    input_hash = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]
    histories = _histories(settings, moments, _judges(truths))
    tables = TrainingTables(histories, items, truths, input_hash, lake.versions)
    _save(settings, tables, made_of)
    _remember(settings, _request_key(settings, lake), input_hash)
    return tables


def wanted_snapshots(moments: TrainingMoments | VisitMoments) -> dict[str, tuple[datetime, ...]]:
    """Return the snapshots that a training set is joined from: view → moments."""
    items = {view.name: (moments.validation,) for view in ITEM_VIEWS}
    if isinstance(moments, VisitMoments):
        return {**{view.name: (moments.newest,) for view in USER_VIEWS}, **items}
    cuts = (moments.validation, moments.test)
    return {**{view.name: moments.all if view in TRAINING_VIEWS else cuts for view in USER_VIEWS}, **items}


def _histories(settings: Settings, moments: TrainingMoments | VisitMoments, judges: pa.Array) -> pa.Table:
    """Join all snapshots through the feature service, a few moments at a time: lists of 60,000 rows are 300 MB.

    Of too many rows, those that tell nothing are left out, then whole users; how many stay is said.
    """
    known = known_users(settings, (moments.newest,) if isinstance(moments, VisitMoments) else moments.all)
    limit, total = settings.training_rows_limit, pc.sum(known["rows"]).as_py() or 0
    if total <= limit:
        return _joined(settings, moments, None)
    rows = _joined(settings, moments, users_within(known, judges, _JOINED * limit))
    rows = rows.filter(pa.array(tells(rows, rows["split"].to_numpy(zero_copy_only=False))))
    rows = rows_within(rows, judges, limit)
    said = "models learn from %d of %d users: AISLE_TRAINING_ROWS_LIMIT is %d rows, of %d that are known"
    logger.info(said, len(pc.unique(rows["user_id"])), len(known), limit, total)
    return rows


def _joined(settings: Settings, moments: TrainingMoments | VisitMoments, keys: pa.Array | None) -> pa.Table:
    if isinstance(moments, VisitMoments):
        rows = historical_rows(settings, (moments.newest,), USER_VIEWS, keys)
        return rows.append_column("split", pa.array([VISITS] * len(rows), pa.string()))
    parts = [historical_rows(settings, group, TRAINING_VIEWS, keys) for group in _groups(moments.training, 8)]
    parts += [historical_rows(settings, (cut,), USER_VIEWS, keys) for cut in (moments.validation, moments.test)]
    rows = pa.concat_tables(parts, promote_options="default")
    by_moment = {microseconds(as_of): moments.split(as_of) for as_of in moments.all}
    splits = [by_moment[moment] for moment in rows["event_timestamp"].cast(pa.int64()).to_pylist()]
    return rows.append_column("split", pa.array(splits, pa.string()))


def _judges(truths: Mapping[str, pa.Table]) -> pa.Array:
    return pa.concat_arrays([pc.unique(truth["user_id"]) for truth in truths.values()] or [pa.array([], pa.string())])


def judged_rows(histories: pa.Table) -> pa.Table:
    """Return the rows of the users that a model is judged by: those of the test cut, or all where visits judge."""
    return histories.filter(pc.is_in(histories["split"], pa.array(["test", VISITS])))


def _groups(moments: Sequence[datetime], size: int) -> list[Sequence[datetime]]:
    return [moments[start : start + size] for start in range(0, len(moments), size)]


def _truths(connection: duckdb.DuckDBPyConnection, moments: TrainingMoments | VisitMoments) -> dict[str, pa.Table]:
    if isinstance(moments, VisitMoments):
        return {}
    cuts = {"validation": moments.validation, "test": moments.test}
    return {name: _truth(connection, cut, moments.truth) for name, cut in cuts.items()}


def _truth(connection: duckdb.DuckDBPyConnection, as_of: datetime, span: timedelta) -> pa.Table:
    bounds = {"start": microseconds(as_of), "stop": microseconds(as_of + span)}
    return connection.sql(_TRUTH, params=bounds).to_arrow_table()


def content_hash(table: pa.Table) -> str:
    """Return a hash of a table's values in their order: 16 hex digits, equal for tables that `equals` calls equal.

    Arrow's own bytes will not do: below a null lies whatever the memory held before. Parquet writes no value there.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(table.combine_chunks(), sink, compression="none")
    return hashlib.sha256(sink.getvalue()).hexdigest()[:16]


def _folder(settings: Settings, input_hash: str) -> Path:
    return settings.home / "training_sets" / input_hash


def _request_key(settings: Settings, lake: LakeState) -> str:
    return f"{lake.key}-{code_hash()}-{settings.vocabulary_limit}-{settings.training_rows_limit}"


def _found(settings: Settings, request: str) -> TrainingTables | None:
    known = _read_requests(settings).get(request)
    if known and (_folder(settings, known) / "made_of.json").exists():
        return _load(_folder(settings, known))
    return None


def _read_requests(settings: Settings) -> dict[str, str]:
    path = settings.home / "training_sets" / "requests.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _remember(settings: Settings, request: str, input_hash: str) -> None:
    path = settings.home / "training_sets" / "requests.json"
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps({**_read_requests(settings), request: input_hash}), encoding="utf-8")
    fresh.replace(path)


def _save(settings: Settings, tables: TrainingTables, made_of: Mapping[str, object]) -> None:
    """Write the tables to a folder that appears whole; then keep only the newest few."""
    folder = _folder(settings, tables.input_hash)
    if folder.exists():
        return
    part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    named = {
        "histories": tables.histories,
        "items": tables.items,
        **{f"truth_{name}": truth for name, truth in tables.truths.items()},
    }
    for name, table in named.items():
        pq.write_table(table, part / f"{name}.parquet", compression="zstd")
    (part / "made_of.json").write_text(json.dumps({**made_of, "lake": tables.lake}, indent=1), encoding="utf-8")
    part.rename(folder)
    others = sorted((each for each in folder.parent.iterdir() if each.is_dir()), key=lambda each: each.stat().st_mtime)
    for old in others[:-KEPT_SETS]:
        shutil.rmtree(old, ignore_errors=True)


def _load(folder: Path) -> TrainingTables:
    tables = {name: pq.read_table(folder / f"{name}.parquet") for name in _TABLES}
    truths = {path.stem.removeprefix("truth_"): pq.read_table(path) for path in sorted(folder.glob("truth_*.parquet"))}
    lake = json.loads((folder / "made_of.json").read_text(encoding="utf-8"))["lake"]
    return TrainingTables(tables["histories"], tables["items"], truths, folder.name, lake)
