"""Leave-one-out over sequences: a user's last item is the test, the one before it the validation, the rest trains.

The protocol of the sequential-recommendation papers (Kang and McAuley, SASRec, ICDM 2018), full ranking over all items.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from training.sequence_rows import require, seconds

#: Items held out at the end of a sequence when a cut is looked at.
HELD_OUT = {"validation": 2, "test": 1}
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Sequences:
    """Users' items in time order: `items` int64 flat (1 … item_count), user u owns `starts[u]:starts[u + 1]`."""

    items: np.ndarray
    starts: np.ndarray
    item_count: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    def before(self, held_out: int) -> list[np.ndarray]:
        """Return each user's items without the last `held_out`."""
        return [
            self.items[first : last - held_out] for first, last in zip(self.starts[:-1], self.starts[1:], strict=True)
        ]

    def wanted(self, held_out: int) -> np.ndarray:
        """Return the item that follows `before(held_out)`, int64 [users]."""
        wanted: np.ndarray = self.items[self.starts[1:] - held_out]
        return wanted


def read_sequences(interactions: pd.DataFrame, items: pd.DataFrame, shuffle_ties: int | None = None) -> Sequences:
    """Return the sequences of users with at least 3 interactions.

    `interactions`: user, item, ts (seconds or finer, moments or dates), and pos where order within one time is known;
    `items`: item, one row each, whose order is the vocabulary. `shuffle_ties` is a seed: rows of one user and day are
    then put in random order, so that nothing can be learned from how a file was sorted. Raises ValueError naming what
    is missing, and where no user has 3; `sequence_rows.clean_rows` mends odd rows before.
    """
    require(interactions, ("user", "item", "ts"), "interactions")
    require(items, ("item",), "items")
    vocabulary = pd.Index(items["item"])
    if not vocabulary.is_unique:
        raise ValueError("items.item: expected each item once, came duplicates: keep one row an item.")
    codes = vocabulary.get_indexer(interactions["item"])
    if (codes < 0).any():
        missing = interactions["item"][codes < 0].iloc[0]
        raise ValueError(f"interactions.item: expected items of the items file, came {missing!r}: add its row there.")
    user = pd.factorize(interactions["user"], sort=True)[0]
    if (user < 0).any() or interactions["ts"].isna().any():
        raise ValueError("interactions: expected a user and a ts in each row, came rows without: leave them out.")
    time = seconds(interactions["ts"])
    place = interactions["pos"].to_numpy() if "pos" in interactions else np.arange(len(time))
    if shuffle_ties is not None:
        time, place = time // DAY_SECONDS, np.random.default_rng(shuffle_ties).permutation(len(time))
    order = np.lexsort((place, time, user))
    lengths = np.bincount(user)
    kept = order[lengths[user[order]] > max(HELD_OUT.values())]
    if not len(kept):
        raise ValueError(
            f"interactions: expected users with at least 3 interactions, came none of {len(lengths):,} users: "
            "leave-one-out needs one for the test, one for the validation and one to learn from."
        )
    starts = np.concatenate(([0], np.cumsum(lengths[lengths > max(HELD_OUT.values())])))
    return Sequences(codes[kept].astype(np.int64) + 1, starts, len(vocabulary))
