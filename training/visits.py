"""The training set of a shop where few users come back, or whose past is short: what a visitor turns to next.

The newest visitors' last steps are the truth of the two cuts, and what they did before is the query (leave-one-out over
the users of a time, the protocol of session-based recommendation: Hidasi et al., ICLR 2016). A step is a turn to
another item than the one before: seeing an item and then buying it is one. Earlier visitors' steps are learned from.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from feature_repo.schema import INTERACTION_TYPES
from training.dataset import DAY_US, Catalogue, Cut, Queries, TrainingSet, Truth
from training.dataset_rows import catalogue_of, order_by_content, queries_of

#: Share of the visitors with a step, by the time of their last one, that each of the two cuts has: the newest ones.
CUT_SHARE = 0.15
#: Visitors with a step below which there is nothing to judge by.
LEAST_VISITORS = 20
#: Steps of one visitor that are learned from, and steps in all: the newest.
STEPS_A_VISITOR = 10
MOST_STEPS = 100_000
_PURCHASE = 1 + INTERACTION_TYPES.index("purchase")


@dataclass(frozen=True)
class Steps:
    """Turns to another item: the query's row, the position in its history, and the days before the query's as_of.

    Sorted by row, then position.
    """

    row: np.ndarray
    position: np.ndarray
    age: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    def pick(self, index: np.ndarray) -> "Steps":
        """Return these steps, in that order."""
        return Steps(self.row[index], self.position[index], self.age[index])


def from_visits(histories: pa.Table, items: pa.Table, text_vectors: np.ndarray, input_hash: str = "") -> TrainingSet:
    """Turn the feature service's rows of one moment, after the newest event, into a training set of visits.

    `histories`: user_id, event_timestamp, the history and habit features; `items`, `text_vectors` as `from_arrow` takes
    them. Raises LookupError where too few visitors turned to a second item.
    """
    catalogue = catalogue_of(items, text_vectors)
    queries = queries_of(histories, catalogue)
    return visit_training_set(catalogue, queries.rows(order_by_content(queries)), input_hash)


def visit_training_set(catalogue: Catalogue, queries: Queries, input_hash: str = "") -> TrainingSet:
    """Return the training set of these users' visits; `queries` has one row a user, all at one moment.

    Raises LookupError where fewer than 20 of them turned to a second item.
    """
    steps = steps_of(queries)
    last = steps.pick(np.flatnonzero(np.diff(steps.row, append=-1) != 0))
    if len(last) < LEAST_VISITORS:
        raise LookupError(
            f"Expected at least {LEAST_VISITORS} users who turned to a second item of the catalogue, came {len(last)} "
            f"of {len(queries)}: there is nothing to judge a model by. Land more events: aisle ingest. If there are "
            "more, user_id or item_id may be read from the wrong column: aisle source check"
        )
    newest_last = last.pick(np.argsort(-last.age, kind="stable"))
    share = max(1, round(CUT_SHARE * len(last)))
    tested, validated = (
        newest_last.pick(np.arange(len(last))[-share:]),
        newest_last.pick(np.arange(len(last))[-2 * share : -share]),
    )
    edge = float(validated.age.max())
    training, step_truth = _training(queries, steps, np.concatenate([tested.row, validated.row]), edge)
    cuts = [Cut(before(queries, picked), _truth(queries, picked)) for picked in (validated, tested)]
    moments = [_moment(queries, float(picked.age.max())) for picked in (validated, tested)]
    return TrainingSet(catalogue, training, cuts[0], cuts[1], moments[0], moments[1], input_hash, step_truth)


def steps_of(queries: Queries) -> Steps:
    """Return every turn to another item that has something before it."""
    items = queries.history_items
    turned = np.zeros(items.shape, dtype=bool)
    turned[:, 1:] = (items[:, 1:] > 0) & (items[:, :-1] > 0) & (items[:, 1:] != items[:, :-1])
    row, position = np.nonzero(turned)
    return Steps(row, position, queries.history_ages[row, position])


def before(queries: Queries, steps: Steps) -> Queries:
    """Return what was known just before each step: the history up to it, the habits of that history, ages from then.

    `new_from` counts nothing: these rows carry no interaction of their own.
    """
    length = queries.history_items.shape[1]
    source = np.arange(length) - (length - steps.position)[:, None]
    live = (source >= 0) & (queries.history_items[steps.row[:, None], np.maximum(source, 0)] > 0)

    def shifted(values: np.ndarray) -> np.ndarray:
        taken = values[steps.row[:, None], np.maximum(source, 0)]
        return np.where(live, taken, np.zeros((), dtype=values.dtype))

    ages = np.where(live, np.maximum(shifted(queries.history_ages) - steps.age[:, None], 0), 0).astype(np.float32)
    items, types = shifted(queries.history_items), shifted(queries.history_types)
    habits = habits_of(items, types, ages, queries.habit_items.shape[1])
    as_of = queries.as_of[steps.row] - _days(steps.age)
    nothing = np.full(len(steps), length, dtype=np.int64)
    user_ids = [queries.user_ids[row] for row in steps.row]
    return Queries(user_ids, as_of, items, types, ages, *habits, nothing)


def habits_of(
    items: np.ndarray, types: np.ndarray, ages: np.ndarray, length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (habit_items, habit_counts, habit_ages) [rows, length] of histories: what was bought, most often first.

    Purchases of an item at one moment are one; the newest tells the age. Right-aligned, zeros elsewhere.
    """
    shape = (len(items), length)
    habit_items, counts, last = np.zeros(shape, np.int64), np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    row, position = np.nonzero((items > 0) & (types == _PURCHASE))
    bought = np.unique(np.stack([row, items[row, position], ages[row, position]], axis=1), axis=0)
    if not len(bought):
        return habit_items, counts, last
    pairs, first, times = np.unique(bought[:, :2], axis=0, return_index=True, return_counts=True)
    order = np.lexsort((pairs[:, 1], bought[first, 2], -times, pairs[:, 0]))
    owner = pairs[order, 0].astype(np.int64)
    size = np.bincount(owner, minlength=len(items))
    rank = np.arange(len(owner)) - (np.cumsum(size) - size)[owner]
    kept = rank < length
    owner, order, rank = owner[kept], order[kept], rank[kept]
    column = length - np.minimum(size, length)[owner] + rank
    habit_items[owner, column] = pairs[order, 1].astype(np.int64)
    counts[owner, column] = times[order]
    last[owner, column] = bought[first[order], 2]
    return habit_items, counts, last


