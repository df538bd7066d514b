"""The items that models can recommend, and what a release says of each."""

from datetime import datetime

import pyarrow as pa

from feature_repo.features import ITEM_VIEWS
from flows.feature_rows import historical_rows
from flows.feature_source import open_items
from flows.settings import Settings

# Duplicates of an item in the catalogue: the newest row wins. Not available, not recommended, not learned.
_VOCABULARY = """
WITH newest AS (
    SELECT * FROM items QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY updated_at DESC, source) = 1
), chosen AS (
    SELECT n.item_id, n.title, n.description, n.category, n.brand,
           coalesce(n.price, f.last_price) AS price, n.currency, n.image, n.available, f.* EXCLUDE (item_id)
    FROM newest n LEFT JOIN item_features f USING (item_id) WHERE n.available
    ORDER BY coalesce(f.interaction_count_364d, 0) DESC, n.updated_at DESC, n.item_id LIMIT $limit
)
SELECT * FROM chosen ORDER BY item_id
"""


def catalogue_items(
    settings: Settings, as_of: datetime, source: str | None = None, limit: int | None = None
) -> pa.Table:
    """Return the vocabulary in its order (item_id): catalogue columns and the features of ITEM_SERVICE as of a moment.

    At most `limit` items (else the settings' limit: 20,000 keep a full softmax and one request's top-k affordable on
    two cores): those most interacted with come first, then the newest.
    The item views must have a snapshot at `as_of`. `price` is the catalogue's, else the last one paid. A new item
    without interactions is in as long as there is room: its text speaks for it.
    """
    features = historical_rows(settings, (as_of,), ITEM_VIEWS)
    with open_items(settings, source) as connection:
        connection.register("item_features", features.drop_columns(["event_timestamp"]))
        return connection.sql(_VOCABULARY, params={"limit": limit or settings.vocabulary_limit}).to_arrow_table()
