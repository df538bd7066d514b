"""Every feature by name: views, features in order, types and bounds, and the scorer's door. Standard library only.

Training, serving and the feature store read one list from here; transforms.py gives each view its meaning.
"""

from dataclasses import dataclass

from feature_repo.schema import CHANNELS, Column

#: Windows, in days, over which every windowed feature is computed.
WINDOWS_DAYS = (7, 28, 84, 364)
#: Length of a user's history (last interactions) and of a user's habits (most repeated items).
HISTORY_LENGTH = 100
HABIT_LENGTH = 100
#: Co-purchased items kept for each item; a pair counts when so many visits hold both: one meeting is chance.
CO_PURCHASE_LENGTH = 20
CO_PURCHASE_MINIMUM = 2


@dataclass(frozen=True)
class FeatureView:
    """One feature table: an entity ('user' or 'item'), and its features in order."""

    name: str
    entity: str
    features: tuple[Column, ...]

    @property
    def key(self) -> str:
        """The entity's join key."""
        return f"{self.entity}_id"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The feature names, in order."""
        return tuple(feature.name for feature in self.features)


def _windowed(name: str, meaning: str, **bounds: float) -> tuple[Column, ...]:
    return tuple(
        Column(f"{name}_{days}d", "float", f"{meaning}, last {days} days", False, **bounds)  # type: ignore[arg-type]
        for days in WINDOWS_DAYS
    )


def _share(name: str, meaning: str) -> Column:
    return Column(name, "float", meaning, False, minimum=0, maximum=1)


USER_ACTIVITY = FeatureView(
    "user_activity",
    "user",
    (
        Column("days_since_last_event", "float", "recency", False, minimum=0),
        Column("days_since_last_purchase", "float", "recency of purchases; null if none", minimum=0),
        Column("days_since_first_event", "float", "how long we know the user", False, minimum=0),
        *_windowed("event_count", "events", minimum=0),
        *_windowed("basket_count", "baskets", minimum=0),
        *_windowed("purchase_count", "purchased lines", minimum=0),
        *_windowed("spend", "money spent", minimum=0),
        *_windowed("discount_share", "discount / (spend + discount)", minimum=0, maximum=1),
    ),
)
USER_AFFINITY = FeatureView(
    "user_affinity",
    "user",
    (
        Column("top_categories", "list<string>", "up to 5 first-level categories, most met first", False),
        Column("top_category_shares", "list<float>", "share of interactions of each, last 364 days", False),
        Column("top_brands", "list<string>", "up to 5 brands, most met first", False),
        Column("top_brand_shares", "list<float>", "share of interactions of each, last 364 days", False),
    ),
)
USER_CHANNELS = FeatureView(
    "user_channels",
    "user",
    tuple(_share(f"{channel}_share", f"share of events on {channel}, last 364 days") for channel in CHANNELS),
)
USER_RHYTHM = FeatureView(
    "user_rhythm",
    "user",
    (
        Column("hour_shares", "list<float>", "24 shares of events by hour of day (UTC), last 364 days", False),
        Column("weekday_shares", "list<float>", "7 shares of events by weekday, Monday first", False),
        Column(
            "median_days_between_baskets",
            "float",
            "median gap, last 364 days; null with fewer than 2 baskets",
            minimum=0,
        ),
    ),
)
USER_COUPONS = FeatureView(
    "user_coupons",
    "user",
    (
        *_windowed("redemption_count", "coupons redeemed", minimum=0),
        _share("discounted_line_share", "share of purchased lines with a discount, last 364 days"),
        Column("days_since_last_redemption", "float", "null if none", minimum=0),
    ),
)
USER_HISTORY = FeatureView(
    "user_history",
    "user",
    (
        Column("history_item_ids", "list<string>", "last interactions, oldest first", False),
        Column("history_event_types", "list<string>", "their event types", False),
        Column("history_event_times", "list<timestamp>", "their times", False),
    ),
)
USER_HABITS = FeatureView(
    "user_habits",
    "user",
    (
        Column("habit_item_ids", "list<string>", "items bought most, recent purchases counting more", False),
        Column("habit_counts", "list<float>", "purchases of each (distinct baskets)", False),
        Column("habit_last_times", "list<timestamp>", "last purchase of each", False),
    ),
)
ITEM_POPULARITY = FeatureView(
    "item_popularity",
    "item",
    (
        *_windowed("interaction_count", "interactions", minimum=0),
        *_windowed("user_count", "distinct users", minimum=0),
    ),
)
ITEM_PRICE = FeatureView(
    "item_price",
    "item",
    (
        Column("last_price", "float", "last unit price paid", minimum=0),
        Column("mean_price_84d", "float", "mean unit price paid, last 84 days", minimum=0),
        Column(
            "item_discount_share",
            "float",
            "share of lines with a discount, last 84 days",
            minimum=0,
            maximum=1,
        ),
    ),
)
ITEM_REPEAT = FeatureView(
    "item_repeat",
    "item",
    (
        Column("repeat_rate", "float", "share of its buyers who bought it again", minimum=0, maximum=1),
        Column("median_days_between_repeats", "float", "null without repeats", minimum=0),
    ),
)
ITEM_CO_PURCHASE = FeatureView(
    "item_co_purchase",
    "item",
    (
        Column(
            "co_purchase_item_ids",
            "list<string>",
            "items met most in the same basket or session, last 84 days",
            False,
        ),
        Column("co_purchase_scores", "list<float>", "cosine of the two items' baskets", False),
        Column("co_purchase_bought", "list<float>", "visits in which both were bought", False),
    ),
)
USER_VIEWS = (
    USER_ACTIVITY,
    USER_AFFINITY,
    USER_CHANNELS,
    USER_RHYTHM,
    USER_COUPONS,
    USER_HISTORY,
    USER_HABITS,
)
ITEM_VIEWS = (ITEM_POPULARITY, ITEM_PRICE, ITEM_REPEAT, ITEM_CO_PURCHASE)
FEATURE_VIEWS = {view.name: view for view in (*USER_VIEWS, *ITEM_VIEWS)}
EVENT_TIMESTAMP = "event_timestamp"
CREATED_TIMESTAMP = "created_timestamp"
#: The one feature service that both the training set and serving read: all user views.
USER_SERVICE = "user_v1"
ITEM_SERVICE = "item_v1"

# The scorer's door (model.onnx), in order. Vocabulary index 0 is padding; sequences are right-aligned, newest last.
#   history_items int64[B,100] · history_types int64[B,100] (1 + index in INTERACTION_TYPES) ·
#   history_ages float32[B,100] (days before as_of) · habit_items int64[B,100] · habit_counts float32[B,100] ·
#   habit_ages float32[B,100] (days since last purchase) · allowed bool[B,items+1] · k int64[1]
MODEL_INPUTS = (
    "history_items",
    "history_types",
    "history_ages",
    "habit_items",
    "habit_counts",
    "habit_ages",
    "allowed",
    "k",
)
#   items int64[B,k] vocabulary indices, best first · scores float32[B,k]
MODEL_OUTPUTS = ("items", "scores")
# The door of query.onnx, in order: sequences of any length, right-aligned, 0 = padding.
#   recent_rows float32[B,R,d] rows of the newest history · recent_types int64[B,R,1] ·
#   recent_times float32[B,R,2] age, and the days between it and the one before · recent_live int32[B,R+1] 1 = is there,
#   the last one is now · past_items int64[B,P] past items, each once · past_rows float32[B,P,d] ·
#   past_times float32[B,P,2] age, purchases · history_items int64[B,H] −1 = padding · history_ages float32[B,H] ·
#   habits float32[B,1] how many
QUERY_INPUTS = (
    "recent_rows",
    "recent_types",
    "recent_times",
    "recent_live",
    "past_items",
    "past_rows",
    "past_times",
    "history_items",
    "history_ages",
    "habits",
)
#   query float32[B,1,d] what multiplies items' rows · past_scores float32[B,P,1] the scores of past items
QUERY_OUTPUTS = ("query", "past_scores")
#: Files of a release's item index, where it has one: training writes them, serving reads them.
INDEX_FILES = ("query.onnx", "item_rows.npy", "item_index.npz")
#: The file of a release that a later training begins with; serving has no use for it.
KNOWLEDGE_NAME = "knowledge.npz"
