"""The contract of the data: tables, columns, bounds, feature names. Standard library only.

Every other room reads names from here and types none of them again. Times are UTC, microseconds.
"""

import hashlib
import hmac
from dataclasses import dataclass

CONTRACT_VERSION = "1"

EVENT_TYPES = (
    "view",
    "search",
    "add_to_cart",
    "purchase",
    "return",
    "like",
    "share",
    "follow",
    "review",
    "offer_received",
    "offer_redeemed",
)
#: Event types that tie a user to an item; a history is made of these. Their order gives the model's type ids (1..).
INTERACTION_TYPES = ("view", "add_to_cart", "purchase", "like", "share", "follow", "review")
CHANNELS = ("web", "app", "store", "social", "email")
OFFER_KINDS = ("coupon", "mailer", "display", "discount")
#: The highest price of anything on sale: a car in rupiah is some hundred million, a number beyond this is a barcode.
HIGHEST_PRICE = 1_000_000_000


@dataclass(frozen=True)
class Column:
    """One column of a table: its type and what must be true of each value.

    `dtype` is one of string, timestamp, float, int, bool, list<string>, list<float>, list<int>, list<timestamp>.
    """

    name: str
    dtype: str
    meaning: str
    nullable: bool = True
    unique: bool = False
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] | None = None
    references: str | None = None


@dataclass(frozen=True)
class Table:
    """One table of the lake: its columns and the column(s) that name a row."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """The column names, in the contract's order."""
        return tuple(column.name for column in self.columns)


