"""Every feature once more, as slow plain loops over events: what the set-based transforms are checked against."""

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

from feature_repo.features import CO_PURCHASE_LENGTH, HABIT_LENGTH, HISTORY_LENGTH, WINDOWS_DAYS
from feature_repo.schema import CHANNELS, INTERACTION_TYPES

Event = dict[str, Any]
Row = dict[str, Any]


def _days(span: timedelta) -> float:
    return span / timedelta(days=1)


def _recent(events: list[Event], as_of: datetime, days: int) -> list[Event]:
    return [e for e in events if as_of - timedelta(days=days) <= e["event_time"] < as_of]


def _past(events: list[Event], as_of: datetime) -> list[Event]:
    return sorted((e for e in events if e["event_time"] < as_of), key=lambda e: (e["event_time"], e["event_id"]))


def _purchases(events: list[Event]) -> list[Event]:
    return [e for e in events if e["event_type"] == "purchase"]


def _interactions(events: list[Event]) -> list[Event]:
    return [e for e in events if e["event_type"] in INTERACTION_TYPES and e["item_id"] is not None]


def _basket(event: Event) -> str:
    return event["basket_id"] or event["session_id"] or event["event_id"]


def _spend(event: Event) -> float:
    quantity = 1 if event["quantity"] is None else event["quantity"]
    return quantity * (event["unit_price"] or 0)


def _by(events: list[Event], name: str) -> dict[str, list[Event]]:
    groups = defaultdict(list)
    for each in events:
        groups[each[name]].append(each)
    return groups


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _gaps(moments: list[datetime]) -> list[float]:
    ordered = sorted(moments)
    return [_days(after - before) for before, after in pairwise(ordered)]


def user_activity(events: list[Event], items: list[Row], as_of: datetime) -> dict[str, Row]:
    rows = {}
    for user, past in _by(_past(events, as_of), "user_id").items():
        bought = _purchases(past)
        row = {
            "days_since_last_event": _days(as_of - past[-1]["event_time"]),
            "days_since_last_purchase": _days(as_of - bought[-1]["event_time"]) if bought else None,
            "days_since_first_event": _days(as_of - past[0]["event_time"]),
        }
        for days in WINDOWS_DAYS:
            recent = _recent(past, as_of, days)
            lines = _purchases(recent)
            spend, discount = sum(map(_spend, lines)), sum(line["discount"] or 0 for line in lines)
            row[f"event_count_{days}d"] = len(recent)
            row[f"basket_count_{days}d"] = len({_basket(line) for line in lines})
            row[f"purchase_count_{days}d"] = len(lines)
            row[f"spend_{days}d"] = spend
            row[f"discount_share_{days}d"] = _share(discount, spend + discount)
        rows[user] = row
    return rows


def user_affinity(events: list[Event], items: list[Row], as_of: datetime) -> dict[str, Row]:
    catalogue = {item["item_id"]: item for item in items}
    rows = {}
    for user, past in _by(_past(events, as_of), "user_id").items():
        met = [catalogue.get(e["item_id"], {}) for e in _interactions(_recent(past, as_of, 364))]
        row: Row = {}
        for plural, single in (("categories", "category"), ("brands", "brand")):
            names = Counter((item.get(single) or "").split(" > ")[0] for item in met)
            top = sorted(((-n, name) for name, n in names.items() if name))[:5]
            row[f"top_{plural}"] = [name for _, name in top]
            row[f"top_{single}_shares"] = [-n / len(met) for n, _ in top]
        rows[user] = row
    return rows


def user_channels(events: list[Event], items: list[Row], as_of: datetime) -> dict[str, Row]:
    rows = {}
    for user, past in _by(_past(events, as_of), "user_id").items():
        recent = _recent(past, as_of, 364)
        counts = Counter(e["channel"] for e in recent)
        rows[user] = {f"{channel}_share": _share(counts[channel], len(recent)) for channel in CHANNELS}
    return rows


def user_rhythm(events: list[Event], items: list[Row], as_of: datetime) -> dict[str, Row]:
    rows = {}
    for user, past in _by(_past(events, as_of), "user_id").items():
        recent = _recent(past, as_of, 364)
        hours = Counter(e["event_time"].hour for e in recent)
        weekdays = Counter(e["event_time"].weekday() for e in recent)
        began: dict[str, datetime] = {}
        for line in _purchases(recent):
            began[_basket(line)] = min(line["event_time"], began.get(_basket(line), line["event_time"]))
        gaps = _gaps(list(began.values()))
        rows[user] = {
            "hour_shares": [_share(hours[hour], len(recent)) for hour in range(24)],
            "weekday_shares": [_share(weekdays[day], len(recent)) for day in range(7)],
            "median_days_between_baskets": median(gaps) if gaps else None,
        }
    return rows


def user_coupons(events: list[Event], items: list[Row], as_of: datetime) -> dict[str, Row]:
    rows = {}
    for user, past in _by(_past(events, as_of), "user_id").items():
        redeemed = [e for e in past if e["event_type"] == "offer_redeemed"]
        lines = _purchases(_recent(past, as_of, 364))
        rows[user] = {
            **{f"redemption_count_{days}d": len(_recent(redeemed, as_of, days)) for days in WINDOWS_DAYS},
            "discounted_line_share": _share(sum((line["discount"] or 0) > 0 for line in lines), len(lines)),
            "days_since_last_redemption": _days(as_of - redeemed[-1]["event_time"]) if redeemed else None,
        }
    return rows


