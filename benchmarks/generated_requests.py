"""Requests drawn by hypothesis: nearly right ones, wrong ones and nonsense, for each door of the API."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from feature_repo.schema import CHANNELS, EVENT_TYPES

Request = tuple[str, Any]


def generated_requests(item_ids: Sequence[str], pseudonyms: Sequence[str]) -> st.SearchStrategy[Request]:
    """Return a strategy of (path, body); bodies hold NaN, lone surrogates and wrong types as careless callers send."""
    names = st.one_of(st.text(max_size=12), st.sampled_from(item_ids))
    numbers = st.one_of(st.integers(-5, 300), st.floats(), st.none())
    leaves = st.one_of(st.none(), st.booleans(), numbers, names)
    anything = st.recursive(
        leaves,
        lambda part: st.one_of(st.lists(part, max_size=3), st.dictionaries(names, part, max_size=3)),
        max_leaves=6,
    )
    users = st.one_of(st.sampled_from(pseudonyms), names)
    filters = {"category": names, "brand": names, "min_price": numbers, "max_price": numbers}
    wishes = {
        "k": st.one_of(st.integers(1, 200), numbers),
        "exclude": st.lists(names, max_size=5),
        "filters": st.fixed_dictionaries({}, optional=filters),
        "limits": st.fixed_dictionaries({}, optional={"per_brand": numbers, "per_category": numbers}),
        "language": st.sampled_from(["en", "zh", "fr"]),
        "surprise": anything,
    }
    session = st.fixed_dictionaries({}, optional={"session_items": st.lists(names, max_size=5)})
    question = st.fixed_dictionaries({}, optional={**wishes, "pseudonym": users, "user_id": names, "context": session})
    batch = st.fixed_dictionaries(
        {}, optional={**wishes, "user_ids": st.lists(names, max_size=4), "pseudonyms": st.lists(users, max_size=4)}
    )
    similar = st.fixed_dictionaries({"item_id": names}, optional={"k": numbers})
    events = st.fixed_dictionaries({"events": st.lists(_event(names, numbers, anything), max_size=3)})
    doors = {
        "/v1/recommendations": question,
        "/v1/recommendations/batch": batch,
        "/v1/similar-items": similar,
        "/v1/events": events,
    }
    right = st.one_of([st.tuples(st.just(path), body) for path, body in doors.items()])
    return st.one_of(right, right, st.tuples(st.sampled_from(sorted(doors)), anything))


def _event(names: Any, numbers: Any, anything: Any) -> Any:
    return st.fixed_dictionaries(
        {"user_id": names, "item_id": names, "event_type": st.one_of(st.sampled_from(EVENT_TYPES), names)},
        optional={
            "event_id": names,
            "pseudonym": names,
            "event_time": st.one_of(st.datetimes().map(lambda moment: moment.isoformat() + "+14:00"), anything),
            "channel": st.one_of(st.sampled_from(CHANNELS), names),
            "quantity": numbers,
            "unit_price": numbers,
            "currency": names,
            "text": names,
        },
    )
