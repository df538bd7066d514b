"""Batches of training sequences, read one bucket at a time: the rows may lie in memory-mapped files.

`write` and `open_files` keep sequences as two plain arrays on disk. Nothing here holds more than one number a user
and one batch of rows.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from training.leave_one_out import HELD_OUT, Sequences

#: Batches whose sequences are sorted by length together, so that little of a batch is padding.
_BUCKETS = 20


def write(sequences: Sequences, folder: Path) -> None:
    """Write the sequences into the folder as `items.npy`, `starts.npy` and `item_count.npy`."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "items.npy", sequences.items)
    np.save(folder / "starts.npy", sequences.starts)
    np.save(folder / "item_count.npy", np.int64(sequences.item_count))


def open_files(folder: Path) -> Sequences:
    """Return sequences whose items stay on disk and are read where they are looked at."""
    items = np.load(folder / "items.npy", mmap_mode="r")
    return Sequences(items, np.load(folder / "starts.npy"), int(np.load(folder / "item_count.npy")))


def batches(sequences: Sequences, random: np.random.Generator, size: int) -> Iterator[list[np.ndarray]]:
    """Yield what each user did before both cuts, once: shuffled, of like length within a batch, in shuffled order.

    Users with fewer than two items there have nothing to learn from and are left out.
    """
    lengths = np.diff(sequences.starts) - HELD_OUT["validation"]
    shuffled = random.permutation(np.flatnonzero(lengths > 1))
    groups: list[np.ndarray] = []
    for start in range(0, len(shuffled), size * _BUCKETS):
        bucket = shuffled[start : start + size * _BUCKETS]
        bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
        groups += [bucket[first : first + size] for first in range(0, len(bucket), size)]
    for number in random.permutation(len(groups)):
        starts = sequences.starts[groups[number]]
        yield [
            np.asarray(sequences.items[start : start + length])
            for start, length in zip(starts, lengths[groups[number]], strict=True)
        ]


def batch_count(sequences: Sequences, size: int) -> int:
    """Return how many batches an epoch has."""
    users = int((np.diff(sequences.starts) - HELD_OUT["validation"] > 1).sum())
    bucket = size * _BUCKETS
    return users // bucket * _BUCKETS + -(-(users % bucket) // size)
