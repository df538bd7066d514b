"""Rows of interactions and items as files bring them: what is odd is mended or left out, and counted.

One odd row must not end a benchmark of hours, nor bend its figures unsaid.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from pandas.api import types

#: Text that is a number of seconds since 1970 or of finer units, and no moment such as 20110313120000.
_DIGITS = r"(?!(19|20)\d{10}(\d\d)?$)\d{9,}"
#: Numbers above each bound are so many to the second: milliseconds, microseconds, nanoseconds.
_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))


def clean_rows(
    interactions: pd.DataFrame, items: pd.DataFrame, report: Callable[[str], None]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return rows that `leave_one_out.read_sequences` can read; `report` hears what was mended, with its count.

    Left out: interactions without user, item or time, and those whose user, item and time (and pos, which tells the
    order within one time) stood before: a file that was joined with itself would have the test item in the history;
    items without a name or that stood before. Items that only interactions name are appended, without text.
    """
    require(interactions, ("user", "item", "ts"), "interactions")
    require(items, ("item",), "items")
    every = interactions
    interactions = _plain(interactions, ("user", "item")).dropna(subset=["user", "item", "ts"])
    interactions = _with_numpy_types(interactions, ("user", "item", "ts", "pos"))
    _count(report, len(every) - len(interactions), "interactions without user, item or time left out")
    doubled = interactions.duplicated([name for name in ("user", "item", "ts", "pos") if name in interactions])
    _count(report, int(doubled.sum()), "interactions left out that stood before")
    interactions = interactions[~doubled]
    named = _with_numpy_types(_plain(items, ("item", "title")).dropna(subset=["item"]), ("item",))
    kept = named.drop_duplicates("item")
    _count(report, len(items) - len(kept), "items left out without a name or that stood before")
    lacking = pd.unique(interactions["item"][~interactions["item"].isin(kept["item"])])
    if len(interactions) and not interactions["item"].isin(kept["item"]).any():
        raise ValueError(f"interactions.item: expected items of the items file, came none of them: {lacking[:3]}.")
    _count(report, len(lacking), "items that the items file lacks appended without text")
    if len(lacking):
        kept = pd.concat([kept, pd.DataFrame({"item": np.sort(lacking)})], ignore_index=True)
    return interactions.astype({"item": kept["item"].dtype}), kept


def titles(items: pd.DataFrame) -> list[str]:
    """Return each item's title, '' where there is none or only blanks."""
    if "title" not in items:
        return [""] * len(items)
    found: list[str] = items["title"].astype(object).fillna("").astype(str).str.strip().tolist()
    return found


def seconds(times: pd.Series) -> np.ndarray:
    """Return times as seconds, float64: from numbers in seconds or finer units, moments, or dates or numbers as text.

    The unit of numbers is that of their median. Raises ValueError where a text is neither.
    """
    if not _are_numbers(times):
        since: pd.Series = _dates(times) - pd.Timestamp(0, tz="UTC")
        return since.dt.total_seconds().to_numpy(dtype=np.float64)
    numbers = (times if types.is_numeric_dtype(times) else times.astype(object)).to_numpy(dtype=np.float64)
    middle = float(np.median(np.abs(numbers))) if len(numbers) else 0.0
    found: np.ndarray = numbers / next((unit for bound, unit in _UNITS if middle > bound), 1.0)
    return found


def require(frame: pd.DataFrame, columns: tuple[str, ...], name: str) -> None:
    """Raise ValueError that names the columns which a frame lacks."""
    missing = [column for column in columns if column not in frame]
    if missing:
        raise ValueError(f"{name}: expected columns {', '.join(columns)}, came none named {', '.join(missing)}.")


def _are_numbers(times: pd.Series) -> bool:
    """Return whether times are numbers, decimals, or text of enough digits for seconds since 1970 or finer units."""
    if types.is_numeric_dtype(times):
        return True
    if types.is_datetime64_any_dtype(times):
        return False
    kind = types.infer_dtype(times.astype(object))
    return kind == "decimal" or (kind == "string" and bool(times.astype(str).str.fullmatch(_DIGITS).all()))


def _dates(times: pd.Series) -> pd.Series:
    moments = types.is_datetime64_any_dtype(times)
    read = partial(pd.to_datetime, times.astype(object), utc=True, format=None if moments else "mixed")
    try:
        found: pd.Series = read()
    except ValueError as error:
        odd = times[read(errors="coerce").isna()].head(1).tolist()
        raise ValueError(f"interactions.ts: expected seconds or finer units, moments or dates, came {odd}.") from error
    return found


def _plain(frame: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return the frame with categories as what they name."""
    found = {name: frame[name].astype(frame[name].cat.categories.dtype) for name in columns if _categories(frame, name)}
    return frame.assign(**found)


def _with_numpy_types(frame: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return the frame with columns of pandas' nullable types as plain ones: what lacks is gone, or NaN in pos."""
    found = {}
    for name in columns:
        if name in frame and getattr(frame[name].dtype, "na_value", None) is pd.NA:
            lacks = types.is_numeric_dtype(frame[name]) and frame[name].isna().any()
            found[name] = (frame[name].astype("float64") if lacks else frame[name]).to_numpy()
    return frame.assign(**found)


def _categories(frame: pd.DataFrame, name: str) -> bool:
    return name in frame and isinstance(frame[name].dtype, pd.CategoricalDtype)


def _count(report: Callable[[str], None], count: int, what: str) -> None:
    if count:
        report(f"{count:,} {what}")
