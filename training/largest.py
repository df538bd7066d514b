"""The columns of a few largest values in each row, without sorting the rest."""

import numpy as np


def largest(values: np.ndarray, count: int) -> np.ndarray:
    """Return the columns of the `count` largest values of each row, largest first; of equal ones the first column.

    `values` [rows, columns], no NaN, 0 < count ≤ columns; returns int64 [rows, count]. The same as a stable sort of all
    of `-values`, of which only what is at least a row's `count`-th value is sorted.
    """
    least = np.partition(values, values.shape[1] - count, axis=1)[:, values.shape[1] - count]
    rows, columns = np.nonzero(values >= least[:, None])
    order = np.lexsort((columns, -values[rows, columns], rows))
    first = np.searchsorted(rows, np.arange(len(values)))
    found: np.ndarray = columns[order[first[:, None] + np.arange(count)]]
    return found
