"""Users who walk the items in one order: the planted set of the next-item models."""

import pandas as pd

from training.sequence_settings import SequenceSettings

ITEMS = 24


def cycle_rows(users: int = 60, length: int = 9) -> pd.DataFrame:
    """Users walk the items in one order, each from a place of their own: item n is followed by n + 1."""
    rows = [(user, f"i{(user + step) % ITEMS}", step * 86_400, step) for user in range(users) for step in range(length)]
    return pd.DataFrame(rows, columns=["user", "item", "ts", "pos"])


def catalogue() -> pd.DataFrame:
    """The items of the cycle."""
    return pd.DataFrame({"item": [f"i{number}" for number in range(ITEMS)]})


def tiny(seed: int = 1) -> SequenceSettings:
    return SequenceSettings(
        width=16, heads=2, blocks=1, dropout=0.0, length=16, batch_size=16, learning_rate=1e-2, epochs=12, seed=seed
    )


def silent(line: object) -> None:
    """Say nothing."""
