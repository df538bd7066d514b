"""What a shop's words say that users did: the words of exports and platforms, in any order, and words of a status."""

import re
from collections.abc import Iterable
from pathlib import Path

from flows.sources.column_names import plain_words
from flows.sources.foreign_words import FOREIGN_WORDS, meant_by_signs

#: The shop's words for what a user does, as exports write them.
EVENT_WORDS = {
    "view": (
        "view", "viewed", "pv", "click", "detail", "page_view", "pageview", "product_view", "view_item", "item_view",
        "product_viewed", "viewed_product", "view_product", "product_click", "product_clicked", "item_viewed",
        "visit", "browse", "browsing", "play", "played", "watch", "watched", "listen", "listened", "clicked", "seen",
        "quickview", "clickout", "look", "looked", "looked_at", "saw", "glance",
    ),
    "add_to_cart": (
        "add_to_cart", "addtocart", "cart", "basket", "add", "cart_add", "add_cart", "add_to_basket", "basket_add",
        "product_added", "added_to_cart", "added_product", "add_to_bag",
    ),
    "purchase": (
        "purchase", "purchased", "buy", "transaction", "order", "bought", "sale", "checkout", "paid", "order_completed",
        "placed_order", "ordered_product", "rental", "rented", "order_placed", "payment", "charge", "pay",
        "checkout_completed", "booking", "booked", "invoice", "rechnung", "facture", "factura", "fattura", "продажа",
        "venta", "vente", "vendita", "verkauf", "sprzedaz", "satis", "penjualan",
    ),
    "return": (
        "return", "refund", "returned", "cancel", "cancelled", "canceled", "cancellation", "refunded", "voided",
        "order_refunded", "storniert", "retoure", "storno", "rejected", "cancelado", "cancelada", "annule", "annulee",
        "annullato", "anulowane", "anulowano", "отменен", "отменена", "キャンセル", "取消", "batal", "dibatalkan",
        "gutschrift", "stornorechnung", "reembolsado", "rembourse", "remboursee", "rimborsato", "anulado", "anulada",
        "devuelto", "devolucion", "devolvido", "devolucao", "estornado", "retourne", "retour", "reso", "zwrot",
        "zwrocone", "zwrocono", "возврат", "возвращен", "отмена", "отменено", "iptal", "iade", "geannuleerd",
        "geretourneerd", "terugbetaald", "zurueckgegeben", "erstattet",
        "retourniert", "zurueckgesendet", "zurueckgesandt", "rueckerstattet",
        "gutgeschrieben", "annulliert", "rueckgabe", "widerrufen", "dikembalikan", "rto", "ملغي", "مسترجع",
    ),
    "like": (
        "like", "liked", "wanted", "fav", "favorite", "favourite", "wishlist", "add_to_wishlist", "wishlist_add",
        "save", "product_added_to_wishlist", "bookmark", "bookmarked",
    ),
    "share": ("share",),
    "follow": ("follow", "subscribe"),
    "review": ("review", "rating", "rate"),
    "search": ("search", "query", "view_search_results", "product_searched", "products_searched", "searched"),
}  # fmt: skip
#: Words that say nothing of what was done: that it was, by whom, where.
_NEUTRAL = {
    "completed", "complete", "submitted", "confirmed", "success", "successful", "succeeded", "made", "new", "event",
    "ecommerce", "commerce", "user", "customer", "by", "buyer", "seller", "to", "the", "a", "an", "af", "fb", "mp",
    "mobile", "web", "app", "online", "placed", "created", "received", "fulfilled", "performed", "done", "express",
    "for",
}  # fmt: skip
#: Words of what was not done, not yet, or undone.
_NOT_DONE = {
    "failed", "fail", "failure", "start", "started", "begin", "begun", "initiate", "initiated", "abandon", "abandoned",
    "remove", "removed", "delete", "deleted", "declined", "expired", "error", "pending", "draft", "quote", "quotation",
    "not", "unsuccessful", "attempted",
}  # fmt: skip
#: Words beside the one that says what was done.
_DONE_TO = {"product", "item", "interact", "goods", "article", "sku", "listing", "line"}
#: Words of what is looked at: the page of an order is no order.
_LOOKED_AT = {"detail", "page", "content", "screen"}
#: Words of a status that is no sale yet; a few words alone, for others wait as well.
_OFFERED = {
    "draft",
    "quotation",
    "quote",
    "angebot",
    "angebote",
    "presupuesto",
    "devis",
    "abandoned",
    "failed",
    "unpaid",
    "aberto",
    "aberta",
    "incomplete",
    "recusado",
    "recusada",
    "rechazado",
    "rechazada",
    "refuse",
    "refusee",
    "rifiutato",
    "rifiutata",
    "abgelehnt",
    "declined",
    "impaye",
    "impago",
    "onbetaald",
    "unbezahlt",
    "nieoplacone",
    "brouillon",
    "borrador",
    "rascunho",
    "entwurf",
    "черновик",
}
#: Words of an order that is open: where another column tells of the payment, it may be paid all the same.
_OPEN = {"aberto", "aberta"}
_WAITING = {"pending", "payment", "awaiting", "wc", "on", "hold", "holded"}
#: A status that has a word of both waits for money: aguardando pagamento, pendiente de pago.
_AWAITED = {
    "aguardando", "pendente", "pendiente", "attente", "ausstehend", "menunggu", "oczekuje", "awaiting", "belum",
    "ожидает", "bekliyor", "بانتظار",
}  # fmt: skip
_PAYMENT = {
    "pagamento", "pago", "paiement", "zahlung", "pembayaran", "platnosc", "payment", "bayar", "dibayar", "оплаты",
    "odeme", "الدفع",
}  # fmt: skip
#: Names of a status of payments, and of one that says how far the goods are.
_OF_PAYMENT, _OF_GOODS = "payment|financial|pago|pagamento|paiement|zahlung|odeme", "fulfil|ship|deliver|tracking"
#: With these a word of return does not speak of all that was bought.
_NOT_ALL = {"not", "no", "non", "never", "nicht", "partially", "partial", "partly", "teilweise"}
#: Words that a note shows of many.
_SHOWN = 12
_UNSPACED_RETURNS = (
    "キャンセル",
    "取消",
    "退款",
    "退货",
    "返品",
    "返金",
    "취소",
    "반품",
    "환불",
    "ยกเลิก",
    "คืนเงิน",
    "คืนสินค้า",
)
_UNSPACED_OFFERS = (
    "결제대기",
    "입금대기",
    "미결제",
    "未払",
    "未入金",
    "入金待ち",
    "支払待ち",
    "待付款",
    "未付款",
    "รอชำระ",
    "ยังไม่ได้ชำระ",
)


