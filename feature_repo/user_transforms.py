"""What a user does, as numbers: activity, affinity, channels, rhythm, coupons. One row a user seen before as_of."""

from datetime import datetime

import duckdb
import pyarrow as pa

from feature_repo.features import (
    USER_ACTIVITY,
    USER_AFFINITY,
    USER_CHANNELS,
    USER_COUPONS,
    USER_RHYTHM,
    WINDOWS_DAYS,
)
from feature_repo.prepared_events import DAY_US, USERS_AS_OF, exact_sum, run_view
from feature_repo.schema import CHANNELS

#: Days that shares, affinities and rhythm look back.
YEAR_DAYS = 364
#: Categories and brands kept of a user's affinity.
AFFINITY_LENGTH = 5


def in_window(days: int) -> str:
    """Return the SQL condition "in the last `days` days before as_of"; as_of itself is outside."""
    return f"event_us >= $as_of - {days * DAY_US} AND event_us < $as_of"


def windowed(name: str, expression: str) -> str:
    """Return one SQL column a window; `{window}` in the expression stands for the window's condition."""
    return ", ".join(f"{expression.format(window=in_window(days))} AS {name}_{days}d" for days in WINDOWS_DAYS)


def user_activity(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> pa.Table:
    """Recency, frequency and spend over the windows; discount share = discount / (spend + discount), 0 without both."""
    spend, discount = (f"coalesce({exact_sum(each, '{window}')}, 0)" for each in ("spend", "discount"))
    query = f"""
    SELECT user_id, a.* EXCLUDE ("user") FROM (
        SELECT "user",
            ($as_of - max(event_us)) / {DAY_US} AS days_since_last_event,
            ($as_of - max(event_us) FILTER (is_purchase)) / {DAY_US} AS days_since_last_purchase,
            ($as_of - min(event_us)) / {DAY_US} AS days_since_first_event,
            {windowed("event_count", "count(*) FILTER ({window})")},
            {windowed("basket_count", "count(DISTINCT basket) FILTER (is_purchase AND {window})")},
            {windowed("purchase_count", "count(*) FILTER (is_purchase AND {window})")},
            {windowed("spend", spend)},
            {windowed("discount_share", f"least(coalesce({discount} / nullif({spend} + {discount}, 0), 0), 1)")}
        FROM acts WHERE event_us < $as_of GROUP BY "user"
    ) a JOIN user_codes USING ("user")
    """
    return run_view(connection, USER_ACTIVITY, as_of, query)


def user_affinity(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> pa.Table:
    """The first-level categories and the brands that a user meets most, with their share of all interactions."""
    query = f"""
    WITH recent AS (SELECT "user", item FROM acts WHERE is_interaction AND {in_window(YEAR_DAYS)}),
    totals AS (SELECT "user", count(*) AS total FROM recent GROUP BY "user"),
    {_top("category")}, {_top("brand")}
    SELECT user_id,
        coalesce(category_names, []) AS top_categories, coalesce(category_shares, []) AS top_category_shares,
        coalesce(brand_names, []) AS top_brands, coalesce(brand_shares, []) AS top_brand_shares
    FROM ({USERS_AS_OF}) LEFT JOIN top_category USING ("user") LEFT JOIN top_brand USING ("user")
    """
    return run_view(connection, USER_AFFINITY, as_of, query)


def _top(attribute: str) -> str:
    return f"""
    {attribute}_counts AS (
        SELECT "user", {attribute}, count(*) AS n FROM recent JOIN item_codes USING (item)
        WHERE {attribute} IS NOT NULL AND {attribute} <> '' GROUP BY "user", {attribute}
        QUALIFY row_number() OVER (PARTITION BY "user" ORDER BY n DESC, {attribute}) <= {AFFINITY_LENGTH}
    ),
    top_{attribute} AS (
        SELECT "user", list({attribute} ORDER BY n DESC, {attribute}) AS {attribute}_names,
               list(n / total ORDER BY n DESC, {attribute}) AS {attribute}_shares
        FROM {attribute}_counts JOIN totals USING ("user") GROUP BY "user"
    )"""


def user_channels(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> pa.Table:
    """The share of a user's events on each channel in the last year; zeros when there are none."""
    recent = in_window(YEAR_DAYS)
    shares = ", ".join(
        f"coalesce(count(*) FILTER (channel = '{channel}' AND {recent}) / nullif(count(*) FILTER ({recent}), 0), 0) "
        f"AS {channel}_share"
        for channel in CHANNELS
    )
    query = f"""
    SELECT user_id, a.* EXCLUDE ("user")
    FROM (SELECT "user", {shares} FROM acts WHERE event_us < $as_of GROUP BY "user") a JOIN user_codes USING ("user")
    """
    return run_view(connection, USER_CHANNELS, as_of, query)


def user_rhythm(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> pa.Table:
    """When a user comes: shares by hour (UTC) and weekday (Monday first), and the median gap between baskets."""
    recent = in_window(YEAR_DAYS)
    total = f"nullif(count(*) FILTER ({recent}), 0)"
    hours = ", ".join(f"coalesce(count(*) FILTER (hour = {hour} AND {recent}) / {total}, 0)" for hour in range(24))
    days = ", ".join(f"coalesce(count(*) FILTER (weekday = {day} AND {recent}) / {total}, 0)" for day in range(7))
    # 1970-01-01 was a Thursday, the fourth day (3) of a week that starts on Monday (0).
    query = f"""
    WITH shares AS (
        SELECT "user", [{hours}] AS hour_shares, [{days}] AS weekday_shares FROM (
            SELECT "user", event_us, (event_us // {DAY_US // 24}) % 24 AS hour,
                   (event_us // {DAY_US} + 3) % 7 AS weekday
            FROM acts WHERE event_us < $as_of
        ) GROUP BY "user"
    ),
    baskets AS (
        SELECT "user", min(event_us) AS began FROM acts WHERE is_purchase AND {recent} GROUP BY "user", basket
    ),
    gaps AS (
        SELECT "user", median(gap) / {DAY_US} AS median_days_between_baskets
        FROM (SELECT "user", began - lag(began) OVER (PARTITION BY "user" ORDER BY began) AS gap FROM baskets)
        GROUP BY "user"
    )
    SELECT user_id, hour_shares, weekday_shares, median_days_between_baskets
    FROM shares JOIN user_codes USING ("user") LEFT JOIN gaps USING ("user")
    """
    return run_view(connection, USER_RHYTHM, as_of, query)


def user_coupons(connection: duckdb.DuckDBPyConnection, as_of: datetime) -> pa.Table:
    """How a user answers to coupons: redemptions over the windows, and lines bought with money off."""
    bought = f"is_purchase AND {in_window(YEAR_DAYS)}"
    query = f"""
    SELECT user_id, a.* EXCLUDE ("user") FROM (
        SELECT "user",
            {windowed("redemption_count", "count(*) FILTER (is_redemption AND {window})")},
            coalesce(
                count(*) FILTER (discount > 0 AND {bought}) / nullif(count(*) FILTER ({bought}), 0), 0
            ) AS discounted_line_share,
            ($as_of - max(event_us) FILTER (is_redemption)) / {DAY_US} AS days_since_last_redemption
        FROM acts WHERE event_us < $as_of GROUP BY "user"
    ) a JOIN user_codes USING ("user")
    """
    return run_view(connection, USER_COUPONS, as_of, query)
