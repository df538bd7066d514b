"""Events as every transform reads them: typed, coded and ordered once, so that each view is one short query.

`prepare` reads the relations `events` and `items` of a DuckDB connection and leaves four temporary tables:
user_codes (user, user_id), item_codes (item, item_id, category, brand, listed), acts (one row an event; `place` counts
a user's interactions from 1) and purchases (one row a user, item and basket).
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from feature_repo.features import CREATED_TIMESTAMP, EVENT_TIMESTAMP, FeatureView
from feature_repo.schema import INTERACTION_TYPES, Column

DAY_US = 86_400_000_000
#: Half-life of a purchase's weight in a user's habits: after so many days it counts half.
HABIT_HALF_LIFE_DAYS = 84.0
# Weights are relative to this moment, not to as_of: dividing all weights by one number changes no order,
# and a weight that is computed once serves every snapshot.
WEIGHT_EPOCH_US = 1_577_836_800_000_000  # 2020-01-01
#: Items of the catalogue or of an event before as_of: the rows of every item view.
ITEMS_AS_OF = "SELECT * FROM item_codes WHERE listed OR item IN (SELECT item FROM acts WHERE event_us < $as_of)"
#: Users with an event before as_of: the rows of every user view.
USERS_AS_OF = 'SELECT * FROM user_codes WHERE "user" IN (SELECT "user" FROM acts WHERE event_us < $as_of)'
#: Events of the users that a view of whole lists is computed for at once, for DuckDB holds such lists in memory; the
#: list of a user takes about as much as six events before anything is in it.
PART_EVENTS, EVENTS_A_LIST = 3_000_000, 6
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END_OF_TIME = datetime(9000, 1, 1, tzinfo=UTC)

#: Columns of `events` that transforms read.
EVENT_COLUMNS = (
    "event_id",
    "event_time",
    "known_at",
    "user_id",
    "item_id",
    "event_type",
    "channel",
    "session_id",
    "basket_id",
    "quantity",
    "unit_price",
    "discount",
)
_SQL_TYPES = {
    "string": "VARCHAR",
    "timestamp": "TIMESTAMPTZ",
    "float": "DOUBLE",
    "int": "BIGINT",
    "bool": "BOOLEAN",
}

_USER_CODES = """
CREATE OR REPLACE TEMP TABLE user_codes AS
SELECT (row_number() OVER (ORDER BY user_id))::INTEGER AS "user", user_id
FROM (SELECT DISTINCT user_id FROM events WHERE known_at <= $known_as_of)
"""
# An item that events name but the catalogue does not know still has a code; duplicates in the catalogue: newest wins.
_ITEM_CODES = """
CREATE OR REPLACE TEMP TABLE item_codes AS
WITH known AS (
    SELECT item_id, split_part(max_by(category, updated_at), ' > ', 1) AS category,
           max_by(brand, updated_at) AS brand, true AS listed
    FROM items GROUP BY item_id
), named AS (
    SELECT DISTINCT item_id FROM events WHERE item_id IS NOT NULL AND known_at <= $known_as_of
)
SELECT (row_number() OVER (ORDER BY item_id))::INTEGER AS item, item_id, category, brand,
       coalesce(listed, false) AS listed
FROM known FULL JOIN named USING (item_id)
"""
_ACTS = f"""
CREATE OR REPLACE TEMP TABLE acts AS
SELECT *, CASE WHEN is_interaction THEN count(*) FILTER (is_interaction)
          OVER (PARTITION BY "user" ORDER BY seq ROWS UNBOUNDED PRECEDING) END AS place
