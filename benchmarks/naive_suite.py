"""The naive way to write a suite: one expectation a rule of a column, each of them over all rows."""

from datetime import datetime

import pandas as pd
from great_expectations import expectations as gxe

from feature_repo.schema import EVENTS


def naive_expectations(now: datetime) -> list[gxe.Expectation]:
    """Return what the contract says of single columns of events, as Great Expectations would have it by hand."""
    found: list[gxe.Expectation] = []
    latest = pd.Timestamp(now) + pd.Timedelta(days=1)
    for column in EVENTS.columns:
        if not column.nullable:
            found.append(gxe.ExpectColumnValuesToNotBeNull(column=column.name))
        if column.unique:
            found.append(gxe.ExpectColumnValuesToBeUnique(column=column.name))
        if column.allowed:
            found.append(gxe.ExpectColumnValuesToBeInSet(column=column.name, value_set=list(column.allowed)))
        if column.minimum is not None:
            bounds = {"min_value": column.minimum, "max_value": column.maximum}
            found.append(gxe.ExpectColumnValuesToBeBetween(column=column.name, **bounds))
        if column.dtype == "timestamp":
            found.append(gxe.ExpectColumnValuesToBeBetween(column=column.name, max_value=latest.to_pydatetime()))
    return found
