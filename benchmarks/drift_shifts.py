"""Planted shifts of known size: each changes the events from a day on, and names the signals that should tell it."""

from dataclasses import dataclass

EVENT_COLUMNS = (
    "event_id, event_time, user_id, item_id, event_type, channel, session_id, basket_id, quantity, unit_price, "
    "discount, currency, text"
)
#: Complete Journey has one channel. Two more are made, basket by basket, so that one can go.
MADE_CHANNELS = (
    "case when hash(basket_id) % 10 < 7 then 'store' when hash(basket_id) % 10 < 9 then 'web' else 'app' end as channel"
)
NEW_ITEM = "planted-item"
NEW_CATEGORY = "Planted category"
_ONE_IN_100 = "hash(event_id, 'planted') % 100 < {}"


@dataclass(frozen=True)
class Shift:
    """A planted shift: `replaced`, SQL for columns of the events; `kept`, which rows stay; `told_by`, how the signals
    begin that should be in alarm; `asked`, whether it is one of the sizes that must be caught.
    """

    name: str
    told_by: tuple[str, ...]
    replaced: str = ""
    kept: str = "true"
    asked: bool = True

    def query(self, events: str, start: str) -> str:
        """The events of a relation, changed from the moment `start` on."""
        changed = f"select * {f'replace ({self.replaced})' if self.replaced else ''} from {events}"
        after = f"event_time >= timestamptz '{start}'"
        return f"select * from {events} where not ({after}) union all {changed} where {after} and ({self.kept})"


def _price(factor: float, asked: bool) -> Shift:
    return Shift(f"prices x {factor}", ("price",), f"unit_price * {factor} as unit_price", asked=asked)


def _missing(column: str, percent: int, asked: bool) -> Shift:
    chosen = _ONE_IN_100.format(percent)
    return Shift(
        f"{percent} % of {column} missing",
        (f"missing {column}",),
        f"case when {chosen} then null else {column} end as {column}",
        asked=asked,
    )


def _new_category(percent: int, asked: bool) -> Shift:
    chosen = f"case when {_ONE_IN_100.format(percent)} then '{NEW_ITEM}' else item_id end as item_id"
    return Shift(f"a new category with {percent} % share", ("new categories",), chosen, asked=asked)


def _volume(percent: int, asked: bool) -> Shift:
    return Shift(f"{percent} % of the volume", ("volume",), kept=f"hash(basket_id, 7) % 100 < {percent}", asked=asked)


def _hours(hours: int, asked: bool) -> Shift:
    return Shift(
        f"hours shifted by {hours}", ("hours",), f"event_time + interval {hours} hour as event_time", asked=asked
    )


SHIFTS = (
    _price(1.2, True),
    _price(1.1, False),
    _price(1.05, False),
    _missing("unit_price", 10, True),
    _missing("item_id", 10, True),
    _missing("basket_id", 10, True),
    _missing("unit_price", 5, False),
    Shift("the channel app gone", ("channels", "volume of app"), kept="channel <> 'app'"),
    Shift("the channel web gone", ("channels", "volume of web"), kept="channel <> 'web'"),
    _new_category(3, True),
    _new_category(1, False),
    _volume(50, True),
    _volume(70, False),
    _hours(2, True),
    _hours(1, False),
)
