"""What happens to an item: popularity, price, repeats, company. One row an item of the catalogue or of an event."""

from datetime import datetime

import duckdb
import pyarrow as pa

from feature_repo.features import (
    CO_PURCHASE_LENGTH,
    CO_PURCHASE_MINIMUM,
    ITEM_CO_PURCHASE,
    ITEM_POPULARITY,
    ITEM_PRICE,
    ITEM_REPEAT,
)
from feature_repo.prepared_events import DAY_US, ITEMS_AS_OF, exact_sum, microseconds, run_view, run_view_in_parts
from feature_repo.user_transforms import in_window, windowed

#: Days over which prices are averaged.
PRICE_DAYS = 84
#: Days of visits that co-purchases are counted in; a year of a grocer's baskets has four times the pairs.
CO_PURCHASE_DAYS = 84
#: Visits with more distinct items than this say little of each pair, and cost the square of their size.
CO_PURCHASE_VISIT_SIZE = 100
#: Pairs met in visits that are counted at once: a group of a pair takes some 100 bytes of the 600 MiB.
PART_PAIRS = 3_000_000
#: Visits with company, an item a row, and the visits that each item has.
_COMPANY = f"""
CREATE OR REPLACE TEMP TABLE company AS
WITH met AS (
    SELECT visit, item, bool_or(is_purchase) AS bought FROM acts
    WHERE is_interaction AND has_visit AND {in_window(CO_PURCHASE_DAYS)} GROUP BY visit, item
),
visits AS (
    SELECT visit FROM met GROUP BY visit HAVING count(*) BETWEEN 2 AND {CO_PURCHASE_VISIT_SIZE}
),
sizes AS (SELECT item, count(*) AS n FROM met GROUP BY item HAVING n >= {CO_PURCHASE_MINIMUM})
SELECT visit, item, bought, n FROM met JOIN visits USING (visit) JOIN sizes USING (item)
"""


def item_popularity(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> pa.Table:
    """Interactions and distinct users of each item over the windows; zeros for an item nobody met."""
    query = f"""
    SELECT item_id, a.* EXCLUDE (item) FROM (
        SELECT c.item,
            {windowed("interaction_count", "count(a.item) FILTER ({window})")},
            {windowed("user_count", "count(DISTINCT a.user) FILTER ({window})")}
        FROM ({ITEMS_AS_OF}) c
        LEFT JOIN (SELECT item, "user", event_us FROM acts WHERE is_interaction AND event_us < $as_of) a USING (item)
        GROUP BY c.item
    ) a JOIN item_codes USING (item)
    """
    return run_view(connection, ITEM_POPULARITY, as_of, query)


def item_price(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> pa.Table:
    """Last and mean price paid, and the share of lines sold with a discount; null where nothing was sold."""
    recent = in_window(PRICE_DAYS)
    query = f"""
    WITH lines AS (SELECT item, seq, event_us, unit_price, discount FROM acts WHERE is_purchase AND event_us < $as_of)
    SELECT item_id, last_price, mean_price_84d, item_discount_share FROM ({ITEMS_AS_OF}) LEFT JOIN (
        SELECT item, arg_max(unit_price, seq) FILTER (unit_price IS NOT NULL) AS last_price,
            {exact_sum("unit_price", recent)} / count(unit_price) FILTER ({recent}) AS mean_price_84d,
            count(*) FILTER (discount > 0 AND {recent}) / nullif(count(*) FILTER ({recent}), 0) AS item_discount_share
        FROM lines GROUP BY item
    ) USING (item)
    """
    return run_view(connection, ITEM_PRICE, as_of, query)


def item_repeat(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> pa.Table:
    """The share of an item's buyers who bought it in a second basket, and the median days from basket to basket."""
    query = f"""
    WITH gaps AS (
        SELECT item, "user", event_us - lag(event_us) OVER (PARTITION BY item, "user" ORDER BY event_us) AS gap
        FROM purchases WHERE event_us < $as_of
    ),
    rates AS (
        SELECT item, count(DISTINCT "user") FILTER (gap IS NOT NULL) / count(DISTINCT "user") AS repeat_rate,
               median(gap) / {DAY_US} AS median_days_between_repeats
        FROM gaps GROUP BY item
    )
    SELECT item_id, repeat_rate, median_days_between_repeats FROM ({ITEMS_AS_OF}) LEFT JOIN rates USING (item)
    """
    return run_view(connection, ITEM_REPEAT, as_of, query)


def item_co_purchase(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> pa.Table:
    """The 20 items met most in the same basket or session in the last 84 days, by cosine, and what was bought there.

    cosine(i, j) = visits with both / sqrt(visits with i × visits with j); a pair needs 2 visits, a visit has at most
    100 distinct items. Some items after the others: four million lines of a grocer have more pairs than fit at once.
    """
    connection.execute(_COMPANY, {"as_of": microseconds(as_of)})
    query = f"""
    WITH pairs AS (
        SELECT a.item, b.item AS other, count(*) / sqrt(any_value(a.n) * any_value(b.n)) AS score,
               count(*) FILTER (a.bought AND b.bought) AS bought
        FROM company a JOIN company b ON a.visit = b.visit AND a.item <> b.item
        WHERE a.item BETWEEN $first AND $last
        GROUP BY a.item, b.item HAVING count(*) >= {CO_PURCHASE_MINIMUM}
    ),
    scored AS (
        SELECT item, other, score, bought FROM pairs
        QUALIFY row_number() OVER (PARTITION BY item ORDER BY score DESC, other) <= {CO_PURCHASE_LENGTH}
    ),
    neighbours AS (
        SELECT s.item, list(o.item_id ORDER BY score DESC, other) AS ids,
               list(score ORDER BY score DESC, other) AS scores,
               list(bought ORDER BY score DESC, other) AS bought
        FROM scored s JOIN item_codes o ON o.item = s.other GROUP BY s.item
    )
    SELECT item_id, coalesce(ids, []) AS co_purchase_item_ids, coalesce(scores, []) AS co_purchase_scores,
           coalesce(bought, []) AS co_purchase_bought
    FROM ({ITEMS_AS_OF}) LEFT JOIN neighbours USING (item) WHERE item BETWEEN $first AND $last
    """
    return run_view_in_parts(connection, ITEM_CO_PURCHASE, as_of, query, item_parts(connection, PART_PAIRS))


def item_parts(connection: duckdb.DuckDBPyConnection, pairs: int) -> list[tuple[int, int]]:
    """Return ranges of item codes, first and last: together every item, each with at most about so many pairs met."""
    query = """
    WITH sizes AS (SELECT visit, count(*) AS size FROM company GROUP BY visit),
    met AS (SELECT item, sum(size) AS n FROM company JOIN sizes USING (visit) GROUP BY item),
    sums AS (
        SELECT item, sum(coalesce(n, 0) + 1) OVER (ORDER BY item ROWS UNBOUNDED PRECEDING) AS total
        FROM item_codes LEFT JOIN met USING (item)
    )
    SELECT min(item), max(item) FROM sums GROUP BY total // $pairs ORDER BY 1
    """
    return connection.execute(query, {"pairs": pairs}).fetchall() or [(1, 0)]
