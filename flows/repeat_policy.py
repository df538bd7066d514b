"""What comes again, by category, learned from what people did: the policies that a release carries.

People buy milk again and a television hardly ever. Of the users who bought (or first only looked at) an item, those who
came back to it are counted over each category. Users of one visit only (guests with a new id for each order) could not
come back and are not counted. Where clearly too few do, the item is not shown to them again.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from feature_repo.prepared_events import microseconds
from flows.feature_source import open_events
from flows.settings import Settings

SEPARATOR = " > "
#: Days that a user has had to come back before they count: who bought yesterday says nothing yet.
SETTLED = timedelta(days=28)
#: Users of a category's items from which it is judged for itself; below, its parent is.
LEAST_USERS = 50
#: Shares of users who come back below which (by the upper end of the 95 % interval) an item is not shown again.
LEAST_SHARES = {"bought": 0.05, "seen": 0.02}
_Z = 1.96

# Users who came more than once: on two days, or with two baskets.
_RETURNING = """
    SELECT "user" FROM acts WHERE is_interaction AND event_us < $as_of GROUP BY "user"
    HAVING count(DISTINCT event_us // 86400000000) > 1 OR count(DISTINCT basket) FILTER (is_purchase) > 1
"""
# A user and an item, from the first deed: bought again in another basket; only looked at, then met on another day.
_PAIRS = {
    "bought": """
        SELECT item, "user", min(event_us) AS first_us, count(*) > 1 AS again
        FROM purchases WHERE event_us < $as_of GROUP BY item, "user"
    """,
    "seen": """
        SELECT item, "user", min(event_us) AS first_us, count(DISTINCT event_us // 86400000000) > 1 AS again
        FROM acts WHERE is_interaction AND event_us < $as_of
        GROUP BY item, "user" HAVING NOT arg_min(is_purchase, seq)
    """,
}


def repeat_policies(settings: Settings, as_of: datetime, source: str | None, items: pa.Table) -> dict[str, Any]:
    """Return the policies as a release keeps them (policies.json).

    `items` has item_id and category (a path). `categories` are paths and their beginnings, '' the whole shop, each with
    what was counted and decided of bought and of seen items; one that is not listed is as its parent.
    """
    counted: dict[str, dict[str, list[int]]] = defaultdict(lambda: {deed: [0, 0] for deed in _PAIRS})
    paths = dict(zip(items["item_id"].to_pylist(), items["category"].to_pylist(), strict=True))
    with open_events(settings, source) as connection:
        for deed, pairs in _PAIRS.items():
            query = f"""
                SELECT item_id, count(*), count(*) FILTER (again)
                FROM ({pairs}) SEMI JOIN ({_RETURNING}) USING ("user") JOIN item_codes USING (item)
                WHERE first_us < $settled GROUP BY item_id ORDER BY item_id
            """
            moments = {"as_of": microseconds(as_of), "settled": microseconds(as_of - SETTLED)}
            for item_id, users, again in connection.execute(query, moments).fetchall():
                for path in _beginnings(paths.get(item_id)):
                    counted[path][deed][0] += users
                    counted[path][deed][1] += again
    categories = [row for path in sorted(counted) if len(row := _decided(path, counted[path])) > 1]
    return {"schema": 1, "settled_days": SETTLED.days, "least_shares": LEAST_SHARES, "categories": categories}


def comes_again(users: int, again: int, least: float) -> bool:
    """Say whether enough users come back: the upper end of Wilson's 95 % interval of their share reaches `least`."""
    share, z2 = again / users, _Z**2
    middle = share + z2 / (2 * users)
    reach = _Z * math.sqrt(share * (1 - share) / users + z2 / (4 * users**2))
    return (middle + reach) / (1 + z2 / users) >= least


def _decided(path: str, counts: dict[str, list[int]]) -> dict[str, Any]:
    row: dict[str, Any] = {"category": path}
    for deed, (users, again) in counts.items():
        if users >= LEAST_USERS:
            row[deed] = {"users": users, "again": again, "show": comes_again(users, again, LEAST_SHARES[deed])}
    return row


def _beginnings(path: str | None) -> Iterator[str]:
    yield ""
    parts = path.split(SEPARATOR) if path else []
    for length in range(1, len(parts) + 1):
        yield SEPARATOR.join(parts[:length])
