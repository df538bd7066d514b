"""The arrays that every model reads; index 0 is padding everywhere.

Sequences are right-aligned, newest last. Ages are days before the query's as_of.
"""

from dataclasses import dataclass

import numpy as np

SPLITS = ("train", "validation", "test")
#: Days after as_of whose interactions are the truth.
TRUTH_DAYS = 7
SEQUENCE_INPUTS = ("history_items", "history_types", "history_ages", "habit_items", "habit_counts", "habit_ages")
DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Catalogue:
    """The items that can be recommended; item i of the lists has vocabulary index i + 1.

    `prices` is float32 [n], NaN where unknown. `text_vectors` is float32 [n + 1, d], row 0 zeros, an all-zero row where
    an item has no text.
    """

    item_ids: list[str]
    titles: list[str]
    categories: list[str]
    brands: list[str]
    prices: np.ndarray
    text_vectors: np.ndarray

    @property
    def item_count(self) -> int:
        """The number of items, padding not counted."""
        return len(self.item_ids)


@dataclass(frozen=True)
class Queries:
    """Users as seen at a moment: the model's inputs, one row a (user, as_of).

    `history_*` and `habit_*` are [q, 100]. `new_from` int64 [q] is the first history position newer than the same
    user's query before this one: entries from there on are counted here, earlier ones were counted there.
    """

    user_ids: list[str]
    as_of: np.ndarray
    history_items: np.ndarray
    history_types: np.ndarray
    history_ages: np.ndarray
    habit_items: np.ndarray
    habit_counts: np.ndarray
    habit_ages: np.ndarray
    new_from: np.ndarray

    def __len__(self) -> int:
        return len(self.user_ids)

    def rows(self, index: np.ndarray) -> "Queries":
        """Return the queries at these row numbers, in that order."""
        arrays = {name: getattr(self, name)[index] for name in (*SEQUENCE_INPUTS, "as_of", "new_from")}
        return Queries(user_ids=[self.user_ids[row] for row in index], **arrays)


@dataclass(frozen=True)
class Truth:
    """The items each query's user interacts with in the 7 days after as_of, each item once.

    Row q is `items[starts[q]:starts[q + 1]]`, vocabulary indices. An item outside the catalogue stands as 0: it can
    never be hit but still counts as something the user wanted.
    """

    starts: np.ndarray
    items: np.ndarray

    def row(self, query: int) -> np.ndarray:
        """Return the items of one query."""
        return self.items[self.starts[query] : self.starts[query + 1]]

    def counts(self) -> np.ndarray:
        """Return the number of items of each query."""
        return np.diff(self.starts)


@dataclass(frozen=True)
class Cut:
    """Queries at one moment with what came after: the validation cut chooses, the test cut reports once."""

    queries: Queries
    truth: Truth


@dataclass(frozen=True)
class TrainingSet:
    """Everything that training may see: catalogue, training snapshots, and the two cuts.

    `step_truth` is there where the cuts lie within visits (`visits.py`): the next item of each training query, none for
    those that only carry interactions. Without it, the truth of a snapshot is what the later ones hold.
    """

    catalogue: Catalogue
    training: Queries
    validation: Cut
    test: Cut
    t_validation: np.datetime64
    t_test: np.datetime64
    input_hash: str
    step_truth: Truth | None = None

    @property
    def truth_days(self) -> float:
        """Days after a moment whose items are its truth: those between the cuts, where a short past makes them few."""
        between = float((self.t_test - self.t_validation) / np.timedelta64(DAY_US, "us"))
        return between if 0 < between < TRUTH_DAYS else TRUTH_DAYS
