"""Files of interactions and items as the commands of the next-item models read them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
import pandas as pd

from training.sequence_rows import clean_rows, titles


def read_files(interactions: Path, items: Path, report: Callable[[str], None]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the cleaned rows of two parquet files; `report` hears what was mended, and where no item has a title.

    Whole numbers stay whole where one lacks: as floats, ids of more than 15 digits run together.
    """
    rows, catalogue = (pd.read_parquet(path, dtype_backend="numpy_nullable") for path in (interactions, items))
    rows, catalogue = clean_rows(rows, catalogue, report)
    if not any(titles(catalogue)):
        report("items: expected a column title, came none with text in it: models learn nothing from text")
    return rows, catalogue


def some_users(interactions: pd.DataFrame, users: int, seed: int) -> pd.DataFrame:
    """Return the rows of that many users, drawn with a seed; 0 or more than there are: all."""
    every = np.sort(interactions["user"].unique())
    if not users or users >= len(every):
        return interactions
    return interactions[interactions["user"].isin(np.random.default_rng(seed).choice(every, users, replace=False))]


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """End the command with the line of a ValueError: files that cannot be used are no fault of the program."""
    try:
        yield
    except ValueError as error:
        raise click.ClickException(str(error)) from error
