"""Rows of the feature service, turned into a training set's arrays."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feature_repo.features import EVENT_TIMESTAMP, HABIT_LENGTH, HISTORY_LENGTH
from feature_repo.schema import INTERACTION_TYPES
from training.dataset import DAY_US, SEQUENCE_INPUTS, SPLITS, Catalogue, Cut, Queries, TrainingSet, Truth


def from_arrow(
    histories: pa.Table,
    items: pa.Table,
    text_vectors: np.ndarray,
    truths: dict[str, pa.Table],
    input_hash: str = "",
) -> TrainingSet:
    """Turn the feature service's rows into a training set.

    `histories`: user_id, event_timestamp (as_of), split, and the history and habit features. `items`: item_id, title,
    category, brand, price; their order is the vocabulary's. `text_vectors`: one row an item. `truths`: for 'validation'
    and 'test' a table of user_id, item_id. Raises ValueError naming the table and column that does not fit.
    """
    catalogue = catalogue_of(items, text_vectors)
    split = histories["split"].to_numpy(zero_copy_only=False)
    unknown = sorted(set(split.tolist()) - set(SPLITS))
    if unknown:
        raise ValueError(f"histories.split: expected one of {SPLITS}, came {unknown}: name the split of every row.")
    told = tells(histories, split)
    histories, split = histories.filter(pa.array(told)), split[told]
    queries = queries_of(histories, catalogue)
    order = order_by_content(queries)
    queries, split = queries.rows(order), split[order]
    parts = {name: queries.rows(np.flatnonzero(split == name)) for name in SPLITS}
    cuts = {}
    for name in ("validation", "test"):
        if not len(parts[name]) or len(np.unique(parts[name].as_of)) != 1:
            raise ValueError(
                f"histories: expected rows of split {name!r} at exactly one event_timestamp, came {len(parts[name])} "
                f"rows at {len(np.unique(parts[name].as_of))}: build the training set again."
            )
        cuts[name] = Cut(parts[name], _truth(truths[name], parts[name], catalogue))
    return TrainingSet(
        catalogue=catalogue,
        training=parts["train"],
        validation=cuts["validation"],
        test=cuts["test"],
        t_validation=parts["validation"].as_of[0],
        t_test=parts["test"].as_of[0],
        input_hash=input_hash,
    )


def catalogue_of(items: pa.Table, text_vectors: np.ndarray) -> Catalogue:
    """Return the vocabulary; `items`: item_id, title, category, brand, price, a row of `text_vectors` each."""
    item_ids = items["item_id"].to_pylist()
    if len(set(item_ids)) != len(item_ids):
        raise ValueError("items.item_id: expected each item once, came duplicates: keep the newest row of an item.")
    if text_vectors.shape[0] != len(item_ids):
        raise ValueError(
            f"text_vectors: expected {len(item_ids)} rows, one an item, came {text_vectors.shape[0]}: embed again."
        )
    vectors = np.zeros((len(item_ids) + 1, text_vectors.shape[1]), dtype=np.float32)
    vectors[1:] = text_vectors
    prices = pc.fill_null(items["price"].cast(pa.float32()), float("nan")).to_numpy()
    lists = {
        name: pc.fill_null(items[name].cast(pa.string()), "").to_pylist() for name in ("title", "category", "brand")
    }
    return Catalogue(item_ids, lists["title"], lists["category"], lists["brand"], prices, vectors)


def queries_of(histories: pa.Table, catalogue: Catalogue) -> Queries:
    """Return the feature service's rows as arrays; items outside the catalogue are left out."""
    vocabulary = pa.array(catalogue.item_ids, pa.string())
    as_of = _microseconds(histories[EVENT_TIMESTAMP])
    times = _microseconds(_values(histories["history_event_times"]))
    kinds = pc.index_in(_values(histories["history_event_types"]), pa.array(INTERACTION_TYPES))
    kinds = pc.fill_null(pc.add(kinds, 1), 0).to_numpy().astype(np.int64)
    history = _Ragged(histories["history_item_ids"], vocabulary, HISTORY_LENGTH, keep_last=True)
    habits = _Ragged(histories["habit_item_ids"], vocabulary, HABIT_LENGTH, keep_last=False)
    bought = _microseconds(_values(histories["habit_last_times"]))
    counts = pc.fill_null(_values(histories["habit_counts"]), 0).to_numpy()
    user_ids = histories["user_id"].to_pylist()
    items = history.pad(history.items)
    padded_times = history.pad(times)
    return Queries(
        user_ids=user_ids,
        as_of=as_of.astype("datetime64[us]"),
        history_items=items,
        history_types=history.pad(kinds),
        history_ages=history.pad(((as_of[history.parent] - times) / DAY_US).astype(np.float32)),
        habit_items=habits.pad(habits.items),
        habit_counts=habits.pad(counts.astype(np.float32)),
        habit_ages=habits.pad(((as_of[habits.parent] - bought) / DAY_US).astype(np.float32)),
        new_from=_new_from(user_ids, as_of, items, padded_times),
    )


