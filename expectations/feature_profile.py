"""A feature table as counts: how each feature is distributed over its users or items. What drift of features reads."""

from collections.abc import Mapping
from datetime import date, timedelta

import duckdb
import numpy as np

from expectations.drift_profile import Profile, Signal, number_bucket
from feature_repo.features import EVENT_TIMESTAMP, USER_CHANNELS, FeatureView
from feature_repo.schema import Column

#: signal → bucket → rows (or the sum of shares).
Counts = Mapping[str, Mapping[str, float]]
#: view → the counts of its table at one moment.
Tables = Mapping[str, Counts]
#: Features that are one list of shares, each place with its own meaning.
_SHARES_BY_PLACE = ("hour_shares", "weekday_shares")
#: Lists of values that recur from user to user; ids do not, and only their number is watched.
_VALUES = ("top_categories", "top_brands", "history_event_types")


def profile_features(
    connection: duckdb.DuckDBPyConnection, relation: str, view: FeatureView
) -> dict[str, dict[str, float]]:
    """Count a feature table (a relation with the view's columns), signal by signal.

    Signals: `rows of VIEW`; of a number its distribution (`VIEW.FEATURE`); of a list its length, its values or its
    shares; of each feature the rows without a value (`missing VIEW.FEATURE`; an empty list has none).
    """
    parts = [f"select 'rows of {view.name}', 'rows', count(*) from {relation}"]
    for feature in view.features:
        parts += _parts(relation, view, feature)
    if view == USER_CHANNELS:
        parts += [
            f"select 'values of {view.name}', '{name.removesuffix('_share')}', sum({name}) from {relation}"
            for name in view.feature_names
        ]
    counts: dict[str, dict[str, float]] = {}
    for signal, bucket, count in connection.execute(" union all ".join(parts)).fetchall():
        if bucket is not None and count is not None:
            counts.setdefault(signal, {})[bucket] = float(count)
    return counts


def kind_of(signal: str) -> str:
    """Return what a signal is: volume, share, mix or numbers."""
    if signal.startswith("rows of "):
        return "volume"
    if signal.startswith("missing "):
        return "share"
    return "mix" if signal.startswith("values of ") else "numbers"


def profile_of_tables(tables: Mapping[date, Tables], last: date) -> Profile:
    """Return the counts of several days up to `last` as one profile; a day that was not counted is a day of zeros."""
    known = [day for day in tables if day <= last]
    first = min(known)
    days = tuple(first + timedelta(days=number) for number in range((last - first).days + 1))
    cells: dict[str, dict[int, Mapping[str, float]]] = {}
    for day in known:
        for counts in tables[day].values():
            for signal, buckets in counts.items():
                cells.setdefault(signal, {})[(day - first).days] = buckets
    return Profile(days, tuple(_signal(name, cells[name], len(days)) for name in sorted(cells)))


def _signal(name: str, cells: Mapping[int, Mapping[str, float]], days: int) -> Signal:
    kind = kind_of(name)
    found = {bucket for buckets in cells.values() for bucket in buckets}
    names = sorted(found, key=int) if kind == "numbers" else sorted(found)
    place = {bucket: number for number, bucket in enumerate(names)}
    counts = np.zeros((days, len(names)))
    for day, buckets in cells.items():
        for bucket, count in buckets.items():
            counts[day, place[bucket]] = count
    return Signal(name, kind, tuple(names), counts)


def _parts(relation: str, view: FeatureView, feature: Column) -> list[str]:
    name, column = f"{view.name}.{feature.name}", f'"{feature.name}"'
    without = f"{column} is null"
    found = []
    if feature.dtype.startswith("list<"):
        without = f"coalesce(len({column}), 0) = 0"
        found += _parts_of_list(relation, name, feature)
    else:
        found.append(_numbers(name, f"select {column} as x from {relation}"))
    return [
        *found,
        f"select 'missing {name}', 'missing', count(*) filter ({without}) from {relation}",
        f"select 'missing {name}', 'present', count(*) filter (not {without}) from {relation}",
    ]


def _parts_of_list(relation: str, name: str, feature: Column) -> list[str]:
    column = f'"{feature.name}"'
    each = f"(select unnest({column}) as x from {relation})"
    if feature.name in _SHARES_BY_PLACE:
        placed = f"(select unnest({column}) as x, generate_subscripts({column}, 1) - 1 as place from {relation})"
        return [f"select 'values of {name}', cast(place as varchar), sum(x) from {placed} group by place"]
    found = []
    if feature.dtype == "list<timestamp>":
        age = f"(epoch({EVENT_TIMESTAMP}) - epoch(list_max({column}))) / 86400"
        found.append(_numbers(f"{name}, days since the newest", f"select {age} as x from {relation}"))
    else:
        found.append(_numbers(f"{name}, length", f"select len({column}) as x from {relation}"))
    if feature.dtype == "list<float>":
        found.append(_numbers(name, f"select x from {each}"))
    if feature.name in _VALUES:
        found.append(f"select 'values of {name}', x, count(*) from {each} group by x")
    return found


def _numbers(signal: str, query: str) -> str:
    bucket = number_bucket("x")
    return f"select '{signal}', cast({bucket} as varchar), count(*) from ({query}) where x is not null group by all"
