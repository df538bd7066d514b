"""What the API takes and gives, with limits and examples; OpenAPI is made of it.

Requests are pydantic models, checked at the door. Slates are plain dataclasses, made here and not checked again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from serving.fields import (
    Channel,
    Count,
    Currency,
    Discount,
    EventType,
    Id,
    ItemId,
    Moment,
    Name,
    Part,
    Price,
    Pseudonym,
    Quantity,
    UnitPrice,
    UserId,
)
from serving.phrases import Language

SHOPPER = "u_0123456789abcdef01234567"
Closeness = Annotated[
    Literal["brief", "close"] | None,
    Field(description="close: single items are tried for each reason; by the catalogue's size if absent"),
]
Source = Literal["personalised", "session", "popular"]
ReasonKind = Literal["habit", "history", "co_purchase", "similar", "popular", "model", "pinned"]
#: The ways to a place of a slate: how an item became a candidate, and what the shop or chance did.
CandidateSource = Literal["model", "repeat", "co_purchase", "similar", "text", "popular", "boost", "pin", "exploration"]

RulesId = Annotated[
    str | None, Field(examples=["3-0123456789ab"], description="the shop's rules that it was made under")
]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _nothing_of(kind: type[_Message]) -> Callable[[], Any]:
    nothing = kind()  # made and checked once: most requests ask nothing in four ways
    return lambda: nothing


class Filters(_Message):
    """Only items that fit all of these; an absent one fits everything."""

    category: Name | None = Field(default=None, description="a category path or its beginning, parts joined by ' > '")
    brand: Name | None = None
    min_price: Price | None = None
    max_price: Price | None = None
    currency: Currency | None = Field(default=None, description="of the prices; if absent, that of most items")

    @model_validator(mode="after")
    def _prices_in_order(self) -> "Filters":
        if self.min_price is not None and self.max_price is not None and self.min_price > self.max_price:
            raise ValueError("expected min_price ≤ max_price")
        return self


class SlateLimits(_Message):
    """How many items of one brand and of one first-level category a slate may hold."""

    per_brand: Count | None = Field(default=None, ge=1, le=200)
    per_category: Count | None = Field(default=None, ge=1, le=200)


class Exploring(_Message):
    """How much of a slate is drawn from the next best items; each item then says with which probability."""

    share: Part = Field(default=0.0, ge=0, le=0.5, description="of the places; 0: none")
    seed: Name | None = Field(default=None, description="the same seed and user give the same draw; drawn if absent")


class Context(_Message):
    """What is known of this visit alone."""

    session_items: list[ItemId] = Field(default=[], max_length=100, description="items of this visit, newest last")


class RecommendationRequest(_Message):
    """Who asks, for how many items, under which conditions. Neither id: an anonymous visitor."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"user_id": "1228", "k": 10},
                {"pseudonym": SHOPPER, "k": 5, "filters": {"max_price": 5}, "exclude": ["1029743"]},
                {"k": 10, "context": {"session_items": ["1082185"]}},
            ]
        },
    )
    user_id: UserId | None = Field(default=None, description="the shop's own id; hashed at the door, not kept")
    pseudonym: Pseudonym | None = None
    k: Count = Field(default=10, ge=1, le=200, description="how many items")
    exclude: list[ItemId] = Field(default=[], max_length=1000, description="items not to show")
    filters: Filters = Field(default_factory=_nothing_of(Filters))
    limits: SlateLimits = Field(default_factory=_nothing_of(SlateLimits))
    reasons: Closeness = None
    diversity: Part = Field(default=0.0, ge=0, le=1, description="0: by score alone; more: less alike")
    exploration: Exploring = Field(default_factory=_nothing_of(Exploring))
    language: Language = Field(default="en", description="of the reasons: English or Chinese")
    context: Context = Field(default_factory=_nothing_of(Context))

    @model_validator(mode="after")
    def _one_name(self) -> "RecommendationRequest":
        if self.user_id is not None and self.pseudonym is not None:
            raise ValueError("expected user_id or pseudonym, not both")
        return self


class BatchRequest(_Message):
    """Many users, each by one name, and the same wishes for all: for an e-mail send."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"user_ids": ["1228", "1229"], "k": 6, "filters": {"max_price": 20}}]},
    )
    user_ids: list[UserId] = Field(default=[], max_length=1000, description="the shop's own ids; hashed at the door")
    pseudonyms: list[Pseudonym] = Field(default=[], max_length=1000)
    k: Count = Field(default=10, ge=1, le=50, description="how many items for each")
    exclude: list[ItemId] = Field(default=[], max_length=1000, description="items not to show")
    filters: Filters = Field(default_factory=_nothing_of(Filters))
    limits: SlateLimits = Field(default_factory=_nothing_of(SlateLimits))
    reasons: Closeness = None
    diversity: Part = Field(default=0.0, ge=0, le=1, description="0: by score alone; more: less alike")
    exploration: Exploring = Field(default_factory=_nothing_of(Exploring))
    language: Language = Field(default="en", description="of the reasons: English or Chinese")

    @model_validator(mode="after")
    def _some_users(self) -> "BatchRequest":
        if not 1 <= len(self.user_ids) + len(self.pseudonyms) <= 1000:
            raise ValueError("expected 1 to 1000 users, by user_ids and pseudonyms together")
        return self


class SimilarItemsRequest(_Message):
    """One item of the catalogue, and how many like it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"item_id": "1082185", "k": 5}]})
    item_id: ItemId
    k: Count = Field(default=10, ge=1, le=200, description="how many items")
    language: Language = Field(default="en", description="of the reasons: English or Chinese")