FROM (SELECT
    row_number() OVER (ORDER BY event_time, event_id) AS seq,
    epoch_us(event_time) AS event_us,
    "user", item, event_type, channel,
    event_type = 'purchase' AS is_purchase,
    event_type = 'offer_redeemed' AS is_redemption,
    item IS NOT NULL AND event_type IN {INTERACTION_TYPES} AS is_interaction,
    hash(coalesce(basket_id, session_id, event_id)) AS basket,
    hash("user", coalesce(basket_id, session_id)) AS visit,
    coalesce(basket_id, session_id) IS NOT NULL AS has_visit,
    unit_price,
    CASE WHEN event_type = 'purchase' THEN coalesce(quantity, 1) * coalesce(unit_price, 0) ELSE 0 END AS spend,
    CASE WHEN event_type = 'purchase' THEN coalesce(discount, 0) ELSE 0 END AS discount,
    pow(2.0, (epoch_us(event_time) - {WEIGHT_EPOCH_US}) / {DAY_US * HABIT_HALF_LIFE_DAYS}) AS weight,
    hash(event_id, event_time, user_id, item_id, event_type, channel, session_id, basket_id,
         quantity, unit_price, discount) AS row_hash
FROM events JOIN user_codes USING (user_id) LEFT JOIN item_codes USING (item_id)
WHERE known_at <= $known_as_of)
"""
# A visit is one user's: many shops count each user's sessions from 1, and Google Analytics names one by its second.
# A basket that holds an item in several lines is one purchase of it, at the time of the first line. Where no baskets
# are told a user's session is one: an item of which two were ordered did not come again.
_PURCHASES = """
CREATE OR REPLACE TEMP TABLE purchases AS
SELECT "user", item, basket, min(event_us) AS event_us, min(weight) AS weight
FROM acts WHERE is_purchase AND item IS NOT NULL GROUP BY "user", item, basket
"""
# DuckDB's hash of several columns is that of the last one XORed with what the others make: under XOR alone the same
# change of the last column on two rows cancels out. So a row's hash is hashed once more, and summed in two ways.
_CONTENT = f"count(*), bit_xor({{hashed}}), sum({{hashed}}) % {2**64}"


def prepare(connection: duckdb.DuckDBPyConnection, known_as_of: datetime | None = None) -> None:
    """Code and order the relations `events` and `items` of a connection once, for all views and snapshots.

    With `known_as_of`, only events that were known by then exist: what we learned later is not there.
    """
    known = {"known_as_of": known_as_of or _END_OF_TIME}
    connection.execute("SET TimeZone = 'UTC'")
    for statement in (_USER_CODES, _ITEM_CODES, _ACTS):
        connection.execute(statement, known)
    connection.execute(_PURCHASES)


def fingerprint(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> str:
    """Return a hash of everything that features as_of a moment are made of: the events before it, and the catalogue."""
    acts = f"SELECT {_CONTENT.format(hashed='hash(row_hash)')} FROM acts WHERE event_us < $as_of"
    items = f"SELECT {_CONTENT.format(hashed='hash(hash(item_id, category, brand))')} FROM item_codes WHERE listed"
    seen = connection.execute(acts, {"as_of": microseconds(as_of)}).fetchone()
    return hashlib.sha256(repr((seen, connection.execute(items).fetchone())).encode()).hexdigest()[:16]


def microseconds(moment: datetime) -> int:
    """Return a moment as whole microseconds since 1970; a moment without a time zone is refused (ValueError)."""
    if moment.tzinfo is None:
        raise ValueError(f"as_of: expected a time with a time zone, came {moment.isoformat()}: add UTC.")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def exact_sum(column: str, condition: str) -> str:
    """Return the SQL sum of an amount of money where a condition holds, the same whatever the order of rows.

    Floats added by several threads differ in their last digits from build to build, so amounts are added as decimals:
    15 digits after the point, and room for 10^8 lines of the largest amount that the contract allows (10^15).
    """
    return f"(sum({column}::DECIMAL(38, 15)) FILTER ({condition}))::DOUBLE"


def run_view(connection: duckdb.DuckDBPyConnection, view: FeatureView, as_of: datetime, query: str) -> pa.Table:
    """Run a view's query and return exactly its key, its features in order and type, and the two timestamps.

    The query has `$as_of` (microseconds) and yields one row a key, under the names of features.py. Rows come sorted by
    key. Raises duckdb.BinderException when the query lacks a feature.
    """
    return in_key_order(connection.sql(_statement(view, query), params=_moments(as_of)).to_arrow_table(), view.key)


def in_key_order(table: pa.Table, key: str) -> pa.Table:
    """Return the table sorted by its key.

    Where insertion order is not preserved (less memory), DuckDB 1.5 now and then hands the batches of an ordered result
    to Arrow in another order.
    """
    keys = table[key].combine_chunks()
    if len(keys) < 2 or pc.all(pc.less_equal(keys[:-1], keys[1:])).as_py():
        return table
    return table.sort_by(key)


def run_view_in_parts(
    connection: duckdb.DuckDBPyConnection,
    view: FeatureView,
    as_of: datetime,
    query: str,
    parts: Sequence[tuple[int, int]] | None = None,
) -> pa.Table:
    """Run a view's query as `run_view` does, for some users (or items) after the others, so that memory stays bounded.

    The query reads those from `$first` to `$last` (codes, both ends included), range by range of `parts` (None: those
    of `user_parts`); codes stand in the order of ids.
    """
    statement, moments = _statement(view, query), _moments(as_of)
    return pa.concat_tables(
        in_key_order(
            connection.sql(statement, params={**moments, "first": first, "last": last}).to_arrow_table(), view.key
        )
        for first, last in (user_parts(connection, PART_EVENTS) if parts is None else parts)
    )


def user_parts(connection: duckdb.DuckDBPyConnection, events: int) -> list[tuple[int, int]]:
    """Return ranges of user codes, first and last: together every user, each at most about `events` and lists' room."""
    query = """
    WITH counts AS (SELECT "user", count(acts.seq) AS n FROM user_codes LEFT JOIN acts USING ("user") GROUP BY "user"),
    sums AS (SELECT "user", sum(n + $list) OVER (ORDER BY "user" ROWS UNBOUNDED PRECEDING) AS total FROM counts)
    SELECT min("user"), max("user") FROM sums GROUP BY total // $events ORDER BY 1
    """
    return connection.execute(query, {"events": events, "list": EVENTS_A_LIST}).fetchall() or [(1, 0)]


def _statement(view: FeatureView, query: str) -> str:
    features = ", ".join(
        f'CAST("{feature.name}" AS {sql_type(feature)}) AS "{feature.name}"' for feature in view.features
    )
    return (
        f"SELECT {view.key}, {features}, make_timestamptz($as_of) AS {EVENT_TIMESTAMP}, "
        f"make_timestamptz($created) AS {CREATED_TIMESTAMP} FROM ({query}) ORDER BY {view.key}"
    )


def _moments(as_of: datetime) -> dict[str, int]:
    return {"as_of": microseconds(as_of), "created": microseconds(datetime.now(UTC))}


def sql_type(column: Column) -> str:
    """Return the DuckDB type of a column's dtype."""
    if column.dtype.startswith("list<"):
        return _SQL_TYPES[column.dtype[5:-1]] + "[]"
    return _SQL_TYPES[column.dtype]