def user_history(events: list[Event], items: list[Row], as_of: datetime) -> dict[str, Row]:
    rows = {}
    for user, past in _by(_past(events, as_of), "user_id").items():
        last = _interactions(past)[-HISTORY_LENGTH:]
        rows[user] = {
            "history_item_ids": [e["item_id"] for e in last],
            "history_event_types": [e["event_type"] for e in last],
            "history_event_times": [e["event_time"] for e in last],
        }
    return rows


def _first_lines(events: list[Event], as_of: datetime) -> list[tuple[str, str, datetime]]:
    """User, item and time of each basket's first line of an item."""
    first: dict[tuple[str, str, str], datetime] = {}
    for line in _purchases(_past(events, as_of)):
        if line["item_id"] is not None:
            first.setdefault((line["user_id"], line["item_id"], _basket(line)), line["event_time"])
    return [(user, item, moment) for (user, item, _), moment in first.items()]


def user_habits(events: list[Event], items: list[Row], as_of: datetime) -> dict[str, Row]:
    bought: dict[str, dict[str, list[datetime]]] = defaultdict(lambda: defaultdict(list))
    for user, item, moment in _first_lines(events, as_of):
        bought[user][item].append(moment)
    rows = {}
    for user in _by(_past(events, as_of), "user_id"):
        weights = {
            item: sum(round(2**40 * 0.5 ** (_days(as_of - moment) / 84)) for moment in moments)
            for item, moments in bought[user].items()
        }
        # Sums that differ in the last digits only are one weight: pow rounds differently here and there.
        top = sorted(weights, key=lambda item: (-round(weights[item] / 1000), item))[:HABIT_LENGTH]
        rows[user] = {
            "habit_item_ids": top,
            "habit_counts": [len(bought[user][item]) for item in top],
            "habit_last_times": [max(bought[user][item]) for item in top],
        }
    return rows


def _known_items(events: list[Event], items: list[Row], as_of: datetime) -> set[str]:
    return {item["item_id"] for item in items} | {e["item_id"] for e in _past(events, as_of) if e["item_id"]}


def item_popularity(events: list[Event], items: list[Row], as_of: datetime) -> dict[str, Row]:
    met = _by(_interactions(_past(events, as_of)), "item_id")
    rows = {}
    for item in _known_items(events, items, as_of):
        recent = {days: _recent(met.get(item, []), as_of, days) for days in WINDOWS_DAYS}
        rows[item] = {
            **{f"interaction_count_{days}d": len(recent[days]) for days in WINDOWS_DAYS},
            **{f"user_count_{days}d": len({e["user_id"] for e in recent[days]}) for days in WINDOWS_DAYS},
        }
    return rows


def item_price(events: list[Event], items: list[Row], as_of: datetime) -> dict[str, Row]:
    bought = _by(_purchases(_past(events, as_of)), "item_id")
    rows = {}
    for item in _known_items(events, items, as_of):
        lines = bought.get(item, [])
        recent = _recent(lines, as_of, 84)
        paid = [line["unit_price"] for line in lines if line["unit_price"] is not None]
        recently_paid = [line["unit_price"] for line in recent if line["unit_price"] is not None]
        rows[item] = {
            "last_price": paid[-1] if paid else None,
            "mean_price_84d": sum(recently_paid) / len(recently_paid) if recently_paid else None,
            "item_discount_share": sum((line["discount"] or 0) > 0 for line in recent) / len(recent)
            if recent
            else None,
        }
    return rows


def item_repeat(events: list[Event], items: list[Row], as_of: datetime) -> dict[str, Row]:
    bought: dict[str, dict[str, list[datetime]]] = defaultdict(lambda: defaultdict(list))
    for user, item, moment in _first_lines(events, as_of):
        bought[item][user].append(moment)
    rows = {}
    for item in _known_items(events, items, as_of):
        moments = list(bought[item].values())
        gaps = [gap for each in moments for gap in _gaps(each)]
        rows[item] = {
            "repeat_rate": sum(len(each) > 1 for each in moments) / len(moments) if moments else None,
            "median_days_between_repeats": median(gaps) if gaps else None,
        }
    return rows


def item_co_purchase(events: list[Event], items: list[Row], as_of: datetime) -> dict[str, Row]:
    visits: dict[tuple[str, str], set[str]] = defaultdict(set)
    bought: dict[tuple[str, str], set[str]] = defaultdict(set)
    for each in _interactions(_recent(events, as_of, 84)):
        if each["basket_id"] or each["session_id"]:
            visits[each["user_id"], each["basket_id"] or each["session_id"]].add(each["item_id"])
            if each["event_type"] == "purchase":
                bought[each["user_id"], each["basket_id"] or each["session_id"]].add(each["item_id"])
    sizes = Counter(item for met in visits.values() for item in met)
    pairs = Counter((a, b) for met in visits.values() if len(met) <= 100 for a in met for b in met if a != b)
    rows = {}
    for item in _known_items(events, items, as_of):
        scores = {b: n / (sizes[a] * sizes[b]) ** 0.5 for (a, b), n in pairs.items() if a == item and n >= 2}
        top = sorted(scores, key=lambda other: (-scores[other], other))[:CO_PURCHASE_LENGTH]
        rows[item] = {
            "co_purchase_item_ids": top,
            "co_purchase_scores": [scores[other] for other in top],
            "co_purchase_bought": [
                sum(len(met) <= 100 and {item, other} <= bought[visit] for visit, met in visits.items())
                for other in top
            ],
        }
    return rows


SLOW_FEATURES: dict[str, Callable[[list[Event], list[Row], datetime], dict[str, Row]]] = {
    each.__name__: each
    for each in (
        user_activity,
        user_affinity,
        user_channels,
        user_rhythm,
        user_coupons,
        user_history,
        user_habits,
        item_popularity,
        item_price,
        item_repeat,
        item_co_purchase,
    )
}
