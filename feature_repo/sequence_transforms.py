"""What the models read of a user: the last interactions (history) and the items bought again and again (habits)."""

from datetime import datetime

import duckdb
import pyarrow as pa

from feature_repo.features import HABIT_LENGTH, HISTORY_LENGTH, USER_HABITS, USER_HISTORY
from feature_repo.prepared_events import DAY_US, HABIT_HALF_LIFE_DAYS, USERS_AS_OF, WEIGHT_EPOCH_US, run_view_in_parts


def user_history(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> pa.Table:
    """The last 100 interactions of each user, oldest first; events of one moment stand in event_id order."""
    query = f"""
    WITH counts AS (
        SELECT "user", max(place) AS total FROM acts
        WHERE is_interaction AND event_us < $as_of AND "user" BETWEEN $first AND $last GROUP BY "user"
    ),
    last_acts AS (
        SELECT "user", item, event_type, event_us, seq FROM acts JOIN counts USING ("user")
        WHERE is_interaction AND place <= total AND place > total - {HISTORY_LENGTH}
    ),
    histories AS (
        SELECT "user", list_sort(list(struct_pack(seq, item_id, event_type, event_us))) AS entries
        FROM last_acts JOIN item_codes USING (item) GROUP BY "user"
    )
    SELECT user_id,
           coalesce([entry.item_id FOR entry IN entries], []) AS history_item_ids,
           coalesce([entry.event_type FOR entry IN entries], []) AS history_event_types,
           coalesce([make_timestamptz(entry.event_us) FOR entry IN entries], []) AS history_event_times
    FROM ({USERS_AS_OF}) LEFT JOIN histories USING ("user") WHERE "user" BETWEEN $first AND $last
    """
    return run_view_in_parts(connection, USER_HISTORY, as_of, query)


def user_habits(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> pa.Table:
    """The 100 items of each user with the most purchases, each basket once, a purchase 84 days old counting half.

    `habit_counts` are plain baskets; only the order is weighted. Equal weights stand in item_id order.
    """
    # Weights are summed as whole numbers (2^40 = a purchase now): sums of floats depend on the order of threads.
    scale = f"pow(2.0, 40 - ($as_of - {WEIGHT_EPOCH_US}) / {DAY_US * HABIT_HALF_LIFE_DAYS})"
    query = f"""
    WITH pairs AS (
        SELECT "user", item, count(*) AS n, max(event_us) AS last_us, sum((weight * {scale})::BIGINT) AS weight
        FROM purchases WHERE event_us < $as_of AND "user" BETWEEN $first AND $last GROUP BY "user", item
    ),
    tops AS (
        SELECT *, row_number() OVER (PARTITION BY "user" ORDER BY weight DESC, item) AS place FROM pairs
        QUALIFY place <= {HABIT_LENGTH}
    ),
    habits AS (
        SELECT "user", list_sort(list(struct_pack(place, item_id, n, last_us))) AS entries
        FROM tops JOIN item_codes USING (item) GROUP BY "user"
    )
    SELECT user_id,
           coalesce([entry.item_id FOR entry IN entries], []) AS habit_item_ids,
           coalesce([entry.n FOR entry IN entries], []) AS habit_counts,
           coalesce([make_timestamptz(entry.last_us) FOR entry IN entries], []) AS habit_last_times
    FROM ({USERS_AS_OF}) LEFT JOIN habits USING ("user") WHERE "user" BETWEEN $first AND $last
    """
    return run_view_in_parts(connection, USER_HABITS, as_of, query)
