"""Small tables that break no rule, to plant faults in."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from expectations.features import feature_columns
from expectations.validate import References
from feature_repo.features import FEATURE_VIEWS, WINDOWS_DAYS
from feature_repo.schema import TABLES, Column

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
AS_OF = datetime(2026, 5, 1, tzinfo=UTC)
KNOWN = ("mug", "tea", "cup")
REFERENCES = References("catalogue", NOW)
Row = dict[str, Any]

_ARROW = {
    "string": pa.string(),
    "timestamp": pa.timestamp("us", "UTC"),
    "float": pa.float64(),
    "int": pa.int64(),
    "bool": pa.bool_(),
}


def event(row: int, **changed: Any) -> Row:
    """One good purchase, `row` minutes into the first of May."""
    good = {
        "event_id": f"e{row}",
        "event_time": datetime(2026, 5, 1, 9, tzinfo=UTC) + timedelta(minutes=row),
        "known_at": NOW,
        "user_id": f"u_{row % 3}",
        "item_id": KNOWN[row % len(KNOWN)],
        "event_type": "purchase",
        "channel": "web",
        "session_id": None,
        "basket_id": f"b{row // 2}",
        "quantity": 1.0,
        "unit_price": 2.5,
        "discount": None,
        "currency": "EUR",
        "text": None,
        "source": "planted",
    }
    return good | changed


def item(row: int, **changed: Any) -> Row:
    good = {
        "item_id": f"i{row}",
        "title": f"Item {row}",
        "description": None,
        "category": "kitchen > mugs",
        "brand": None,
        "price": 3.0,
        "currency": "EUR",
        "image": None,
        "available": True,
        "updated_at": NOW - timedelta(days=1),
        "source": "planted",
    }
    return good | changed


def offer(row: int, **changed: Any) -> Row:
    good = {
        "offer_id": f"o{row}",
        "campaign_id": None,
        "items": ["mug", "tea"],
        "kind": "coupon",
        "value": 1.0,
        "starts_at": NOW,
        "ends_at": NOW + timedelta(days=7),
        "budget": None,
        "cap_per_user": 1,
        "source": "planted",
    }
    return good | changed


def user(row: int, **changed: Any) -> Row:
    good = {"user_id": f"u_{row}", "traits": '{"age": "30-39"}', "updated_at": NOW, "source": "planted"}
    return good | changed


GOOD = {"events": event, "items": item, "offers": offer, "users": user}


def feature_row(view_name: str, row: int, **changed: Any) -> Row:
    """One good row of a feature view: every count 1, every share small, lists of two."""
    view = FEATURE_VIEWS[view_name]
    good: Row = {view.key: f"{view.entity}{row}", "event_timestamp": AS_OF, "created_timestamp": NOW}
    for feature in view.features:
        good[feature.name] = _good_value(feature)
    for window, days in enumerate(WINDOWS_DAYS):
        for name in [name for name in good if name.endswith(f"_{days}d") and not name.endswith(f"share_{days}d")]:
            good[name] = float(window)
    return good | changed


def _good_value(feature: Column) -> Any:
    if feature.name in ("hour_shares", "weekday_shares"):
        length = 24 if feature.name == "hour_shares" else 7
        return [1.0 / length] * length
    if feature.name == "history_event_types":
        return ["view", "purchase"]
    lists = {
        "list<string>": ["a", "b"],
        "list<float>": [0.5, 0.25],
        "list<timestamp>": [AS_OF - timedelta(days=2), AS_OF - timedelta(days=1)],
    }
    return lists.get(feature.dtype, 0.1)


def table_of(columns: Sequence[Column], rows: Sequence[Row], **extra: pa.DataType) -> pa.Table:
    """An Arrow table of the contract's types; `extra` adds columns, and replaces the type of a declared one."""
    fields = {column.name: arrow_type(column.dtype) for column in columns} | extra
    return pa.table({name: pa.array([row.get(name) for row in rows], type_) for name, type_ in fields.items()})


def arrow_type(dtype: str) -> pa.DataType:
    return pa.list_(_ARROW[dtype[5:-1]]) if dtype.startswith("list<") else _ARROW[dtype]


def connection_with(name: str, rows: Sequence[Row], **extra: pa.DataType) -> duckdb.DuckDBPyConnection:
    """A connection with the relation `incoming` of one lake table (rows numbered from 0) and a small catalogue."""
    numbered = [{"_row": number, "_uncast": None} | row for number, row in enumerate(rows)]
    types = {"_row": pa.int64(), "_uncast": pa.string()} | extra
    return connection_over(table_of(TABLES[name].columns, numbered, **types))


def feature_connection(view_name: str, rows: Sequence[Row], **extra: pa.DataType) -> duckdb.DuckDBPyConnection:
    """A connection with the relation `incoming` of one feature view."""
    return connection_over(table_of(feature_columns(FEATURE_VIEWS[view_name]), rows, **extra))


def connection_over(table: pa.Table) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET threads = 1; SET TimeZone = 'UTC'")
    connection.register("arrow_incoming", table)
    connection.execute("CREATE TABLE incoming AS SELECT * FROM arrow_incoming")
    connection.register("catalogue", pa.table({"item_id": pa.array([*KNOWN, None], pa.string())}))
    return connection
