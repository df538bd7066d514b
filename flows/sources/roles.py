"""What the columns of a sample seem to mean: guesses by name, kind and content, each with its reason."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.sources.column_profile import ColumnProfile

_THING = (
    "(item|product|produkt|produit|prodotto|produto|producto|sku|article|articulo|articolo|artigo|artikel|stock|asin"
    "|movie|film|book|track|song|video|game|recipe|anime|beer|wine|listing|goods|isbn|ean|upc|gtin|variant|material"
    "|prod|line_?item|aid)"
)
_PERSON = (
    "(user|customer|client|visitor|member|household|shopper|buyer|reviewer|author|account|cust|consumer|kunden?|klant"
    "|client|cliente|card|profile)"
)
_ID = "(id|code|no|nr|num|number|key|sku|asin|nummer|numero|hash|codigo|codice)"
_BASKET = (
    "(order|invoice|basket|transaction|receipt|bill|ticket|bon|beleg|rechnung|bestellung|bestell|auftrags?|facture"
    "|commande|pedido|factura|ordine|fattura)"
)
#: Kinds of columns that hold numbers, and times.
NUMBERS = ("whole", "number", "comma_number", "grouped_number")
TIMES = ("time", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns")
#: Kinds that an id may have: one of 19 digits can look like a time in nanoseconds.
_WORDS = ("text", "whole", "number", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns")
_DAY = "(time|timestamp|time_stamp|datetime|date|at|dt|ts|datum|zeit|fecha|data|date_time)"
#: Role → name patterns, the surest first → kinds that a column of the role may have.
_NAMES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "user_id": (
        (f"^{_PERSON}_(unique|pseudo|reference|ref)_{_ID}$", f"^{_PERSON}_?{_ID}?$", f"^uid$|{_PERSON}_?{_ID}(_hash)?$",
         "^(anonymous|distinct|cookie|device|fullvisitor)_?id$",
         "^e_?mail(_(address|billing|customer))*$|(customer|user|client|billing|buyer|profile|person)_e?_?mail(_address)?$",
         "(profile|user|reviewer|screen|nick|member|customer)_?name$"),
        _WORDS,
    ),
    "item_id": (
        (f"^(parent_)?{_THING}_?{_ID}$", f"^(parent_)?{_THING}s?$", f"{_THING}_?{_ID}(_hash)?$",
         f"^{_THING}_?(name|desc|description|bezeichnung|purchased|bought|sold)$|^(?!.*(device|mobile|phone)).*_model$"),
        _WORDS,
    ),
    "event_time": (
        (f"^(event|order(ed)?|invoice|purchase|transaction|order_purchase|created|sold|trans|rental|beleg|bestell)_?{_DAY}$",
         f"^{_DAY}$",
         f"purchase.*(time|date)|(^|_)({_DAY}|day|dat)(_epoch)?(_(s|ms|us|utc))?$|(date|datum)$", ".*"),
        TIMES,
    ),
    "event_type": (
        ("^(event|action|behaviou?r|activity|interaction|metric)(_?(type|name))?$", "type$|^event|action"),
        _WORDS,
    ),
    "session_id": (("session|^visit(_?id)?$",), _WORDS),
    "basket_id": (
        (f"^{_BASKET}_?{_ID}$", f"^{_BASKET}$",
         f"{_BASKET}_?(increment_)?{_ID}$|^increment_id$|^{_ID}_{_BASKET}$", f"^cart(_?{_ID})?$"),
        _WORDS,
    ),
    "quantity": (
        ("^(line_?item_|item_|order_)?(qty|quantity|units|pieces|menge|anzahl|stueck|cantidad|quantite|quantita)$",
         "qty|quantity|^(item|product)_count$|^units?_(sold|sales)$", "^amount$|^count$"),
        NUMBERS,
    ),
    "unit_price": (
        ("^(unit_?|line_?item_?|einzel|item_?)?(price|preis)$|^(line_?)?item_?cost$",
         "^(?!.*(\\blog|_log|rate|range|bucket|tier|level|cost|buy|wholesale)).*(unit_?price|^price|price_per_unit|(^|_)price(_amount)?$)"
         "|^(prix|precio|prezzo|preco)|^(msrp|rrp|srp|uvp)(_|$)"),
        NUMBERS,
    ),
    "line_total": (
        ("^(line_?|sub_?)?total$|^sales_(value|price|amount)$|^revenue$|umsatz|^(net_|gross_)?sales$|gesamt|betrag"
         "|^spend$|^purchase_?amount|^store_sales$",
         "^(?!.*(shipping|tax|discount|refund|cost|order|cart|invoice|grand)).*(total|revenue)(_(amount|price|value))?$|^amount"),
        NUMBERS,
    ),
    "discount": (("^discount|^rebate|^rabatt|_disc(ount)?$",), NUMBERS),
    "currency": (("^currency|^ccy$|_currency$|^waehrung|^devise$|^moneda$|^valuta$",), ("text",)),
    "rating": (("^(rating|stars|score|overall|review_score)$", "_rating$"), NUMBERS),
    "text": (
        ("^(query|search(_(term|query|text))?|review_(text|body|comment_message)|review|text|comment)$",),
        ("text",),
    ),
    "status": (("^(order_|item_|financial_)?status$|^state$|_status$",), ("text",)),
    "title": (
        (f"^({_THING}|app)_?(title|name|bezeichnung)$|^title$",
         f"^((properties|products|items|line_items)_)?name$|_{_THING}_?(title|name)$",
         "^description$|^(item|product)_?desc(ription)?$|^bezeichnung$|^(nombre|nom|nome|titre|titulo|titel)$"),
        ("text",),
    ),
    "description": (
        ("^(detail_)?desc(ription)?$|_desc$|^description$", "^features$", f"^{_THING}_?description$"),
        ("text", "list"),
    ),
    "category": (
        ("^categor(y|ies)(_?(name|code|path|name_english))?$|_categor(y|ies)(_name)?(_english)?$",
         "^(department|aisle|genres?|subclass|product_subclass|index_group_name|product_group_name|product_type_name)$",
         "^category_?id$|department_desc|commodity|^department|class$"),
        ("text", "list", "whole"),
    ),
    "brand": (
        ("^brand(_name)?$|_brand$", "^brand|^(manufacturer|vendor|maker|publisher|store|marke|hersteller)(_name)?$"),
        ("text", "whole"),
    ),
    "image": (("image|img|picture|photo",), ("text",)),
}  # fmt: skip
#: What the parts of a price, of a kind and of a picture are called.
_OF_OBJECTS = r"^(category|price|image)_(l\d|level_?\d|name|amount|value|src|url)$"
#: Roles of which two name patterns are sure.
_TWO_SURE = ("user_id", "item_id", "basket_id")
#: The shop's words for what a user does, as exports write them.
EVENT_WORDS = {
    "view": (
        "view", "viewed", "pv", "click", "detail", "page_view", "pageview", "product_view", "view_item", "item_view",
        "product_viewed", "viewed_product", "view_product", "product_click", "product_clicked", "item_viewed",
        "visit", "browse", "browsing", "play", "played", "watch", "watched", "listen", "listened", "clicked", "seen",
    ),
    "add_to_cart": (
        "add_to_cart", "addtocart", "cart", "basket", "add", "cart_add", "add_cart", "add_to_basket", "basket_add",
        "product_added", "added_to_cart", "added_product", "add_to_bag",
    ),
    "purchase": (
        "purchase", "purchased", "buy", "transaction", "order", "bought", "sale", "checkout", "paid", "order_completed",
        "placed_order", "ordered_product", "rental", "rented", "order_placed", "payment", "charge",
        "checkout_completed",
    ),
    "return": (
        "return", "refund", "returned", "cancel", "cancelled", "canceled", "cancellation", "refunded", "voided",
        "order_refunded", "storniert", "retoure",
    ),
    "like": (
        "like", "liked", "wanted", "fav", "favorite", "favourite", "wishlist", "add_to_wishlist", "wishlist_add",
        "save", "product_added_to_wishlist",
    ),
    "share": ("share",),
    "follow": ("follow", "subscribe"),
    "review": ("review", "rating", "rate"),
    "search": ("search", "query", "view_search_results", "product_searched", "products_searched", "searched"),
}  # fmt: skip
#: Words beside the one that says what was done.
_DONE_TO = {"product", "item", "detail", "details", "page", "content", "interact", "goods", "article", "sku", "listing"}


@dataclass(frozen=True)
class Guess:
    """One role of one column, why it seems so, how sure that is (sure, likely, unsure), and what else it could be."""

    role: str
    column: ColumnProfile
    why: str
    confidence: str
    others: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The guess in words: how sure, why, what else."""
        others = f"; could also be {', '.join(self.others)}" if self.others else ""
        return f"{self.confidence}: {self.why}{others}"