def _training(queries: Queries, steps: Steps, held: np.ndarray, edge: float) -> tuple[Queries, Truth]:
    """Return what may be learned from: a row a user with its interactions, then a row a step with its truth.

    Of nobody anything after the first cut, `edge` days before the moment; of users whose last step is `held` for a cut
    nothing of its very moment either. A visitor with one item is held for no cut, and would tell what came after it.
    """
    is_held = np.isin(np.arange(len(queries)), held)
    early = (queries.history_ages > edge) | (~is_held[:, None] & (queries.history_ages == edge))
    live = queries.history_items > 0
    position = queries.history_items.shape[1] - (live & ~early).sum(axis=1)
    whole = before(queries, Steps(np.arange(len(queries)), position, np.full(len(queries), np.float32(edge))))
    whole.new_from[:] = 0
    learned = steps.pick(np.flatnonzero(~is_held[steps.row] | (steps.age > edge)))
    size = np.bincount(learned.row, minlength=len(queries))
    left = np.cumsum(size)[learned.row] - np.arange(len(learned))
    learned = learned.pick(np.flatnonzero(left <= STEPS_A_VISITOR))
    learned = learned.pick(np.sort(np.argsort(learned.age, kind="stable")[:MOST_STEPS]))
    told = _truth(queries, learned)
    starts = np.concatenate([np.zeros(len(whole), dtype=np.int64), told.starts])
    return _joined(whole, before(queries, learned)), Truth(starts, told.items)


def _joined(first: Queries, second: Queries) -> Queries:
    arrays = {
        name: np.concatenate([getattr(first, name), getattr(second, name)])
        for name in Queries.__dataclass_fields__
        if name != "user_ids"
    }
    return Queries(user_ids=[*first.user_ids, *second.user_ids], **arrays)


def _truth(queries: Queries, steps: Steps) -> Truth:
    return Truth(np.arange(len(steps) + 1), queries.history_items[steps.row, steps.position])


def _moment(queries: Queries, age: float) -> np.datetime64:
    moment: np.datetime64 = queries.as_of[0] - _days(np.array(age))
    return moment


def _days(age: np.ndarray) -> np.ndarray:
    return np.round(age.astype(np.float64) * DAY_US).astype("timedelta64[us]")