def meant_by(word: str) -> str | None:
    """Our event type for a shop's word or words in any order, or None when we do not know it."""
    return _meaning(_stems(word)) or meant_by_signs(word)


def likely_meant_by(word: str) -> str | None:
    """Our event type for a word that is made of a known one and of what it was done to: product_detail_viewed."""
    stems = _stems(word)
    if known := _meaning(stems) or meant_by_signs(word):
        return known
    left = stems - _DONE_TO - _LOOKED_AT - _NEUTRAL
    if not left and stems & _DONE_TO and stems & _LOOKED_AT:
        return "view"  # the page of a thing: item_detail
    meant = _meaning(left)
    return None if meant in ("purchase", "return") and stems & _LOOKED_AT else meant


def meant_by_file(file: str) -> str | None:
    """Our event type for a word in a file's name, the first that is known: `train-purchases.csv` is of purchases."""
    stem = plain_words(Path(file).name.partition(".")[0])
    return next((meant for word in stem if (meant := meant_by(word))), None)


def came_back(status: str) -> bool:
    """Whether a status says, in one word or within a phrase, that all of it came back or was called off."""
    if any(sign in status for sign in _UNSPACED_RETURNS):
        return True
    stems = _stems(status)
    return not stems & _NOT_ALL and any(_SINGLE.get(stem) == "return" for stem in stems)


def only_offered(status: str) -> bool:
    """Whether a status says that nothing was bought so far: a draft, an offer, a payment that is waited for."""
    if any(sign in status for sign in _UNSPACED_OFFERS):
        return True
    words = set(plain_words(status))
    unpaid = bool(words & _AWAITED) and bool(words & _PAYMENT)
    waiting = bool(words & {"pending", "hold", "holded"}) and words <= _WAITING
    return bool(words & _OFFERED) or unpaid or waiting


def names_payment(name: str) -> bool:
    """Whether the plain name of a status is of payments."""
    return re.search(_OF_PAYMENT, name) is not None


def is_open(status: str) -> bool:
    """Whether a status says that an order is open, which says nothing of its payment."""
    return bool(set(plain_words(status)) & _OPEN)


def not_bought(name: str, words: Iterable[str]) -> tuple[list[str], list[str]]:
    """The words of a status, by its plain name, that say what came back, and those for what was not bought so far.

    Goods that are still to be sent were bought all the same, unless the status speaks of payments too; a payment that
    waits is none.
    """
    every = sorted(words)
    back = [word for word in every if came_back(word)]
    if re.search(_OF_GOODS, name) and not any("paid" in plain_words(word) for word in every):
        return back, []
    waits = names_payment(name)
    left = [word for word in every if word not in back]
    return back, [word for word in left if only_offered(word) or (waits and set(plain_words(word)) & _AWAITED)]


def first_words(words: Iterable[str]) -> str:
    """Words in their order, or the first of many and how many more there are."""
    every = sorted(words)
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return f"{', '.join(every[:_SHOWN])}{more}"


def _meaning(stems: frozenset[str]) -> str | None:
    """What some words mean together: as a known phrase, or all of them the same; what is returned was bought before."""
    left = stems - _NEUTRAL
    if not left or stems & _NOT_DONE:
        return None
    if left in _PHRASES:
        return _PHRASES[left]
    meant = {_SINGLE.get(stem) for stem in left}
    if len(meant) == 1:
        return meant.pop()
    return "return" if meant == {"purchase", "return"} else None


def _stems(text: str) -> frozenset[str]:
    return frozenset(_stem(word) for word in plain_words(text))


def _stem(word: str) -> str:
    """A known word for one of many or of the past: orders, viewed, cancelled; else the word itself."""
    shorter = [word.removesuffix(ending) for ending in ("s", "d", "ed", "es") if word.endswith(ending)]
    shorter += [re.sub(r"(.)\1ed$", r"\1", word)]
    return next((form for form in shorter if form in _VOCABULARY), word)


_WORDS = {meant: (*words, *FOREIGN_WORDS.get(meant, ())) for meant, words in EVENT_WORDS.items()}
_VOCABULARY = {
    *(part for words in _WORDS.values() for word in words for part in plain_words(word)),
    *_NEUTRAL, *_NOT_DONE, *_DONE_TO, *_LOOKED_AT,
}  # fmt: skip
_PHRASES = {_stems(word) - _NEUTRAL: meant for meant, words in _WORDS.items() for word in words}
_SINGLE = {next(iter(stems)): meant for stems, meant in _PHRASES.items() if len(stems) == 1}