def tells(histories: pa.Table, split: np.ndarray) -> np.ndarray:
    """Return which rows say anything, bool [rows]: both cuts, and training rows around which the user did something.

    Others hold no interaction of their own and have no truth; where users come seldom, nearly all training rows do.
    """
    as_of = _microseconds(histories[EVENT_TIMESTAMP])
    codes = pc.dictionary_encode(histories["user_id"].combine_chunks()).indices.to_numpy()
    lists = histories["history_event_times"].combine_chunks()
    ends = np.cumsum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy())
    starts = np.concatenate(([0], ends))[:-1]
    times = np.concatenate((_microseconds(pc.list_flatten(lists)), [0]))
    last = np.where(ends > starts, times[ends - 1], np.iinfo(np.int64).min)
    order = np.lexsort((as_of, codes))
    same_user = codes[order][1:] == codes[order][:-1]
    previous = np.full(len(as_of), np.iinfo(np.int64).min + 1)
    previous[order[1:][same_user]] = as_of[order[:-1][same_user]]
    fresh = last >= previous
    soon = np.zeros(len(as_of), dtype=bool)
    soon[order[:-1][same_user]] = fresh[order[1:][same_user]]
    return np.asarray((split != "train") | fresh | soon)


def order_by_content(queries: Queries) -> np.ndarray:
    """Return the row numbers by user, then as_of; users stand by a digest of when they did what kind of thing.

    Batches follow the order of rows: neither another pseudonym key nor other names of items give another model.
    """
    told = [name for name in SEQUENCE_INPUTS if not name.endswith("_items")]
    in_time = np.lexsort((np.array(queries.user_ids, dtype=object).astype(str), queries.as_of))
    digests: dict[str, bytes] = {}
    for row in in_time:
        content = b"".join(getattr(queries, name)[row].tobytes() for name in told)
        user = queries.user_ids[row]
        digests[user] = hashlib.sha256(digests.get(user, b"") + content).digest()
    place = {user: number for number, user in enumerate(sorted(digests, key=lambda user: (digests[user], user)))}
    return np.lexsort((queries.as_of, np.array([place[user] for user in queries.user_ids])))


class _Ragged:
    """A list column of item ids and the places its known items take in a right-aligned array."""

    def __init__(self, column: pa.ChunkedArray, vocabulary: pa.Array, length: int, keep_last: bool) -> None:
        lists = column.combine_chunks()
        self.shape = (len(lists), length)
        self.parent = pc.list_parent_indices(lists).to_numpy().astype(np.int64)
        found = pc.index_in(_values(column), vocabulary)
        self.items = pc.fill_null(pc.add(found, 1), 0).to_numpy().astype(np.int64)
        known = np.flatnonzero(self.items > 0)
        counts = np.bincount(self.parent[known], minlength=len(lists))
        starts = np.concatenate(([0], np.cumsum(counts)))[:-1]
        rank = np.arange(len(known)) - starts[self.parent[known]]
        kept = np.minimum(counts, length)[self.parent[known]]
        drop = (counts[self.parent[known]] - kept) if keep_last else np.zeros_like(rank)
        inside = (rank >= drop) & (rank - drop < kept)
        self.source = known[inside]
        self.row = self.parent[self.source]
        self.column = (length - kept + rank - drop)[inside]

    def pad(self, values: np.ndarray) -> np.ndarray:
        """Place flat values into [rows, length], zeros elsewhere."""
        padded = np.zeros(self.shape, dtype=values.dtype)
        padded[self.row, self.column] = values[self.source]
        return padded


def _values(column: pa.ChunkedArray) -> pa.Array:
    return pc.list_flatten(column.combine_chunks())


def _microseconds(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Return timestamps as int64 microseconds since 1970 (a null becomes 0)."""
    unit = column.cast(pa.timestamp("us", tz=getattr(column.type, "tz", None)))
    return pc.fill_null(unit.cast(pa.int64()), 0).to_numpy()


def _new_from(user_ids: list[str], as_of: np.ndarray, items: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the first history position at or after the same user's query before; all of them for a first query."""
    codes = np.unique(np.array(user_ids, dtype=object).astype(str), return_inverse=True)[1]
    order = np.lexsort((as_of, codes))
    previous = np.full(len(as_of), np.iinfo(np.int64).min)
    same_user = codes[order][1:] == codes[order][:-1]
    previous[order[1:][same_user]] = as_of[order[:-1][same_user]]
    old = (items == 0) | (times < previous[:, None])
    return old.sum(axis=1).astype(np.int64)


def _truth(rows: pa.Table, queries: Queries, catalogue: Catalogue) -> Truth:
    """Return the truth of each query; rows of users without a query are left out."""
    users = pc.fill_null(pc.index_in(rows["user_id"].combine_chunks(), pa.array(queries.user_ids, pa.string())), -1)
    found = pc.index_in(rows["item_id"].combine_chunks(), pa.array(catalogue.item_ids, pa.string()))
    pairs = np.stack([users.to_numpy(), pc.fill_null(pc.add(found, 1), 0).to_numpy()], axis=1).astype(np.int64)
    unknown = pairs[(pairs[:, 0] >= 0) & (pairs[:, 1] == 0)]
    pairs = np.concatenate([np.unique(pairs[(pairs[:, 0] >= 0) & (pairs[:, 1] > 0)], axis=0), unknown])
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    counts = np.bincount(pairs[:, 0], minlength=len(queries))
    return Truth(np.concatenate(([0], np.cumsum(counts))), pairs[:, 1])
