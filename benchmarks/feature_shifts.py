"""Planted shifts of feature tables, of known size: each changes one view's table, and names the signals to tell it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa

from feature_repo.features import FEATURE_VIEWS, WINDOWS_DAYS
from feature_repo.prepared_events import microseconds
from feature_repo.transforms import TRANSFORMS

ROWS = "feature_rows"
_ONE_IN_100 = "hash({}, 'planted') % 100 < {}"


@dataclass(frozen=True)
class FeatureShift:
    """A shift of a view's table: `replaced`, features by their SQL; `told_by`, how the signals begin that should be in
    alarm; `half_of`, a window of so many days that is computed over half of them; `asked`, whether it must be caught.
    """

    name: str
    view: str
    told_by: tuple[str, ...]
    replaced: dict[str, str]
    half_of: int = 0
    asked: bool = True


def planted_rows(connection: duckdb.DuckDBPyConnection, shift: FeatureShift, as_of: datetime) -> str:
    """Return a query of the view's table with the shift; its honest rows are the relation ROWS of the connection."""
    if not shift.half_of:
        return _replace(f"{ROWS} f", shift.replaced)
    connection.register("short_rows", _over(connection, shift, as_of))
    key = FEATURE_VIEWS[shift.view].key
    return _replace(f"{ROWS} f left join short_rows s using ({key})", shift.replaced)


def _replace(relation: str, replaced: dict[str, str]) -> str:
    columns = ", ".join(f'{text} as "{name}"' for name, text in replaced.items())
    return f"(select f.* replace ({columns}) from {relation})"


def _over(connection: duckdb.DuckDBPyConnection, shift: FeatureShift, as_of: datetime) -> pa.Table:
    """The view of a shop whose events began half a window ago."""
    since = microseconds(as_of - timedelta(days=shift.half_of / 2))
    connection.execute("alter table acts rename to all_acts")
    connection.execute(f"create temp table acts as select * from all_acts where event_us >= {since}")
    try:
        return TRANSFORMS[shift.view](connection, as_of)
    finally:
        connection.execute("drop table acts")
        connection.execute("alter table all_acts rename to acts")


def _scaled(view: str, beginning: str, factor: float, asked: bool) -> FeatureShift:
    names = [name for name in FEATURE_VIEWS[view].feature_names if name.startswith(beginning)]
    replaced = {name: f'f."{name}" * {factor}' for name in names}
    return FeatureShift(f"{view}: {beginning} x {factor}", view, (f"{view}.{beginning}",), replaced, asked=asked)


def _half_window(view: str, days: int, asked: bool = True) -> FeatureShift:
    names = [name for name in FEATURE_VIEWS[view].feature_names if name.endswith(f"_{days}d")]
    replaced = {name: f'coalesce(s."{name}", 0)' for name in names}
    told_by = tuple(f"{view}.{name}" for name in names)
    return FeatureShift(f"{view}: {days} days computed over {days / 2:g}", view, told_by, replaced, days, asked)


def _missing(view: str, feature: str, percent: int, empty: str, asked: bool = True) -> FeatureShift:
    chosen = _ONE_IN_100.format(FEATURE_VIEWS[view].key, percent)
    replaced = {feature: f'case when {chosen} then {empty} else f."{feature}" end'}
    return FeatureShift(
        f"{view}: {percent} % without {feature}", view, (f"missing {view}.{feature}",), replaced, asked=asked
    )


def _hours(hours: int, asked: bool) -> FeatureShift:
    turned = f"list_concat(f.hour_shares[{25 - hours}:], f.hour_shares[:{24 - hours}])"
    name = f"user_rhythm: hours shifted by {hours}"
    return FeatureShift(
        name, "user_rhythm", ("values of user_rhythm.hour_shares",), {"hour_shares": turned}, asked=asked
    )


def _channel_lost(channel: str) -> FeatureShift:
    others = ("web", "app", "store", "social", "email")
    replaced = {f"{each}_share": f"coalesce(f.{each}_share / nullif(1 - f.{channel}_share, 0), 0)" for each in others}
    told_by = ("vanished values of user_channels", f"user_channels.{channel}_share")
    return FeatureShift(
        f"user_channels: {channel} lost", "user_channels", told_by, {**replaced, f"{channel}_share": "0.0"}
    )


def _category(name: str, replaced: str, told_by: str, asked: bool = True) -> FeatureShift:
    return FeatureShift(name, "user_affinity", (told_by,), {"top_categories": replaced}, asked=asked)


_FIRST_NEW = "list_concat(['Planted category'], f.top_categories[2:])"

SHIFTS = (
    _scaled("user_activity", "spend", 1.5, True),
    _scaled("user_activity", "spend", 1.2, False),
    _scaled("item_price", "last_price", 1.5, False),
    *(_half_window("user_activity", days, days < WINDOWS_DAYS[-1]) for days in WINDOWS_DAYS),
    _half_window("item_popularity", 28),
    _channel_lost("app"),
    _channel_lost("web"),
    _missing("user_activity", "days_since_last_purchase", 10, "null"),
    _missing("user_activity", "spend_28d", 10, "null"),
    _missing("user_affinity", "top_categories", 10, "[]"),
    _missing("user_history", "history_item_ids", 10, "[]"),
    _missing("user_activity", "spend_28d", 3, "null", asked=False),
    _hours(5, True),
    _hours(2, True),
    _hours(1, False),
    _category(
        "user_affinity: a new category with 4 %",
        f"case when {_ONE_IN_100.format('user_id', 20)} then {_FIRST_NEW} else f.top_categories end",
        "new values of user_affinity.top_categories",
    ),
    _category(
        "user_affinity: Produce lost",
        "list_filter(f.top_categories, x -> x <> 'Produce')",
        "vanished values of user_affinity.top_categories",
    ),
)
