"""Every Feast object, built from features.py: entities, sources, views, services, and the push door of the history.

Nothing is registered at import: `definitions(offline_path)` makes the objects, `apply_definitions` registers them.
"""

from datetime import timedelta

from feast import Entity, FeatureService, Field, FileSource, PushSource, ValueType
from feast import FeatureView as FeastView
from feast.data_format import ParquetFormat
from feast.types import Array, Bool, ComplexFeastType, Float64, Int64, PrimitiveFeastType, String, UnixTimestamp

from feature_repo.features import (
    CREATED_TIMESTAMP,
    EVENT_TIMESTAMP,
    FEATURE_VIEWS,
    ITEM_SERVICE,
    ITEM_VIEWS,
    USER_HISTORY,
    USER_SERVICE,
    USER_VIEWS,
    FeatureView,
)
from feature_repo.schema import Column

#: Where serving pushes a user's newest history: the push source of view user_history.
HISTORY_PUSH_SOURCE = "user_history_push"
#: A snapshot answers for entity rows up to this long after it; training asks at the snapshot's own moment.
#: Offline it keeps the point-in-time join small (two snapshots a row at most); online Feast 0.67 does not read it.
SNAPSHOT_LIFE = timedelta(days=1)

_FEAST_TYPES = {"string": String, "timestamp": UnixTimestamp, "float": Float64, "int": Int64, "bool": Bool}

FeastObject = Entity | FeastView | FeatureService | PushSource


def definitions(offline_path: str) -> list[FeastObject]:
    """Return every Feast object over the snapshots below `offline_path`, in the order in which they are registered."""
    entities = {
        name: Entity(name=name, join_keys=[f"{name}_id"], value_type=ValueType.STRING) for name in ("user", "item")
    }
    views = {view.name: _view(view, entities[view.entity], offline_path) for view in FEATURE_VIEWS.values()}
    services = [
        FeatureService(name=USER_SERVICE, features=[views[view.name] for view in USER_VIEWS]),
        FeatureService(name=ITEM_SERVICE, features=[views[view.name] for view in ITEM_VIEWS]),
    ]
    return [*entities.values(), *views.values(), *services]


def snapshot_glob(offline_path: str, view: str) -> str:
    """Return the pattern of a view's snapshot files; DuckDB reads a pattern, not a folder."""
    return f"{offline_path}/{view}/*.parquet"


def feast_type(column: Column) -> ComplexFeastType | PrimitiveFeastType:
    """Return Feast's type of a column; lists of timestamps keep whole seconds online."""
    if column.dtype.startswith("list<"):
        return Array(_FEAST_TYPES[column.dtype[5:-1]])
    return _FEAST_TYPES[column.dtype]


def _view(view: FeatureView, entity: Entity, offline_path: str) -> FeastView:
    batch = FileSource(
        name=f"{view.name}_snapshots",
        path=snapshot_glob(offline_path, view.name),
        file_format=ParquetFormat(),
        timestamp_field=EVENT_TIMESTAMP,
        created_timestamp_column=CREATED_TIMESTAMP,
    )
    source = PushSource(name=HISTORY_PUSH_SOURCE, batch_source=batch) if view == USER_HISTORY else batch
    return FeastView(
        name=view.name,
        entities=[entity],
        ttl=SNAPSHOT_LIFE,
        schema=[
            Field(name=view.key, dtype=String),
            *(Field(name=f.name, dtype=feast_type(f), description=f.meaning) for f in view.features),
        ],
        source=source,
        online=view.entity == "user",
    )
