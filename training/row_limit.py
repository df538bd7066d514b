"""Which users a training set keeps where there are more rows than it may hold: whole users, never a part of one.

A row holds 200 places of history and habits, about 3.6 kB: a million visitors at a dozen moments would take 40 GB.
Those who judge the models stay first, then those from whom a step can be learned, then the others.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

#: Multipliers of splitmix64 (Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014).
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def users_within(known: pa.Table, judged: pa.Array, limit: int) -> pa.Array:
    """Return the ids of as many users as fit into `limit` rows.

    `known`: user_id, each once; `rows` that it takes; `length` of its longest history; `newest`, the time of the last
    event there (microseconds since 1970). `judged`: ids of users with a truth. Of equal ones who stays goes by a number
    made of when they did things: it does not depend on their ids.
    """
    users = known["user_id"].combine_chunks()
    rows, length, newest = (known[name].to_numpy() for name in ("rows", "length", "newest"))
    judges = pc.is_in(users, judged.cast(users.type)).to_numpy(zero_copy_only=False)
    order = np.lexsort((_drawn(newest, length), length < 2, ~judges))
    return users.take(pa.array(np.sort(order[np.cumsum(rows[order]) <= limit])))


def rows_within(histories: pa.Table, judged: pa.Array, limit: int) -> pa.Table:
    """Return the rows of the users of `users_within`, in their order; all rows where they fit.

    `histories`: user_id, history_event_times and others.
    """
    if len(histories) <= limit:
        return histories
    coded = pc.dictionary_encode(histories["user_id"].combine_chunks())
    rows = coded.indices.to_numpy()
    length, newest = _past(histories, rows, len(coded.dictionary))
    columns = {"user_id": coded.dictionary, "rows": np.bincount(rows), "length": length, "newest": newest}
    kept = users_within(pa.table(columns), judged, limit)
    return histories.filter(pc.is_in(histories["user_id"], kept))


def _past(histories: pa.Table, rows: np.ndarray, users: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the longest history of each user, and the time of the newest event in it (microseconds; 0 without)."""
    lists = histories["history_event_times"].combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy().astype(np.int64)
    ends = np.cumsum(lengths)
    times = pc.fill_null(
        pc.list_flatten(lists).cast(pa.timestamp("us", tz=_zone(lists))).cast(pa.int64()), 0
    ).to_numpy()
    last = np.where(lengths > 0, np.concatenate((times, [0]))[np.maximum(ends - 1, 0)], 0)
    length, newest = np.zeros(users, dtype=np.int64), np.zeros(users, dtype=np.int64)
    np.maximum.at(length, rows, lengths)
    np.maximum.at(newest, rows, last)
    return length, newest


def _zone(lists: pa.ListArray) -> str | None:
    zone: str | None = getattr(lists.type.value_type, "tz", None)
    return zone


def _drawn(newest: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Return a number that looks drawn, uint64 [users]."""
    mixed = newest.astype(np.uint64) * _MIX[0] + length.astype(np.uint64)
    for shift, multiplier in ((30, _MIX[1]), (27, _MIX[2])):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * multiplier
    drawn: np.ndarray = mixed ^ (mixed >> np.uint64(31))
    return drawn