def plain_name(name: str) -> str:
    """A column's name in plain small letters: `Customer ID`, `customerId` and `customer_id:token` are customer_id.

    `Größe` is groesse, `Product(s)` products; a type behind a colon is none of the name.
    """
    name = re.sub(r"(?<=\w):\w+$", "", name).replace("(s)", "s")
    for sign, written in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("Ä", "Ae"), ("Ö", "Oe"), ("Ü", "Ue"), ("ß", "ss")):
        name = name.replace(sign, written)
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain)
    return re.sub(r"[^a-z0-9]+", "_", split.lower()).strip("_")


def meant_by(word: str) -> str | None:
    """Our event type for a shop's word, or None when we do not know the word."""
    plain = plain_name(word)
    forms = {plain, plain.removesuffix("s")}
    return next((ours for ours, words in EVENT_WORDS.items() if forms & set(words)), None)


def likely_meant_by(word: str) -> str | None:
    """Our event type for a word that is made of a known one and of what it was done to: product_detail_viewed."""
    parts = set(re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).lower())) - _DONE_TO - {""}
    return meant_by(word) or (meant_by(parts.pop()) if len(parts) == 1 else None)


def meant_by_file(file: str) -> str | None:
    """Our event type for a word in a file's name, the first that is known: `train-purchases.csv` is of purchases."""
    stem = plain_name(Path(file).name.partition(".")[0]).split("_")
    return next((meant for word in stem if (meant := meant_by(word))), None)