class Event(_Message):
    """One thing a user did. Without event_time it happened now; without event_id its content names it."""

    event_id: Id | None = Field(default=None, description="the same id twice counts once")
    user_id: UserId | None = Field(default=None, description="the shop's own id; hashed at the door, not kept")
    pseudonym: Pseudonym | None = None
    item_id: ItemId | None = Field(default=None, description="needed for every type but search")
    event_type: EventType
    event_time: Moment | None = Field(default=None, description="with a zone; at most 5 minutes ahead of as_of")
    channel: Channel = "web"
    session_id: Id | None = None
    basket_id: Id | None = None
    quantity: Quantity | None = None
    unit_price: UnitPrice | None = None
    discount: Discount | None = None
    currency: Currency | None = None
    text: Annotated[str, StringConstraints(max_length=2000)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> "Event":
        if (self.user_id is None) == (self.pseudonym is None):
            raise ValueError("expected exactly one of user_id and pseudonym")
        if self.item_id is None and self.event_type != "search":
            raise ValueError(f"expected an item_id for the event type {self.event_type}")
        return self


class EventsRequest(_Message):
    """Events in any order; all of them are kept, or none."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"events": [{"user_id": "1228", "item_id": "1082185", "event_type": "add_to_cart", "channel": "web"}]}
            ]
        },
    )
    events: list[Event] = Field(min_length=1, max_length=1000)


@dataclass(slots=True)
class Reason:
    """Why an item is in the slate, in one sentence, and the items that the sentence rests on."""

    kind: ReasonKind
    text: Annotated[str, Field(examples=["You bought this 5 times, last on 12 Dec."])]
    because: Annotated[list[str], Field(examples=[["1082185"]])] = field(default_factory=list)


@dataclass(slots=True)
class SlateItem:
    """One place of a slate."""

    rank: Annotated[int, Field(examples=[1])]
    item_id: Annotated[str, Field(examples=["1082185"])]
    title: Annotated[str, Field(examples=["Bananas"])]
    category: Annotated[str | None, Field(examples=["PRODUCE > TROPICAL FRUIT > BANANAS"])]
    brand: Annotated[str | None, Field(examples=["National"])]
    price: Annotated[float | None, Field(examples=[0.99])]
    currency: Annotated[str | None, Field(examples=["USD"])]
    score: Annotated[
        float | None,
        Field(examples=[7.31], description="higher is better, within one answer; null for a pinned item without one"),
    ]
    reason: Reason
    sources: Annotated[list[CandidateSource], Field(examples=[["model", "repeat"]])]
    propensity: Annotated[
        float | None,
        Field(description="where places are drawn: the probability of this item here, given the places above"),
    ] = None


@dataclass(slots=True)
class Recommendations:
    """A slate, and where it came from."""

    release_id: Annotated[str, Field(examples=["r20180101-0123456789ab"])]
    source: Annotated[
        Source, Field(description="personalised: by the user's features; session: by this visit; popular: neither")
    ]
    user: Annotated[str | None, Field(examples=[SHOPPER], description="the pseudonym")]
    as_of: Annotated[datetime, Field(description="the moment the answer was computed for")]
    slate: list[SlateItem]
    rules_id: RulesId
    exploration_seed: Annotated[str | None, Field(description="what places were drawn with, null where none were")]
    notes: Annotated[list[str], Field(description="what to know about this answer, in plain words")] = field(
        default_factory=list
    )


@dataclass(slots=True)
class Slates:
    """The slates of many users, those of `user_ids` first, each list in the order of the request."""

    release_id: str
    slates: list[Recommendations]


@dataclass(slots=True)
class SimilarItems:
    """Items like one item, by the release's item vectors."""

    release_id: str
    item_id: str
    slate: list[SlateItem]
    rules_id: RulesId


class EventsReceipt(BaseModel):
    """What became of the pushed events. `accepted` events are on disk and will reach the lake."""

    accepted: int = Field(examples=[1], description="on disk, and not known before")
    duplicates: int = Field(examples=[0], description="known by their event_id; nothing was done")
    updated_users: int = Field(examples=[1], description="users whose next answer knows their events")
    event_ids: list[str] = Field(examples=[["e_4f1c"]], description="in the order of the request")
    notes: list[str] = []


class Health(BaseModel):
    """Whether the process can answer."""

    status: Literal["ok", "ready", "not ready"]
    release_id: str | None = None
    online_store: Literal["ok", "unavailable"] | None = None
    detail: str | None = None