EVENTS = Table(
    "events",
    ("event_id",),
    (
        Column("event_id", "string", "names one event; the same export gives the same id", False, unique=True),
        Column("event_time", "timestamp", "when it happened", False),
        Column("known_at", "timestamp", "when we learned of it", False),
        Column("user_id", "string", "pseudonym of the user", False),
        Column("item_id", "string", "the item; null for a search", references="items.item_id"),
        Column("event_type", "string", "what the user did", False, allowed=EVENT_TYPES),
        Column("channel", "string", "where it happened", False, allowed=CHANNELS),
        Column("session_id", "string", "one visit on web or app"),
        Column("basket_id", "string", "one checkout"),
        Column("quantity", "float", "units", minimum=0.0001, maximum=1_000_000),
        Column("unit_price", "float", "price paid for one unit", minimum=0, maximum=HIGHEST_PRICE),
        Column("discount", "float", "money off for the line", minimum=0, maximum=HIGHEST_PRICE),
        Column("currency", "string", "ISO 4217"),
        Column("text", "string", "a query or a review"),
        Column("source", "string", "the shop export it came from", False),
    ),
)
ITEMS = Table(
    "items",
    ("item_id",),
    (
        Column("item_id", "string", "names one item", False, unique=True),
        Column("title", "string", "what a shopper reads", False),
        Column("description", "string", "longer text"),
        Column("category", "string", "category path, parts joined by ' > '"),
        Column("brand", "string", "the brand"),
        Column("price", "float", "list price, where the catalogue has one", minimum=0, maximum=HIGHEST_PRICE),
        Column("currency", "string", "ISO 4217"),
        Column("image", "string", "address of a picture"),
        Column("available", "bool", "can be bought now", False),
        Column("updated_at", "timestamp", "when the catalogue said so", False),
        Column("source", "string", "the shop export it came from", False),
    ),
)
OFFERS = Table(
    "offers",
    ("offer_id",),
    (
        Column("offer_id", "string", "names one offer", False, unique=True),
        Column("campaign_id", "string", "the campaign it belongs to"),
        Column("items", "list<string>", "the items it applies to", False),
        Column("kind", "string", "how it reaches the user", False, allowed=OFFER_KINDS),
        Column("value", "float", "money off, where known", minimum=0),
        Column("starts_at", "timestamp", "first moment it holds", False),
        Column("ends_at", "timestamp", "last moment it holds", False),
        Column("budget", "float", "money set aside, where known", minimum=0),
        Column("cap_per_user", "int", "times one user may use it, where known", minimum=1),
        Column("source", "string", "the shop export it came from", False),
    ),
)
USERS = Table(
    "users",
    ("user_id",),
    (
        Column("user_id", "string", "pseudonym of the user", False, unique=True),
        Column("traits", "string", "what the shop knows of the user, a JSON object of strings", False),
        Column("updated_at", "timestamp", "when the shop said so", False),
        Column("source", "string", "the shop export it came from", False),
    ),
)
QUARANTINE = Table(
    "quarantine",
    ("row_id",),
    (
        Column("row_id", "string", "names one held row: hash of source, table, window and raw row", False, True),
        Column("table_name", "string", "the table it was meant for", False),
        Column("source", "string", "the shop export it came from", False),
        Column("window", "string", "the window it arrived in", False),
        Column("raw", "string", "the row as it came, as JSON, user ids as pseudonyms", False),
        Column("rule", "string", "the rule it broke", False),
        Column("reason", "string", "what was expected and what came", False),
        Column("contract_version", "string", "the contract it was judged by", False),
        Column("known_at", "timestamp", "when it was held", False),
        Column("state", "string", "held, replayed or discarded", False, allowed=("held", "replayed", "discarded")),
        Column("origin", "string", "how the raw row was read, as JSON: section, column types, columns with pseudonyms"),
        Column("settled_at", "timestamp", "when it was replayed or discarded"),
        Column("note", "string", "why it was discarded, or how it landed"),
    ),
)
WINDOWS = Table(
    "windows",
    ("source", "table_name", "window"),
    (
        Column("source", "string", "the shop export it came from", False),
        Column("table_name", "string", "the table that was written", False),
        Column("window", "string", "the window, like 2017-03; 'all' for a table without time", False),
        Column(
            "input_hash", "string", "content of the export's rows in the window, and which of them were held", False
        ),
        Column("mapping_hash", "string", "the mapping they were read by", False),
        Column("contract_version", "string", "the contract they were judged by", False),
        Column("rows_in", "int", "rows of the export", False, minimum=0),
        Column("rows_written", "int", "rows of the export that landed", False, minimum=0),
        Column("rows_quarantined", "int", "rows of the export that were held", False, minimum=0),
        Column("table_version", "int", "the table's version after the write", False, minimum=0),
        Column("finished_at", "timestamp", "when the write was verified", False),
    ),
)
#: What serving answered, one row a slate; questions answered together share a batch. Times are those of the log.
ANSWERS = Table(
    "answers",
    ("request_id",),
    (
        Column("request_id", "string", "names one answer; the caller has it as X-Request-Id", False, unique=True),
        Column("batch_id", "string", "questions that were answered together", False),
        Column("place", "int", "of this question in its batch", False, minimum=0),
        Column("answered_at", "timestamp", "when the answer was logged", False),
        Column("as_of", "timestamp", "the moment it was computed for", False),
        Column("release_id", "string", "the release that answered", False),
        Column("rules_id", "string", "the shop's rules in use, null for none"),
        Column("user_id", "string", "pseudonym, null for an anonymous visitor"),
        Column("experiment_id", "string", "the experiment that it was part of, null for none"),
        Column("arm", "string", "whose turn it was in that experiment: champion, challenger, interleaved"),
        Column("propensity", "float", "the probability with which this user got this arm", minimum=0, maximum=1),
        Column("question", "string", "what was asked, as JSON", False),
        Column("features", "string", "the user's row as it was read, as JSON; null where it could not be", False),
        Column("answer", "string", "the answer's bytes", False),
        Column("source", "string", "live", False),
    ),
)
#: What a challenger would have answered, unseen, beside what was answered; one row a slate.
SHADOWS = Table(
    "shadows",
    ("request_id",),
    (
        Column("request_id", "string", "the answer that it stands beside", False, unique=True),
        Column("experiment_id", "string", "the experiment", False),
        Column("answered_at", "timestamp", "when that answer was logged", False),
        Column("as_of", "timestamp", "the moment both were computed for", False),
        Column("release_id", "string", "the challenger", False),
        Column("champion", "string", "the release that answered", False),
        Column("user_id", "string", "pseudonym, null for an anonymous visitor"),
        Column("slate", "string", "the challenger's items as JSON, best first", False),
        Column("overlap", "float", "share of the longer slate that both have", False, minimum=0, maximum=1),
        Column("correlation", "float", "Kendall's tau over the items of both; null for fewer than two"),
        Column("seconds", "float", "time of the challenger's answer", False, minimum=0),
        Column("fallback", "bool", "the challenger's answer was not personal", False),
        Column("champion_fallback", "bool", "the answer was not personal", False),
        Column("error", "string", "why the challenger failed, null where it did not"),
        Column("source", "string", "live", False),
    ),
)
TABLES = {table.name: table for table in (EVENTS, ITEMS, OFFERS, USERS)}


def pseudonym(user_id: str, key: bytes) -> str:
    """Return the pseudonym of a shop's own user id: a keyed hash (HMAC-SHA256, 96 bits), the same at every door.

    Blanks around the id are no part of it: one export has them, the next one not.
    """
    return "u_" + hmac.new(key, user_id.strip().encode(), hashlib.sha256).hexdigest()[:24]