def names_item(name: str) -> bool:
    """Whether a column's name is one of an item's id."""
    return any(re.search(pattern, plain_name(name)) for pattern in _NAMES["item_id"][0][:2])


def names_part(name: str) -> bool:
    """Whether the name of an object and its key is surely one of a user's or an item's id, a price or a kind."""
    plain = plain_name(name)
    sure = [*_NAMES["user_id"][0][:2], *_NAMES["item_id"][0][:2], _NAMES["unit_price"][0][0], _OF_OBJECTS]
    return any(re.search(pattern, plain) for pattern in sure)


def names_time(name: str) -> bool:
    """Whether a column's name is one of a moment."""
    return any(re.search(pattern, plain_name(name)) for pattern in _NAMES["event_time"][0][:-1])


def role_of_file(stem: str) -> str | None:
    """Whose `id` a file has by its name: products.csv has an item's, users.csv a user's, orders.csv a basket's."""
    word = plain_name(stem).rpartition("_")[2]
    forms = {word, word.removesuffix("s"), f"{word.removesuffix('ies')}y"}
    kinds = {"item_id": _THING, "user_id": _PERSON, "basket_id": _BASKET}
    return next((role for role, names in kinds.items() if any(re.fullmatch(names, form) for form in forms)), None)


def guess_roles(
    columns: Sequence[ColumnProfile], wanted: Iterable[str], known: dict[str, Guess] | None = None
) -> dict[str, Guess]:
    """The best column for each role wanted, in the order of the roles; a column gets one role, `known` ones first."""
    guesses = dict(known or {})
    taken = {guess.column.name for guess in guesses.values()}
    for role in [role for role in wanted if role not in guesses]:
        fitting = _fitting(role, [column for column in columns if column.name not in taken])
        if fitting:
            rank, column = fitting[0]
            others = tuple(other.name for _, other in fitting[1:4])
            confidence = _confidence(rank - (role in _TWO_SURE), len(others))
            guesses[role] = Guess(role, column, _why(role, rank, column), confidence, others)
            taken.add(column.name)
    return guesses


def _fitting(role: str, columns: Sequence[ColumnProfile]) -> list[tuple[int, ColumnProfile]]:
    patterns, kinds = _NAMES[role]
    found = []
    for column in columns:
        name = plain_name(column.name)
        rank = next((place for place, pattern in enumerate(patterns) if re.search(pattern, name)), None)
        fits = column.kind in kinds or (column.kind == "empty" and rank == 0)
        if rank is not None and fits and _content_fits(role, rank, column):
            found.append((rank, column))
    # One whose words tell several deeds says more than one that is only named so; a moment or
    # a title that lacks is none.
    if role == "event_type":
        poor = {column.name for _, column in found if len(_meanings(column)) < 2}
    else:
        most = {"event_time": 0.1, "title": 0.5}.get(role, 1.0)
        poor = {column.name for _, column in found if column.nulls > most * column.rows}
    return sorted(
        found, key=lambda pair: (pair[1].name in poor, pair[0], pair[1].nulls > 0.5 * pair[1].rows, pair[1].is_day)
    )


def _meanings(column: ColumnProfile) -> set[str]:
    """Our event types among a column's words."""
    return {meant for word in column.words if (meant := meant_by(word))}


def _content_fits(role: str, rank: int, column: ColumnProfile) -> bool:
    """Whether a column's values may be of a role that its name speaks for."""
    if role == "event_type":
        surely = rank == 0 or plain_name(column.name) == "type"
        numbered = surely and column.kind == "whole" and 1 < column.distinct <= 12
        meant = likely_meant_by if rank == 0 else meant_by
        return numbered or any(meant(word) is not None for word in column.words)
    if role == "status":
        return any(meant_by(word) == "return" for word in column.words)
    if role == "event_time" and rank == len(_NAMES[role][0]) - 1:
        return column.kind == "time"
    if role == "basket_id" and plain_name(column.name) == "order" and column.kind == "whole":
        # Few small numbers say in which order things were looked at.
        return not ((column.minimum or 0) <= 1 and column.distinct < 0.05 * column.filled)
    # An amount with a fraction is money.
    return not (role == "quantity" and rank == len(_NAMES[role][0]) - 1 and column.kind != "whole")


def _why(role: str, rank: int, column: ColumnProfile) -> str:
    content = {
        "event_time": f"its values read as {', '.join(column.time_formats)}",
        "event_type": f"its words are {', '.join(sorted(column.words))}",
    }.get(role)
    named = "its name says so" if rank == 0 or (role in _TWO_SURE and rank == 1) else "its name is near"
    if role == "event_time" and rank == len(_NAMES[role][0]) - 1:
        named = "the first column of times"
    return f"{named}, {content}" if content else f"{named}, {column.distinct:,} values in {column.filled:,} rows"


def _confidence(rank: int, others: int) -> str:
    return "sure" if rank <= 0 and not others else "likely" if rank <= 1 else "unsure"
