"""Feature rows as of moments, asked of Feast, with counts and keys checked after the join."""

from collections.abc import Sequence
from datetime import datetime

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo.features import (
    EVENT_TIMESTAMP,
    ITEM_SERVICE,
    ITEM_VIEWS,
    USER_HISTORY,
    USER_SERVICE,
    USER_VIEWS,
    FeatureView,
)
from flows.feature_store import feature_store
from flows.feature_tables import snapshot_path
from flows.settings import Settings

_SERVICES = {USER_VIEWS: USER_SERVICE, ITEM_VIEWS: ITEM_SERVICE}


_KNOWN_USERS = """
SELECT user_id, count(*) AS rows, max(len(history_event_times)) AS length,
    coalesce(max(epoch_us(history_event_times[-1])), 0) AS newest
FROM read_parquet($paths, hive_partitioning = false) GROUP BY user_id ORDER BY user_id
"""


class FeatureRowsLost(RuntimeError):
    """A point-in-time join gave other rows than were asked for."""


def historical_rows(
    settings: Settings, moments: Sequence[datetime], views: tuple[FeatureView, ...], keys: pa.Array | None = None
) -> pa.Table:
    """Return the features of every key known at each moment (those among `keys`), by Feast's point-in-time join.

    `views` of one entity: USER_VIEWS or ITEM_VIEWS asks for the whole service, fewer for those views of it. Columns:
    key, event_timestamp, features; rows sorted by moment and key. Raises FeatureRowsLost when rows or keys differ from
    those asked for, or a row has no features.
    """
    store, asked = feature_store(settings), _entities(settings, moments, views[0], keys)
    whole = _SERVICES.get(views)
    features = (
        store.get_feature_service(whole)
        if whole
        else [f"{view.name}:{name}" for view in views for name in view.feature_names]
    )
    rows = store.get_historical_features(entity_df=asked.to_pandas(), features=features).to_arrow()
    rows = _in_order(rows, asked, views)
    _check(rows, asked, views)
    return rows


def known_users(settings: Settings, moments: Sequence[datetime]) -> pa.Table:
    """Return each user known at any of the moments: user_id, `rows` (moments), `length` of its longest history, and
    `newest`, the time of the last event there in microseconds since 1970 (0 without one); by user_id.
    """
    paths = [str(snapshot_path(settings, USER_HISTORY.name, as_of)) for as_of in moments]
    with duckdb.connect() as connection:
        return connection.sql(_KNOWN_USERS, params={"paths": paths}).to_arrow_table()


def _entities(settings: Settings, moments: Sequence[datetime], view: FeatureView, keys: pa.Array | None) -> pa.Table:
    columns = [view.key, EVENT_TIMESTAMP]
    parts = [pq.read_table(snapshot_path(settings, view.name, as_of), columns=columns) for as_of in moments]
    if keys is not None:
        parts = [part.filter(pc.is_in(part[view.key], keys)) for part in parts]
    return pa.concat_tables(parts).sort_by([(EVENT_TIMESTAMP, "ascending"), (view.key, "ascending")])


def _in_order(rows: pa.Table, asked: pa.Table, views: tuple[FeatureView, ...]) -> pa.Table:
    names = [*asked.column_names, *(name for view in views for name in view.feature_names)]
    return rows.select(names).sort_by([(EVENT_TIMESTAMP, "ascending"), (views[0].key, "ascending")])


def _check(rows: pa.Table, asked: pa.Table, views: tuple[FeatureView, ...]) -> None:
    if len(rows) != len(asked):
        raise FeatureRowsLost(f"{_words(views)}: asked for {len(asked)} rows, the join gave {len(rows)}.")
    for name in asked.column_names:
        if not pc.all(pc.equal(rows[name].cast(asked[name].type), asked[name])).as_py():
            raise FeatureRowsLost(f"{_words(views)}: the join changed column {name}: keys must come back as asked.")
    for view in views:
        sure = next((feature.name for feature in view.features if not feature.nullable), None)
        empty = rows[sure].null_count if sure else 0
        if empty:
            raise FeatureRowsLost(
                f"{view.name}: {empty} of {len(rows)} rows have no {sure} although their snapshot has: "
                "is a snapshot file missing? Run: aisle features"
            )


def _words(views: Sequence[FeatureView]) -> str:
    return ", ".join(view.name for view in views)
